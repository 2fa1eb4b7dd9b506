package routing

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// providerHeader says which provider is meant where nothing else does.
const providerHeader = "X-Sluice-Provider"

// planAccount fills x.Plan for what no model leads to: files, batches, stored responses. The plan shares the account's
// targets, one for each of its keys, unless an id says which key is meant.
func planAccount(x *gateway.Exchange) error {
	if err := x.Request.Open(); err != nil {
		return err
	}
	able := capable(x)
	if len(able) == 0 {
		return nobodyHas(x)
	}
	a, targets, err := account(x, able)
	if err != nil {
		return err
	}
	if x.Request.Endpoint.Name == "batches.create" && x.Caller.Restricted() && x.Caller.Tenant.Own[a.Name] == nil {
		return errBatch
	}
	x.Plan = gateway.Plan{Targets: targets}
	return nil
}

// capable are the providers that the tenant may use and that have the endpoint.
func capable(x *gateway.Exchange) []*gateway.Account {
	return slices.DeleteFunc(x.Directory.Accounts(&x.Caller), func(a *gateway.Account) bool {
		return !slices.ContainsFunc(a.Targets, func(t *gateway.Target) bool { return t.Can(x.Request.Endpoint) })
	})
}

// account is the provider that is meant, with its targets: by an id, by the header, or because there is no other. What
// creates or lists something goes to the first that can, and a stored response of which nothing is known any more is asked for
// at one after the other.
func account(x *gateway.Exchange, able []*gateway.Account) (*gateway.Account, []*gateway.Target, error) {
	own := able
	lists := strings.HasSuffix(x.Request.Endpoint.Name, ".list")
	if lists {
		own = slices.DeleteFunc(slices.Clone(able), func(a *gateway.Account) bool { return !private(x, a) })
	}
	if len(own) == 0 {
		return nil, nil, notPrivate(able)
	}
	id, holder, kept := held(x)
	if holder != "" {
		if a, targets := holding(own, holder); a != nil {
			return a, targets, nil
		}
		translated := func(a *gateway.Account) bool { return !a.Targets[0].Has(x.Request.Endpoint) }
		if i := slices.IndexFunc(able, translated); kept && i >= 0 {
			return able[i], able[i].Targets, nil // any of them finds what the gateway keeps
		}
		return nil, nil, notHeld(id)
	}
	if name := string(x.Request.Header.Get(providerHeader)); name != "" {
		a, targets := holding(able, name)
		switch {
		case a == nil:
			return nil, nil, noProvider(x, name, able)
		case lists && !slices.Contains(own, a):
			return nil, nil, notPrivate(able)
		}
		return a, targets, nil
	}
	if id != "" && !lists && len(able) > 1 && !ofResponse(x.Request.Endpoint) {
		return nil, nil, ambiguous(id, able)
	}
	a, targets := anybody(x.Request.Endpoint, own)
	return a, targets, nil
}

// anybody is the first account whose provider has an endpoint itself, or else the first. For a response that nobody remembers
// the targets are those of all that have it: one of them may keep it.
func anybody(e *gateway.Endpoint, accounts []*gateway.Account) (*gateway.Account, []*gateway.Target) {
	has := func(a *gateway.Account) bool { return a.Targets[0].Has(e) }
	i := slices.IndexFunc(accounts, has)
	if i < 0 {
		return accounts[0], accounts[0].Targets
	}
	targets := accounts[i].Targets
	for _, a := range accounts[i+1:] {
		if ofResponse(e) && has(a) {
			targets = append(slices.Clip(targets), a.Targets...)
		}
	}
	return accounts[i], targets
}

