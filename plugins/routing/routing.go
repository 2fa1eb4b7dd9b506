// Package routing plans where an exchange may go: it turns the name in "model" into the targets to try, and answers the
// questions about models itself. Lists and hints name only models that the tenant may use.
package routing

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// Config has no settings: models, aliases, weights and fallbacks are configured where they are defined.
type Config struct{}

// Spec describes the plugin "routing".
func Spec() gateway.Spec {
	return gateway.Define("routing", Config{}, func(gateway.Host, Config) (gateway.Plugin, error) { return Plugin{}, nil })
}

// Plugin plans exchanges that are forwarded, and answers models.list and models.retrieve. It stands behind the plugin
// that sets Exchange.Caller.
type Plugin struct{}

var _ gateway.Plugin = Plugin{}

// Wrap implements gateway.Plugin.
func (Plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		e := x.Request.Endpoint
		list, retrieve := e.Name == "models.list", e.Name == "models.retrieve"
		switch {
		case e.Forward == "" && !list && !retrieve:
			return next.Serve(x)
		case x.Caller.Tenant == nil:
			return errNobody
		case list:
			return answerList(x)
		case retrieve:
			return answerModel(x)
		}
		if err := plan(x); err != nil {
			return err
		}
		return next.Serve(x)
	})
}

// plan fills x.Plan. Without a choice and without fallback that allocates nothing: the plan shares the model's targets.
func plan(x *gateway.Exchange) error {
	if err := x.Request.Open(); err != nil {
		return err
	}
	m, canonical, matched := x.Directory.Model(x.Request.Model())
	switch {
	case m == nil:
		return notFound(x, x.Request.Model())
	case !x.Caller.Tenant.Allows(canonical):
		return notAllowed(x.Request.Model())
	}
	x.Plan = gateway.Plan{Model: canonical, Matched: matched, Targets: m.Fixed()}
	if x.Plan.Targets == nil || len(m.Fallback) > 0 {
		w := walk{x: x, asked: m, seen: make([]*gateway.Model, 0, 8), targets: make([]*gateway.Target, 0, 8)}
		w.add(m)
		x.Plan.Targets = w.targets
	}
	return nil
}

// most is how many targets a plan has at most. More would never be tried.
const most = 64

// walk collects the targets of a model and of its fallbacks, depth first.
type walk struct {
	x       *gateway.Exchange
	asked   *gateway.Model
	seen    []*gateway.Model
	targets []*gateway.Target
}

func (w *walk) add(m *gateway.Model) {
	w.seen = append(w.seen, m)
	for _, step := range m.Steps {
		from := len(w.targets)
		for _, t := range step {
			if len(w.targets) < most && !w.has(t) {
				w.targets = append(w.targets, t)
			}
		}
		shuffle(w.targets[from:])
	}
	for _, f := range m.Fallback {
		if !slices.Contains(w.seen, f) && w.allowed(f) {
			w.add(f)
		}
	}
}

// has says whether the same attempt is planned already, perhaps for another model.
func (w *walk) has(t *gateway.Target) bool {
	return slices.ContainsFunc(w.targets, func(u *gateway.Target) bool {
		return u == t || u.Provider == t.Provider && u.Key == t.Key && w.x.ModelFor(u) == w.x.ModelFor(t)
	})
}

// allowed says whether the tenant may use a fallback. One with a wildcard means the same text as in the name that was
// asked for, so it has a name only if that came by a wildcard too.
func (w *walk) allowed(f *gateway.Model) bool {
	before, after, wild := strings.Cut(string(f.Name), "*")
	switch {
	case !wild:
		return w.x.Caller.Tenant.Allows(string(f.Name))
	case !w.asked.Name.Wild():
		return false
	default:
		return w.x.Caller.Tenant.Allows(before + w.x.Plan.Matched + after)
	}
}

// answerList answers GET /v1/models.
func answerList(x *gateway.Exchange) error {
	models := x.Directory.Models(x.Caller.Tenant)
	list := make([]chat.Model, len(models))
	for i, m := range models {
		list[i] = chat.Model{ID: string(m.Name), OwnedBy: m.OwnedBy, Created: x.Directory.Created()}
	}
	return answer(x, openai.AppendModels(make([]byte, 0, 64+128*len(list)), list))
}

// answerModel answers GET /v1/models/{id}. An alias gets the model that it stands for, as in Anthropic's API, and a name
// that a wildcard matches gets itself. A model that the tenant may not use does not exist here.
func answerModel(x *gateway.Exchange) error {
	m, canonical, _ := x.Directory.Model(x.Request.Param)
	if m == nil || !x.Caller.Tenant.Allows(canonical) {
		return notFound(x, x.Request.Param)
	}
	return answer(x, openai.AppendModel(nil, chat.Model{ID: canonical, OwnedBy: m.OwnedBy, Created: x.Directory.Created()}))
}

func answer(x *gateway.Exchange, body []byte) error {
	x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Kind: gateway.Whole, Stream: gateway.Once(body)}
	x.Commit()
	return nil
}
