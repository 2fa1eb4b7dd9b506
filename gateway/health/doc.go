// Package health is what the gateway knows of its targets: whether one may be asked now, how long it will take to answer,
// and why. A target is provider × key × model. Three sources feed one state machine for each: outcomes of attempts
// (Report), active probes (Probed), and what providers say (Outcome.After, Limited, refusals).
//
//	state      asked         becomes     when
//	healthy    yes           suspect     failures reach half of what opens it
//	                         open        Consecutive failures (or streams that broke off) in a row, or FailureRate of the
//	                                     window's requests
//	suspect    yes           healthy     a success brings failures under a quarter of FailureRate, or none for a Window
//	                         open        as above
//	open       no            half_open   OpenFor has passed, twice as long after each trial that failed; or a cheap
//	                                     probe succeeded
//	                         healthy     a probe that asks what callers ask succeeded
//	half_open  Trials at     healthy     a trial succeeds; its share then grows from 0.1 to 1 within SlowStart
//	           a time        open        a trial fails
//	disabled   no            what it was an operator enables it; the provider takes the key or the model again: a trial
//	                                     five minutes after the refusal, later each time, up to an hour
//
// Suspect is a word for operators, and for those who choose by what they expect: a target that fails now and then is still
// asked, because the next attempt elsewhere saves the caller.
//
// A trial without a verdict (a caller who left, a rate limit) is followed by the next; one that never ends holds nobody up
// for longer than a few seconds, one of what was refused for half a minute. Failing again in slow start counts as a trial that
// failed. Outcomes of attempts from before the last change are no news, so that late timeouts do not send back what has
// recovered.
//
// A cool-down stands beside the state, because a rate limit is no illness: until it ends the target is neither asked nor
// probed, whatever else happens. Of several deadlines the latest holds. A quota that is spent cools all targets of the key
// down, and a refused key disables all of them: but never the provider, whose other keys may be fine.
//
// In the path of an exchange (Wait, Begin, Report, End) nothing is locked or allocated as long as nothing changes.
package health
