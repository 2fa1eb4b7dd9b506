package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

var (
	errNoTenant   = errors.New("there is no such tenant")
	errNoCache    = errors.New("there is no cache")
	errNoDialogue = errors.New("that is no endpoint of conversations")
	errBypassed   = errors.New("the answer is not one that is kept")
)

// Warm has the answer to a tenant's request in the cache, and says how it came there: [gateway.WarmKept] and so on. The error is for
// who wrote the request.
func (r *Runtime) Warm(ctx context.Context, whose tenant.ID, w *gateway.CacheWarm) (how string, err error) {
	g := r.acquire(ctx)
	if g == nil {
		return "", gateway.ErrDrain
	}
	defer g.Release()
	c := gateway.Caller{Tenant: g.Directory().Tenant(whose), Key: tenant.Operator, User: w.User}
	cache, e := g.cache(), endpointOf(w.Endpoint)
	switch {
	case c.Tenant == nil:
		return "", errNoTenant
	case cache == nil:
		return "", errNoCache
	case e == nil || e.Decode == nil || e.Free:
		return "", errNoDialogue
	}
	of := errand{w.Endpoint, c, tags(w.Tags), w.Request}
	if len(w.Answer) == 0 {
		err = r.inside(ctx, g, of, func(x *gateway.Exchange) error {
			how, err = fill(g, x)
			return err
		})
		return how, err
	}
	reply, err := replyOf(e.Dialect, w.Answer)
	if err != nil {
		return "", err
	}
	err = r.inside(ctx, g, of, func(x *gateway.Exchange) error { return cache.Warm(x, reply) })
	return gateway.WarmKept, err
}

// fill asks, and says what the cache did.
func fill(g *Generation, x *gateway.Exchange) (how string, err error) {
	if err := g.Serve(x); err != nil {
		return "", err
	}
	how = gateway.WarmHeld
	for _, f := range x.Reply.Header {
		switch {
		case f.Name != "x-sluice-cache":
		case f.Value == "miss":
			how = gateway.WarmAsked
		case f.Value == "bypass":
			return "", errBypassed
		}
	}
	if x.Reply.Kind == gateway.Events {
		return how, drain(x.Reply.Stream)
	}
	_, err = read(x.Reply)
	return how, err
}

// replyOf is a reply that says a JSON text, or that a JSON object is.
func replyOf(dialect string, answer []byte) (*chat.Reply, error) {
	if answer[0] != '"' {
		return wire.ByName(dialect).DecodeReply(answer)
	}
	var said string
	if err := json.Unmarshal(answer, &said); err != nil {
		return nil, fmt.Errorf("the answer is not JSON: %w", err)
	}
	m := chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: said}}}
	return &chat.Reply{Choices: []chat.Choice{{Message: m, Finish: chat.FinishStop}}}, nil
}

// tags are the head of a request that has no other fields.
type tags string

// Get implements gateway.Header.
func (t tags) Get(name string) []byte {
	if t != "" && strings.EqualFold(name, "x-sluice-cache-tags") {
		return []byte(t)
	}
	return nil
}
