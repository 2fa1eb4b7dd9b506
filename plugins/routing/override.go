package routing

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// Headers by which a request decides for itself, if its tenant may. They are for the gateway alone: providers never see them,
// because what is passed on is a list of what may be.
const (
	headerPrefix   = "X-Sluice-"
	strategyHeader = "X-Sluice-Strategy"
	hedgeHeader    = "X-Sluice-Hedge"
	timeoutHeader  = "X-Sluice-Timeout"
	retriesHeader  = "X-Sluice-Retries"
	fallbackHeader = "X-Sluice-Fallback"
)

// override is what a request has decided; nil: nothing.
type override struct {
	provider string            // the only one to ask; "": any
	strategy *gateway.Strategy // nil: the model's
	hedge    onOff
	alone    bool // no fallback to other models
	retries  *int // most; nil: as configured
}

type onOff uint8

const (
	unsaid onOff = iota
	on
	off
)

// steers says whether the targets are not those that another request would get.
func (o *override) steers() bool {
	return o != nil && (o.provider != "" || o.strategy != nil || o.alone)
}

// excludes says whether a target must not be asked.
func (o *override) excludes(t *gateway.Target) bool {
	return o != nil && o.provider != "" && t.Provider != o.provider
}

func (o *override) strategyOf(m *gateway.Model) gateway.Strategy {
	if o != nil && o.strategy != nil {
		return *o.strategy
	}
	return m.Strategy
}

// usualBudget is the share of second attempts where a request asks for them and the model says nothing.
const usualBudget = 0.06

// apply puts into the plan what is for others to do.
func (o *override) apply(plan *gateway.Plan) {
	if o == nil {
		return
	}
	plan.Retries = o.retries
	switch {
	case plan.Model == "": // what creates a file is not done twice
	case o.hedge == off:
		plan.Hedge = nil
	case o.hedge == on && plan.Hedge == nil:
		plan.Hedge = &gateway.Hedge{Budget: usualBudget}
	}
}

// overridden is what the request decides. Of tenants that may decide nothing no header is looked at, and of the others those
// without such a header cost one pass. Whether the provider may be chosen depends on what is asked for: for files and batches
// everybody may.
func overridden(x *gateway.Exchange) (*override, error) {
	may, h := x.Caller.Tenant.Overrides, x.Request.Header
	if may == 0 || h == nil {
		return nil, nil
	}
	if s, ok := h.(gateway.Begins); ok && !s.Begins(headerPrefix) {
		return nil, nil
	}
	o := &override{provider: string(h.Get(providerHeader))}
	for _, header := range [...]struct {
		name string
		is   gateway.Overrides
		read func(x *gateway.Exchange, o *override, value string) (expected string)
	}{
		{strategyHeader, gateway.OverrideStrategy, readStrategy},
		{hedgeHeader, gateway.OverrideHedge, readHedge},
		{timeoutHeader, gateway.OverrideTimeout, readTimeout},
		{retriesHeader, gateway.OverrideRetries, readRetries},
		{fallbackHeader, gateway.OverrideFallback, readFallback},
	} {
		value := h.Get(header.name)
		switch {
		case value == nil:
			continue
		case may&header.is == 0:
			return nil, notOverridable(header.name)
		}
		if expected := header.read(x, o, string(value)); expected != "" {
			return nil, badOverride(header.name, string(value), expected)
		}
	}
	return o, nil
}

func readStrategy(_ *gateway.Exchange, o *override, value string) string {
	s, ok := gateway.ParseStrategy(value)
	if !ok {
		return "ordered, weighted, least_latency or least_cost"
	}
	o.strategy = &s
	return ""
}

func readHedge(_ *gateway.Exchange, o *override, value string) string {
	switch value {
	case "on":
		o.hedge = on
	case "off":
		o.hedge = off
	default:
		return "on or off"
	}
	return ""
}

func readFallback(_ *gateway.Exchange, o *override, value string) string {
	if value != "off" {
		return "off"
	}
	o.alone = true
	return ""
}

// mostRetries is what the configuration allows at most; forward makes no more than are configured.
const mostRetries = 10

func readRetries(_ *gateway.Exchange, o *override, value string) string {
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || n > mostRetries {
		return "a whole number from 0 to " + strconv.Itoa(mostRetries)
	}
	retries := int(n)
	o.retries = &retries
	return ""
}

// longestTimeout is more than any provider needs, and little enough to be added to any instant.
const longestTimeout = 24 * time.Hour

// readTimeout sets the exchange's deadline, which can only become earlier.
func readTimeout(x *gateway.Exchange, _ *override, value string) string {
	d, err := time.ParseDuration(value)
	if strings.Trim(value, "0123456789.") == "" {
		d, err = time.ParseDuration(value + "s")
	}
	if err != nil || d <= 0 || d > longestTimeout {
		return "a time of up to 24h, in seconds (30) or with a unit (500ms)"
	}
	x.SetDeadline(x.Start.Add(d))
	return ""
}
