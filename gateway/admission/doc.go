// Package admission decides what may be asked of an upstream now, what waits, and what is refused.
//
// A [Limiter] stands before each upstream. It knows no limit until there is a reason: Settings.Max, an upstream that says
// it is overloaded (429, 529), or first events that come ever later while more requests are under way. A [Guard] looks at
// the memory of the process.
//
// The order of calls for one attempt:
//
//	if !limiter.TryEnter() {
//		if err := limiter.Enter(ctx, ticket); err != nil {
//			return err // a *Refusal, or the context's cause
//		}
//	}
//	limiter.Observe(signal)   // a stream: once its first event is there; never necessary
//	limiter.Leave(signal)     // exactly once; Signal{} if nothing is to be said that Observe has not said
package admission
