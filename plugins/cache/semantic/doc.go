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
//		// Ask the judge, later and elsewhere, whether the answer d.Hit.Answer, given to d.Hit.Text, serves q.Text too:
//		s.Judge(d, same)
//	}
//
// A judge that says "same" makes the wording an alias: it leads to the old answer from then on, and wordings near it will
// too. One that says "different" pins the pair, which will never be served, and teaches the policy.
package semantic
