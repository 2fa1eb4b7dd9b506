package gateway

import (
	"errors"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
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
	case x.Request.Endpoint.Free, a.Unsent():
		return catalog.Cost{Known: true}
	case a.Status >= 300:
		return a.Known.Refused(a.Status)
	case a.Lost && a.Usage.Provenance != chat.Reported:
		a.Usage = x.alike(a.Usage)
	case a.units > 0 && a.Usage.Provenance == chat.Unknown && (x.complete || x.Reply != nil && x.Reply.Kind == Whole):
		if c := a.Known.CostOf(x.Request.Endpoint.Counts, a.units, "", a.Start.Time()); c.Known {
			return c
		}
	}
	return a.Known.Cost(a.Usage, a.Usage.Tier, a.Start.Time())
}

// alike is the usage of an attempt that was given up because another was quicker: providers go on generating for a while, or
// to the end, so it is estimated to be that of the other one. Less would be too little.
func (x *Exchange) alike(known chat.Usage) chat.Usage {
	u := x.attempts[len(x.attempts)-1].Usage
	if u.Provenance != chat.Reported && u.Provenance != chat.Estimated {
		return known
	}
	u.Provenance = chat.Estimated
	return u
}

// count notes, while the request is there, by what the answer is charged if no usage is reported: pictures by their number,
// where the catalogue has a price for one whatever its size, and speech by the characters of its text.
func (x *Exchange) count() {
	class := x.Request.Endpoint.Counts
	if class == 0 || len(x.attempts) == 0 {
		return
	}
	a := x.attempts[len(x.attempts)-1]
	switch r := &x.Request; {
	case r.form != nil: // of which nothing but the model is read
	case class == catalog.Images:
		a.units = int64(max(r.fields.N, 1))
	case class == catalog.Characters:
		a.units = int64(utf8.RuneCountInString(r.Member(`"input"`)))
	}
}

// Unsent says whether an attempt certainly ended before its request reached the provider.
func (a *Attempt) Unsent() bool {
	if a.Status != 0 || a.Err == nil {
		return false
	}
	if e, ok := errors.AsType[*Error](a.Err); ok {
		return !e.Sent
	}
	return !a.Sent
}
