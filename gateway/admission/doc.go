// Package admission decides what may be asked of an upstream now, what waits for its turn, and what is refused.
//
// A [Limiter] stands before each upstream. It knows no limit until there is a reason: Settings.Max, an upstream that says
// it is overloaded (429, 529), or streams whose first events come ever later while ever more requests are under way. Who
// finds no room waits, in a bounded queue: higher priorities first, the tenants of one priority in turn, and nobody who by
// the rate at which slots come free would wait beyond his deadline. A [Guard] refuses by priority while the process is
// short of memory.
//
// One attempt:
//
//	if !limiter.TryEnter() { // hardly ever
//		if err := limiter.Enter(ctx, ticket); err != nil {
//			return err // a *Refusal, or the context's cause
//		}
//	}
//	defer limiter.Leave(Signal{}) // when the reply has ended; an attempt that is no stream may tell here that it was refused
//
// and if it is a stream, between the two:
//
//	limiter.Await(now)      // it is sent
//	limiter.Observe(signal) // its first event is here, or it has failed, or it was given up
//
// Without Await and Observe only refusals lower the limit.
package admission
