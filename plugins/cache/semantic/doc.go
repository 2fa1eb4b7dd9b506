// Package semantic finds a stored answer to a question that was asked in other words before, and says why it did or did
// not.
//
// A question goes through five steps: it is parsed and embedded; the index names the nearest wordings of its partition;
// guards refuse pairs of which the raw texts differ in what matters; the verifier says how likely it is that one answer
// serves both; and the policy decides whether that is certain enough. Whatever goes wrong on the way is a miss.
//
// # Use
//
//	d := s.Lookup(ctx, q)
//	if d.Serve() {
//		// The answer is d.Hit.Answer. If its value is gone: s.Forget(q.Partition, d.Hit.Answer), and go on as after a miss.
//	} else {
//		// Ask upstream; if the answer may be kept: s.Learn(d, answer).
//	}
//	if d.Ask {
//		// Ask the judge, later and elsewhere, which of d.Asked() has an answer that serves q.Text too; none is 0:
//		s.Judge(d, answer)
//	}
//
// A wording for which the judge chooses an answer becomes its alias: it leads to that answer from then on, and wordings
// near it will too. An answer that the judge does not choose is pinned: it will never be served to this wording. Either
// way the policy learns.
//
// Answers have ids other than 0.
package semantic
