package gateway

import (
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Clamps says whether the endpoint's answers can be limited: whether a request may say how many tokens each has at most.
func (e *Endpoint) Clamps() bool { return e.limits() != nil }

// limits are the members that limit an endpoint's answer, by their index in [peek.Fields.LimitAt].
func (e *Endpoint) limits() []int {
	switch e.Name {
	case "chat.completions":
		return chatLimits[:]
	case "completions", "messages":
		return chatLimits[1:]
	case "responses.create":
		return responseLimits[:]
	}
	return nil
}

var (
	chatLimits     = [...]int{peek.MaxCompletionTokens, peek.MaxTokens}
	responseLimits = [...]int{peek.MaxOutputTokens}
	limitNames     = [peek.Limits]string{"max_completion_tokens", "max_tokens", "max_output_tokens"}
)

// ClampEdits appends to e, which is in order of position and stays so, what must change in Body so that an answer has at most n
// tokens; of several, which "n" asks for, each. A limit that the body has is lowered where it stands, and left alone if it is
// lower already. If it has none, or only null, one is added: the member that the provider knows, of max_completion_tokens,
// max_tokens and max_output_tokens. Endpoints whose answers cannot be limited, and forms, need no change.
//
// For providers that know a member by another name, who renames it does so besides: only values are replaced here.
func (r *Request) ClampEdits(e []peek.Edit, member string, n int64) []peek.Edit {
	limits := r.Endpoint.limits()
	if limits == nil || r.form != nil || r.raw == nil {
		return e
	}
	some, null := false, 0
	for _, i := range limits {
		at := r.fields.LimitAt[i]
		switch {
		case at == 0:
			continue
		case r.raw[at] == 'n':
			if limitNames[i] == member {
				null = at
			}
			continue
		}
		some = true
		end := peek.Skip(r.raw, at)
		if asked, ok := peek.Int(r.raw[at:end]); !ok || asked > n {
			e = insert(e, peek.Edit{At: at, End: end, Text: strconv.FormatInt(n, 10)})
		}
	}
	switch {
	case some:
	case null > 0:
		e = insert(e, peek.Edit{At: null, End: null + len("null"), Text: strconv.FormatInt(n, 10)})
	default:
		at := r.fields.Open
		e = insert(e, peek.Edit{At: at, End: at, Text: `"` + member + `":` + strconv.FormatInt(n, 10) + ","})
	}
	return e
}

// insert puts an edit where it belongs, behind those at the same place.
func insert(e []peek.Edit, one peek.Edit) []peek.Edit {
	i := len(e)
	for i > 0 && e[i-1].At > one.At {
		i--
	}
	return slices.Insert(e, i, one)
}
