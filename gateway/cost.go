package gateway

import (
	"errors"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// Cost is what the exchange cost: the sum of its attempts, failed ones included, and unknown if that of any is. At the end
// of the exchange, before the functions of OnEnd, every attempt has its cost; before that it is known where a usage is.
func (x *Exchange) Cost() catalog.Cost {
	sum := catalog.Cost{Known: true}
	for _, a := range x.attempts {
		if !a.Cost.Known { // what is known does not change any more
			a.Cost = x.charge(a)
		}
		sum = sum.Plus(a.Cost)
	}
	return sum
}

// charge works out what an attempt cost. Nothing is what it cost only where nothing can have been generated.
func (x *Exchange) charge(a *Attempt) catalog.Cost {
	switch {
	case x.Request.Endpoint.Free, a.unsent():
		return catalog.Cost{Known: true}
	case a.Status >= 300:
		return a.Known.Refused(a.Status)
	}
	return a.Known.Cost(a.Usage, a.Usage.Tier, a.Start.Time())
}

// unsent says whether an attempt certainly ended before its request reached the provider. Of one that was cancelled nobody
// knows.
func (a *Attempt) unsent() bool {
	if a.Status != 0 || a.Err == nil {
		return false
	}
	e, ok := errors.AsType[*Error](a.Err)
	return ok && !e.Sent
}
