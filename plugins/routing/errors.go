package routing

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway"
)

// errNobody is read-only.
var errNobody = &gateway.Error{
	Status: 500, Type: gateway.TypeServer, Code: "no_caller",
	Message: "No plugin of the chain has identified the caller. The chain needs \"auth\" before \"routing\".",
}

// notFound says that there is no such model, and which the caller may have meant. GET /v1/models/{id} says the same of a
// model that the tenant may not use.
func notFound(x *gateway.Exchange, name string) error {
	message := "There is no model " + quoted(name) + "."
	if names := near(x.Directory, &x.Caller, name); len(names) > 0 {
		message += " Did you mean " + inWords(names, "or") + "?"
	}
	return &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "model_not_found", Param: "model", Origin: gateway.OriginClient,
		Message: message + " GET /v1/models lists those that you may use.",
	}
}

func notAllowed(name string) error {
	return &gateway.Error{
		Status: 403, Type: gateway.TypePermission, Code: "model_not_allowed", Param: "model", Origin: gateway.OriginClient,
		Message: "You may not use the model " + quoted(name) + ". GET /v1/models lists those that you may use; the gateway's " +
			"operator can add others under models.allow of your tenant.",
	}
}

// invalid is a 400 with what to do about it.
func invalid(code, param, message string) error {
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: code, Param: param, Origin: gateway.OriginClient, Message: message,
	}
}

func noDefault(name string) error {
	return invalid("missing_required_parameter", "model", "The request has no \"model\", and the usual one, "+quoted(name)+
		", is none of this gateway's. Name the model that should answer. GET /v1/models lists those that you may use.")
}

// unsupported says that nobody to whom a model leads has the endpoint, and who else has.
func unsupported(x *gateway.Exchange, m *gateway.Model, name string) error {
	var at []string
	for _, step := range m.Steps {
		for _, t := range step {
			if !slices.Contains(at, t.Provider) {
				at = append(at, t.Provider)
			}
		}
	}
	message := "The model " + quoted(name) + " is served by " + inWords(at, "and") + ", which cannot do " + asked(x) + ". "
	if able := capable(x); len(able) > 0 {
		message += "Providers that can: " + inWords(namesOf(able), "and") + "."
	} else {
		message += "No provider that you may use can."
	}
	return invalid("unsupported_endpoint", "model", message)
}

func nobodyHas(x *gateway.Exchange) error {
	return invalid("unsupported_endpoint", "", "No provider that you may use can do "+asked(x)+".")
}

// asked is the endpoint as the caller knows it.
func asked(x *gateway.Exchange) string {
	return x.Request.Endpoint.Method + " " + x.Request.Endpoint.Path
}

func notHeld(id string) error {
	return &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "not_found", Origin: gateway.OriginClient,
		Message: "There is nothing here with the id " + quoted(id) + ".",
	}
}

func ambiguous(id string, able []*gateway.Account) error {
	return invalid("provider_required", "", "The id "+quoted(id)+" does not say who holds it. Write it as it was given, with the "+
		"provider's name at its end (for example "+quoted(gateway.HeldID(id, able[0].Name))+"), or send the header "+
		"x-sluice-provider: "+inWords(namesOf(able), "or")+".")
}

// notOverridable says that the tenant's callers may not decide what a header asks for.
func notOverridable(header string) error {
	header = strings.ToLower(header)
	name := strings.TrimPrefix(header, "x-sluice-")
	return &gateway.Error{
		Status: 403, Type: gateway.TypePermission, Code: "override_not_allowed", Param: header, Origin: gateway.OriginClient,
		Message: "You may not send the header " + header + ". The gateway's operator can add " + quoted(name) + " under overrides of your tenant.",
	}
}

func badOverride(header, value, expected string) error {
	header = strings.ToLower(header)
	return invalid("invalid_value", header, "The header "+header+" is "+quoted(value)+". Write "+expected+".")
}

// notAmong says that a model does not lead to the provider that a header names.
func notAmong(provider, model string, targets []*gateway.Target) error {
	var at []string
	for _, t := range targets {
		if !slices.Contains(at, t.Provider) {
			at = append(at, t.Provider)
		}
	}
	return invalid("unknown_provider", strings.ToLower(providerHeader), "The header x-sluice-provider names "+quoted(provider)+
		", to which the model "+quoted(model)+" does not lead. It leads to "+inWords(at, "and")+".")
}

func noProvider(x *gateway.Exchange, name string, able []*gateway.Account) error {
	return invalid("unknown_provider", "", "The header x-sluice-provider names "+quoted(name)+", which is no provider that you may "+
		"use for "+asked(x)+". Those are: "+inWords(namesOf(able), "and")+".")
}

func notPrivate(able []*gateway.Account) error {
	return &gateway.Error{
		Status: 403, Type: gateway.TypePermission, Code: "shared_account", Origin: gateway.OriginClient,
		Message: "Several tenants share the account at " + inWords(namesOf(able), "and") + ", so what is in it is not listed. Ask for " +
			"things by the ids that you were given. The gateway's operator can add an account of your own under credentials of " +
			"your tenant.",
	}
}

// errBatch is read-only.
var errBatch = &gateway.Error{
	Status: 403, Type: gateway.TypePermission, Code: "model_not_allowed", Param: "input_file_id", Origin: gateway.OriginClient,
	Message: "The lines of a batch can name any model of the provider's, and you may use only some. The gateway's operator can " +
		"add an account of your own under credentials of your tenant.",
}

// notThere says that what a request names is held by a provider to which its model does not lead.
func notThere(x *gateway.Exchange, param, id, provider string) error {
	code, instead := "wrong_provider", "upload it again with the header x-sluice-provider."
	switch param {
	case "previous_response_id":
		code, instead = "previous_response_not_found", "send the whole conversation as \"input\"."
	case "conversation", "conversation.id":
		instead = "send the whole conversation as \"input\"."
	}
	return invalid(code, param, quoted(id)+" is held by "+quoted(provider)+", to which the model "+quoted(x.Asked())+
		" does not lead. Ask a model that does, or "+instead)
}

// apart says that a request names things of which nobody has all.
func apart(a, b gateway.Reference) error {
	return invalid("wrong_provider", b.Param, "One request is answered by one account, but "+quoted(a.ID)+" and "+quoted(b.ID)+
		" are in different ones. Upload both to the same, with the header x-sluice-provider.")
}

// badPage says which parameter of a list's query is wrong.
func badPage(param string) error {
	if param == "limit" {
		return invalid("invalid_value", param, "\"limit\" must be a whole number from 1 to 1000.")
	}
	return invalid("invalid_value", param, "\""+param+"\" is the id of no model in the list.")
}

func namesOf(accounts []*gateway.Account) []string {
	names := make([]string, len(accounts))
	for i, a := range accounts {
		names[i] = a.Name
	}
	return names
}

// quoted is a name in quotation marks, cut if it is very long.
func quoted(name string) string {
	const most = 100
	if len(name) > most {
		end := most
		for end > 0 && !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + "…"
	}
	return `"` + name + `"`
}

// inWords is a list in words: "a", "b" or "c".
func inWords(names []string, last string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" " + last + " ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(quoted(name))
	}
	return b.String()
}
