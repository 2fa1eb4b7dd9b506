package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
)

// mostProbed is how much of an answer to a probe is read: lists of models can be long.
const mostProbed = 8 << 20

// Probe asks the provider's host for a path, with a key ("": none), and says what the answer means for all targets of the
// key. It must end with ctx. The connection is a new one each time: that one can be made is what it is to show.
//
// A 403 or 404 says nothing (Neutral): a key may well be good for models and not for this path.
func (p *Provider) Probe(ctx context.Context, path, key string) health.Outcome {
	request, err := p.probe(ctx, path, key)
	if err != nil {
		return health.Outcome{Reason: err.Error()}
	}
	client := &http.Client{
		Transport:     p.probing(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	reply, err := client.Do(request)
	if err != nil {
		return health.Outcome{Verdict: health.Failed, Reason: trouble(err), Unreachable: true}
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(reply.Body, mostProbed)); err != nil {
		return health.Outcome{Verdict: health.Failed, Reason: trouble(err)}
	}
	o := judge(reply.StatusCode)
	o.After = health.RetryAfter(reply.Header.Get)
	return o
}

// probe makes the request, with everything that requests of exchanges have.
func (p *Provider) probe(ctx context.Context, path, key string) (*http.Request, error) {
	base := p.c.BaseURL
	at, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	to := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: at.Path, RawPath: at.RawPath, RawQuery: at.RawQuery}
	if to.RawQuery == "" {
		to.RawQuery = p.c.Query
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	h := request.Header
	h.Set("Accept-Encoding", "identity")
	h.Set("User-Agent", p.c.UserAgent) // "" leaves it out
	if p.c.Kind.Speaks == messages {
		h.Set("Anthropic-Version", "2023-06-01")
	}
	for _, f := range p.c.Headers {
		h.Set(f.Name, f.Value)
	}
	if name, before, ok := strings.Cut(p.c.Kind.Auth, ": "); ok && key != "" {
		h.Set(name, before+key)
	}
	return request, nil
}

// probing connects as the pool does: TLS, proxy and guard are the same.
func (p *Provider) probing() *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: p.c.Timeouts.Connect}).DialContext,
		TLSHandshakeTimeout: p.c.Timeouts.Connect,
		DisableKeepAlives:   true,
	}
	if p.dialer.tls != nil {
		t.TLSClientConfig = p.dialer.tls.Clone()
	}
	switch {
	case p.c.Guard != nil:
		t.DialContext = (&net.Dialer{Timeout: p.c.Timeouts.Connect, ControlContext: p.c.Guard.control}).DialContext
	case p.c.Proxy != nil:
		t.Proxy = func(*http.Request) (*url.URL, error) { return p.c.Proxy(p.c.BaseURL) }
	}
	return t
}

// ProbeEndpoint is the name of the endpoint at which [Ask] asks a provider that serves these; "" if there is none.
func ProbeEndpoint(serves map[string]bool) string {
	for _, name := range [...]string{chatCompletions, "embeddings"} {
		if _, ok := serves[name]; ok {
			return name
		}
	}
	return ""
}

// Ask asks a target's model for one token, in a stream, or where e is embeddings for one of those; whatever language the provider
// speaks, the sender translates. It ends with ctx; its deadline must be set.
func Ask(ctx context.Context, e *gateway.Endpoint, t *gateway.Target) (o health.Outcome) {
	x := &gateway.Exchange{Directory: gateway.NewDirectory(gateway.Entries{}), Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "probe"}}}
	x.Init("probe", e, noHeader{}, question(e, t.Model))
	defer context.AfterFunc(ctx, func() { x.Cancel(context.Cause(ctx)) })()
	if err := x.Request.Open(); err != nil {
		return health.Outcome{Reason: err.Error()}
	}
	a := x.Attempting(t)
	a.Tells(t.Health)
	reply, err := t.Via.Send(x, t, a)
	if err != nil {
		x.End(err)
		return judgeError(err)
	}
	o = judge(reply.Status)
	o.After, o.Whole = health.RetryAfter(field(reply.Header)), reply.Kind == gateway.Whole
	switch {
	case o.Verdict == health.OK:
		o.First = a.First
	case reply.Status == http.StatusForbidden, reply.Status == http.StatusNotFound:
		o.Verdict = health.Denied
	}
	for err == nil {
		_, err = reply.Stream.Next()
	}
	_ = reply.Stream.Close()
	if errors.Is(err, io.EOF) {
		err = nil
	} else {
		o = judgeError(err)
	}
	x.End(err)
	return o
}

// judge says what a status means, whichever request it answers.
func judge(status int) health.Outcome {
	o := health.Outcome{Reason: "http " + strconv.Itoa(status)}
	switch {
	case status >= 200 && status < 300:
		o = health.Outcome{Verdict: health.OK}
	case status == http.StatusUnauthorized:
		o.Verdict = health.Refused
	case status == http.StatusPaymentRequired:
		o.Verdict = health.Spent
	case status == http.StatusTooManyRequests, status == 529: // Anthropic's overloaded_error
		o.Verdict = health.Limited
	case status == http.StatusRequestTimeout, status >= 500:
		o.Verdict = health.Failed
	}
	return o
}

// judgeError says what it means that there was no answer, or no end of it.
func judgeError(err error) health.Outcome {
	var e *gateway.Error
	switch {
	case !errors.As(err, &e):
		return health.Outcome{Verdict: health.Failed, Reason: trouble(err)}
	case e.Origin != gateway.OriginUpstream: // a question that the provider has no place for
		return health.Outcome{Reason: e.Code}
	}
	o := health.Outcome{Verdict: health.Failed, Reason: e.Code, After: e.RetryAfter, Unreachable: e.Code == gateway.CodeUnreachable}
	if e.Status == http.StatusTooManyRequests {
		o.Verdict = health.Limited
	}
	return o
}

// trouble names a failure without the URL, which a provider's key may be in.
func trouble(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gateway.ErrDeadline) {
		return "no answer in time"
	}
	return err.Error()
}

// field finds values in the head of a reply.
func field(head []gateway.Field) func(name string) string {
	return func(name string) string {
		for _, f := range head {
			if strings.EqualFold(f.Name, name) {
				return strings.TrimSpace(f.Value)
			}
		}
		return ""
	}
}

// question is the cheapest request there is.
func question(e *gateway.Endpoint, model string) gateway.Body {
	text := `,"stream":true,"max_completion_tokens":1,"messages":[{"role":"user","content":"ping"}]}`
	if e.Name != chatCompletions {
		text = `,"input":"ping"}`
	}
	return &inMemory{[]byte(`{"model":` + strconv.Quote(model) + text)}
}

type inMemory struct{ text []byte }

// Load implements gateway.Body.
func (b *inMemory) Load() ([]byte, error) { return b.text, nil }

// Free implements gateway.Body.
func (b *inMemory) Free() {}
