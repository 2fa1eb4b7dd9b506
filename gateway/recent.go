package gateway

import "github.com/sluice-ai/sluice/gateway/tenant"

// Recent is what a plugin that sees every exchange does for operators: it remembers the latest.
type Recent interface {
	// Recent are the exchanges that ended after the one of a number, oldest first: those that are still remembered. news is closed
	// when there is another. Who asks is taken for somebody who looks on: for some minutes every exchange is remembered, and not
	// only failures and a sample.
	Recent(after uint64) (list []Ended, news <-chan struct{})
}

// Ended is an exchange that has ended.
type Ended struct {
	Seq    uint64    // counts up from 1, in the process
	Tenant tenant.ID // "": of nobody who is known
	Line   []byte    // JSON object: what the log says of it, its steps and all of its attempts; read-only
}

// Step is a moment of an exchange: from then on it was with a plugin of this name, or with the one behind the last.
type Step struct {
	Name  string
	Start Instant
}

// Stepping notes in an exchange that its turn has come at a plugin, if somebody has made room in [Exchange.Steps].
func Stepping(name string, next Handler) Handler {
	return HandlerFunc(func(x *Exchange) error {
		if x.Steps != nil {
			x.Steps = append(x.Steps, Step{name, Now()})
		}
		return next.Serve(x)
	})
}
