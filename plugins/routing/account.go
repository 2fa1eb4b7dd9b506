package routing

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// providerHeader says which provider is meant where nothing else does.
const providerHeader = "X-Sluice-Provider"

// planAccount fills x.Plan for what no model leads to: files, batches, stored responses. The plan shares the account's
// targets, one for each of its keys.
func planAccount(x *gateway.Exchange) error {
	if err := x.Request.Open(); err != nil {
		return err
	}
	able := capable(x)
	if len(able) == 0 {
		return nobodyHas(x)
	}
	a, err := account(x, able)
	if err != nil {
		return err
	}
	if x.Request.Endpoint.Name == "batches.create" && x.Caller.Tenant.Restricted() && x.Caller.Tenant.Own[a.Name] == nil {
		return errBatch
	}
	x.Plan = gateway.Plan{Targets: a.Targets}
	return nil
}

// capable are the providers that the tenant may use and that have the endpoint.
func capable(x *gateway.Exchange) []*gateway.Account {
	return slices.DeleteFunc(x.Directory.Accounts(x.Caller.Tenant), func(a *gateway.Account) bool {
		return !slices.ContainsFunc(a.Targets, func(t *gateway.Target) bool { return t.Can(x.Request.Endpoint) })
	})
}

// account is the provider that is meant: by an id, by the header, or because there is no other. What creates or lists
// something goes to the first that can, and so does a stored response of which nothing is known any more.
func account(x *gateway.Exchange, able []*gateway.Account) (*gateway.Account, error) {
	id, provider, kept := held(x)
	if provider != "" {
		if a := named(able, provider); a != nil {
			return a, nil
		}
		translated := func(a *gateway.Account) bool { return !a.Targets[0].Has(x.Request.Endpoint) }
		if i := slices.IndexFunc(able, translated); kept && i >= 0 {
			return able[i], nil // any of them finds what the gateway keeps
		}
		return nil, notHeld(id)
	}
	lists := strings.HasSuffix(x.Request.Endpoint.Name, ".list")
	if name := string(x.Request.Header.Get(providerHeader)); name != "" {
		a := named(able, name)
		switch {
		case a == nil:
			return nil, noProvider(x, name, able)
		case lists && !private(x, a):
			return nil, notPrivate(able)
		}
		return a, nil
	}
	switch {
	case lists:
		i := slices.IndexFunc(able, func(a *gateway.Account) bool { return private(x, a) })
		if i < 0 {
			return nil, notPrivate(able)
		}
		return able[i], nil
	case id != "" && len(able) > 1 && !ofResponse(x.Request.Endpoint):
		return nil, ambiguous(id, able)
	}
	if i := slices.IndexFunc(able, func(a *gateway.Account) bool { return a.Targets[0].Has(x.Request.Endpoint) }); i >= 0 {
		return able[i], nil // of a response that nobody remembers, its provider may know
	}
	return able[0], nil
}

// held is the id of what the request is about, and the provider that holds it; both "" if it is about nothing that exists,
// the provider alone if nobody knows who holds it. kept says that the gateway has it itself.
func held(x *gateway.Exchange) (id, provider string, kept bool) {
	id = x.Request.Param
	if x.Request.Endpoint.Name == "batches.create" {
		id = x.Request.Member(`"input_file_id"`)
	}
	if _, provider = gateway.SplitID(id); provider == "" && ofResponse(x.Request.Endpoint) {
		provider, kept = x.Directory.Holder(x.Caller.Tenant.ID, id)
	}
	return id, provider, kept
}

func ofResponse(e *gateway.Endpoint) bool { return strings.HasPrefix(e.Name, "responses.") }

func named(accounts []*gateway.Account, name string) *gateway.Account {
	for _, a := range accounts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// private says whether all that the tenant would see in an account is its own.
func private(x *gateway.Exchange, a *gateway.Account) bool {
	return x.Caller.Tenant.Own[a.Name] != nil || !x.Directory.Shared()
}

// goOn leaves in the plan only the provider that holds the response from which the request goes on; or, if the gateway keeps
// it, those whose conversations are translated. If nobody knows who does, the plan stays: the provider may know.
func goOn(x *gateway.Exchange) error {
	id := x.Request.Member(`"previous_response_id"`)
	if id == "" {
		return nil
	}
	holder, kept := x.Directory.Holder(x.Caller.Tenant.ID, id)
	elsewhere := func(t *gateway.Target) bool { return t.Provider != holder }
	if kept {
		elsewhere = func(t *gateway.Target) bool { return t.Has(x.Request.Endpoint) }
	}
	if holder == "" || !slices.ContainsFunc(x.Plan.Targets, elsewhere) {
		return nil
	}
	x.Plan.Targets = slices.DeleteFunc(slices.Clone(x.Plan.Targets), elsewhere)
	if len(x.Plan.Targets) == 0 {
		return notThere(x, id, holder)
	}
	return nil
}