// held is the id of what the request is about, and who holds that; both "" if it is about nothing that exists, the holder
// alone if nobody knows who it is. kept says that the gateway has it itself.
func held(x *gateway.Exchange) (id, holder string, kept bool) {
	r := &x.Request
	switch refs := r.References(); {
	case len(refs) > 0:
		return refs[0].ID, refs[0].Holder, false
	case r.Endpoint.Name == "batches.create":
		return r.Member(`"input_file_id"`), "", false
	case strings.HasSuffix(r.Endpoint.Name, ".list"): // it goes on behind, or before, what was listed
		if q, err := url.ParseQuery(r.Query); err == nil {
			id = cmp.Or(q.Get("after"), q.Get("before"), q.Get("after_id"), q.Get("page")) // the last two are Anthropic's
		}
	default:
		id = r.Param
	}
	if _, holder = gateway.SplitID(id); holder == "" && ofResponse(r.Endpoint) {
		holder, kept = x.Directory.Holder(x.Caller.Tenant.ID, id)
	}
	return id, holder, kept
}

func ofResponse(e *gateway.Endpoint) bool { return strings.HasPrefix(e.Name, "responses.") }

// holding finds the account that a holder is of, and those of its targets that hold.
func holding(accounts []*gateway.Account, holder string) (*gateway.Account, []*gateway.Target) {
	for _, a := range accounts {
		if targets := at(a.Targets, holder); len(targets) > 0 {
			return a, targets
		}
	}
	return nil, nil
}

// at are those of some targets that hold what an id says is held there: all of a provider, or those with one of its keys.
// If there is no such key any more, it may have got another name.
func at(targets []*gateway.Target, holder string) []*gateway.Target {
	found := only(targets, func(t *gateway.Target) bool { return t.Holder == holder || t.Provider == holder })
	if provider := gateway.HolderProvider(holder); len(found) == 0 && provider != holder {
		found = only(targets, func(t *gateway.Target) bool { return t.Provider == provider })
	}
	return found
}

// only are the targets of which something is true: the same list if it is true of all.
func only(targets []*gateway.Target, is func(*gateway.Target) bool) []*gateway.Target {
	isNot := func(t *gateway.Target) bool { return !is(t) }
	if !slices.ContainsFunc(targets, isNot) {
		return targets
	}
	return slices.DeleteFunc(slices.Clone(targets), isNot)
}

// private says whether all that the tenant would see in an account is its own.
func private(x *gateway.Exchange, a *gateway.Account) bool {
	return x.Caller.Tenant.Own[a.Name] != nil || !x.Directory.Shared()
}

// pin leaves in the plan only the targets that hold what the request names: its files, and the conversation or the response
// from which it goes on.
func pin(x *gateway.Exchange) error {
	planned := x.Plan.Targets
	for _, ref := range x.Request.References() {
		holding := at(planned, ref.Holder)
		if len(holding) == 0 {
			return notThere(x, ref.Param, ref.ID, gateway.HolderProvider(ref.Holder))
		}
		x.Plan.Targets = only(x.Plan.Targets, func(t *gateway.Target) bool { return slices.Contains(holding, t) })
		if len(x.Plan.Targets) == 0 {
			return apart(x.Request.References()[0], ref)
		}
	}
	if x.Request.Endpoint.Name == "responses.create" {
		return goOn(x)
	}
	return nil
}

// goOn leaves in the plan only the provider that holds the response from which the request goes on, if its id does not say
// which that is; or, if the gateway keeps it, those whose conversations are translated. If nobody knows who does, as after a
// restart, one of those that keep their own may, unless it is the gateway's.
func goOn(x *gateway.Exchange) error {
	const param = "previous_response_id"
	id := x.Request.Member(`"` + param + `"`)
	if id == "" {
		return nil
	}
	has := func(t *gateway.Target) bool { return t.Has(x.Request.Endpoint) }
	holder, kept := x.Directory.Holder(x.Caller.Tenant.ID, id)
	if holder == "" {
		if !gateway.IsResponseID(id) && slices.ContainsFunc(x.Plan.Targets, has) {
			x.Plan.Targets = only(x.Plan.Targets, has)
		}
		return nil
	}
	x.Plan.Targets = only(x.Plan.Targets, func(t *gateway.Target) bool {
		if kept {
			return !has(t)
		}
		return t.Provider == holder
	})
	if len(x.Plan.Targets) == 0 {
		return notThere(x, param, id, holder)
	}
	return nil
}
