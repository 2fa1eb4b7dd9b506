package routing

import (
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
	if names := near(x.Directory, x.Caller.Tenant, name); len(names) > 0 {
		message += " Did you mean " + alternatives(names) + "?"
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

// alternatives lists names: "a", "b" or "c".
func alternatives(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(quoted(name))
	}
	return b.String()
}
