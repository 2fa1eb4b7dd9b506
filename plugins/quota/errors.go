package quota

import (
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Codes of refusals.
const (
	codeRate        = "rate_limit_exceeded"
	codeTooLarge    = "request_too_large_for_limit"
	codeConcurrent  = "concurrency_limit_exceeded"
	codeBudget      = "insufficient_quota"
	codeUnavailable = "budget_unavailable"
	codeNoPrice     = "model_has_no_price"
	codeUnbounded   = "not_in_strict_budgets"
)

// longWait is from when on clients are not told when to come again, because they would wait.
const longWait = time.Hour

// refused is the error of a refusal: whose limit, how much it is, and when it is worth trying again.
func refused(r *meter.Refusal) *gateway.Error {
	e := &gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: codeRate, Origin: gateway.OriginClient, RetryAfter: r.After}
	whose := " of " + of(r.Scope)
	switch r.What {
	case meter.Concurrent:
		e.Code, e.RetryAfter = codeConcurrent, max(r.After, time.Second)
		e.Message = "The limit" + whose + " is " + count(r.Limit, "request") + " at once, and as many are running. Send the request again when one has ended."
	case meter.Money:
		e.Type, e.Code, e.NoRetry = codeBudget, codeBudget, true
		if e.RetryAfter > longWait {
			e.RetryAfter = 0
		}
		e.Message = "The budget" + whose + " of " + tenant.USD(r.Limit).String() + " USD does not cover this request: " +
			tenant.USD(max(r.Remaining, 0)).String() + " USD are left."
	case meter.Unavailable:
		e.Status, e.Type, e.Code, e.Origin = 503, gateway.TypeServer, codeUnavailable, gateway.OriginGateway
		e.RetryAfter = max(r.After, time.Second)
		e.Message = "Whether the budget" + whose + " covers this request cannot be told at the moment. Send the request again."
	default:
		what := r.What.String()
		if r.Never {
			e.Code, e.RetryAfter, e.NoRetry = codeTooLarge, 0, true
			e.Message = "The request needs more " + what + " than the limit" + whose + " of " + strconv.FormatInt(r.Limit, 10) + " " + what + " a minute ever allows."
			break
		}
		e.Message = "The limit" + whose + " of " + strconv.FormatInt(r.Limit, 10) + " " + what + " a minute is reached. Send the request again in " + wait(r.After) + "."
	}
	return e
}

// of names a scope to its caller.
func of(s tenant.Scope) string {
	switch s.Kind {
	case tenant.OfKey:
		switch s.Name {
		case tenant.Token:
			return "all tokens of your identity provider"
		case tenant.Anonymous:
			return "all callers without a key"
		}
		return "the key \"" + s.Name + "\""
	case tenant.OfUser:
		return "the user \"" + s.Name + "\""
	case tenant.OfModel:
		return "the model \"" + s.Name + "\""
	default:
		return "your organization"
	}
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

// wait is a time as people say it: whole seconds, rounded up.
func wait(d time.Duration) string { return count(int64((d+time.Second-1)/time.Second), "second") }

func unpriced(model string) *gateway.Error {
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: codeNoPrice, Param: "model", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The model \"" + model + "\" has no known price, so a strict budget cannot cover it. Choose another model, or ask the operator to set its price.",
	}
}

func unbounded(what string) *gateway.Error {
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: codeUnbounded, Origin: gateway.OriginClient, NoRetry: true,
		Message: "What this request may cost cannot be bounded before it is made (" + what + "), so a strict budget cannot cover it.",
	}
}
