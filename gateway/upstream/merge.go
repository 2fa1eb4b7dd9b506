package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Merge says whether, and how, small requests for embeddings that come at about the same time are sent as one. Providers
// take many inputs at once, and answer one request with a hundred of them faster than a hundred requests.
type Merge struct {
	Window time.Duration // how long the first waits for others; 0: nothing is merged
	Inputs int           // how many inputs go together at most
}

const mergeLargest = 32 << 10 // bytes of a request that may be merged

// merger gathers requests of one provider's key.
type merger struct {
	s    *sender
	mu   sync.Mutex
	open map[terms]*merged
}

// terms are what requests must agree in to go together.
type terms struct {
	model  string
	rest   string // members other than input and model
	tokens bool   // the inputs are lists of tokens; OpenAI refuses those beside texts
}

// merged is one request to the provider, made of several callers'.
type merged struct {
	m     *merger
	terms terms
	x     gateway.Exchange
	timer *time.Timer

	first   *gateway.Request // of the member that opened it; what all of them hold is counted there
	body    []byte           // with the inputs so far; its capacity is counted
	weights []int            // bytes of each input, by which usage is shared
	members int              // that are not done
	closed  bool             // nobody may join any more
	done    chan struct{}

	reply   *gateway.Reply // when done: its status and header
	answer  []byte         // its body
	held    int64          // bytes of the answer that are counted
	data    [][]byte       // of each input, the members of its element but for the index; parts of the answer
	usage   chat.Usage
	attempt gateway.Attempt
	err     error
}

// embed answers a request for embeddings together with others; false if it has to go by itself.
func (m *merger) embed(x *gateway.Exchange, r *route, a *gateway.Attempt) (*gateway.Reply, bool, error) {
	body := x.Request.Body()
	if len(body) > mergeLargest {
		return nil, false, nil
	}
	most := m.s.p.c.Merge.Inputs / 2
	inputs, agreed := separate(body, a.Model, most)
	if len(inputs) == 0 || len(inputs) > most {
		return nil, false, nil
	}
	b, from, err := m.join(x, r, agreed, inputs)
	if err != nil {
		return nil, true, err
	}
	defer m.leave(b)
	a.Sent = true // with the others', who may not leave
	select {
	case <-b.done:
	case <-x.Context().Done():
		return nil, true, x.Cause()
	}
	if b.err == nil && b.reply.Status >= 400 && b.reply.Status != 429 && b.reply.Status < 500 && len(b.weights) > len(inputs) {
		return nil, false, nil // perhaps it is another caller's input that the provider does not want
	}
	reply, err := b.share(x, a, from, len(inputs))
	return reply, true, err
}

// separate takes the inputs out of a body, and no more than one beyond so many; none if they have a shape that is not known.
func separate(body []byte, model string, most int) (inputs [][]byte, t terms) {
	var rest []byte
	peek.Each(body, func(k, v []byte) bool {
		switch string(k) {
		case "model":
		case "input":
			inputs = listed(v, most)
		default:
			rest = append(append(append(rest, `,"`...), k...), `":`...)
			rest = append(rest, v...)
		}
		return true
	})
	return inputs, terms{model: model, rest: string(rest), tokens: len(inputs) > 0 && inputs[0][0] == '['}
}

// listed is what is to be embedded, and no more than one beyond so many: of a string or a list of tokens one, of a list of
// those several.
func listed(v []byte, most int) (inputs [][]byte) {
	if v[0] != '[' {
		if v[0] == '"' {
			inputs = [][]byte{v}
		}
		return inputs
	}
	tokens := false
	peek.Elements(v, func(e []byte) bool {
		tokens = e[0] != '"' && e[0] != '['
		inputs = append(inputs, e)
		return !tokens && len(inputs) <= most
	})
	if tokens {
		return [][]byte{v}
	}
	return inputs
}

// join adds inputs to a request that is still open, or opens one. The error says that there is no room for them; otherwise
// leave must follow.
func (m *merger) join(x *gateway.Exchange, r *route, t terms, inputs [][]byte) (b *merged, from int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b = m.open[t]
	if b != nil && len(b.weights)+len(inputs) > m.s.p.c.Merge.Inputs {
		m.dispatch(b, r)
		b = nil
	}
	if b == nil {
		b = &merged{m: m, terms: t, first: &x.Request, done: make(chan struct{})}
		b.x.Init(x.ID, x.Request.Endpoint, noHeader{}, b)
		b.x.Caller = gateway.Caller{Tenant: x.Caller.Tenant}
	}
	from = len(b.weights)
	if err := b.add(inputs); err != nil {
		return nil, 0, err
	}
	if b.members++; from == 0 {
		m.open[t] = b
		b.timer = time.AfterFunc(m.s.p.c.Merge.Window, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.dispatch(b, r)
		})
	}
	if len(b.weights) == m.s.p.c.Merge.Inputs {
		m.dispatch(b, r)
	}
	return b, from, nil
}

// add puts inputs into the body, if the budget of all requests has room for them.
func (b *merged) add(inputs [][]byte) error {
	var head []byte
	if b.body == nil {
		head = append(shape.AppendString([]byte(`{"model":`), b.terms.model), b.terms.rest...)
		head = append(head, `,"input":[`...)
	}
	size := len(b.body) + len(head) + len(bodyEnd)
	for _, in := range inputs {
		size += len(",") + len(in)
	}
	if size > cap(b.body) {
		size = max(size, 2*cap(b.body))
		if err := b.first.Take(int64(size - cap(b.body))); err != nil {
			return err
		}
		b.body = append(make([]byte, 0, size), b.body...)
	}
	b.body = append(b.body, head...)
	for _, in := range inputs {
		if len(b.weights) > 0 {
			b.body = append(b.body, ',')
		}
		b.body, b.weights = append(b.body, in...), append(b.weights, len(in))
	}
	return nil
}

const bodyEnd = "]}"

// dispatch sends a request, once; m.mu is held.
func (m *merger) dispatch(b *merged, r *route) {
	if b.closed {
		return
	}
	b.closed = true
	b.timer.Stop()
	delete(m.open, b.terms)
	go b.run(r)
}

// leave ends one member's part. The last one ends the request, so that nothing of it outlives its callers, and gives the
// answer back.
func (m *merger) leave(b *merged) {
	m.mu.Lock()
	b.members--
	last := b.members == 0
	unsent := last && !b.closed
	if unsent {
		b.closed = true
		b.timer.Stop()
		delete(m.open, b.terms)
	}
	m.mu.Unlock()
	if !last {
		return
	}
	if unsent {
		b.x.End(nil)
		close(b.done)
	}
	b.x.Cancel(gateway.ErrGone)
	<-b.done
	m.s.p.c.Budget.give(b.held)
	b.held = 0
}

// noHeader is the header of a request that no caller sent.
type noHeader struct{}

// Get implements gateway.Header.
func (noHeader) Get(string) []byte { return nil }

// Load implements gateway.Body.
func (b *merged) Load() ([]byte, error) { return append(b.body, bodyEnd...), nil }

// Free implements gateway.Body.
func (b *merged) Free() {
	b.first.Give(int64(cap(b.body)))
	b.body = nil
}

// run makes the request and reads its reply.
func (b *merged) run(r *route) {
	defer close(b.done)
	defer b.x.End(nil)
	defer func() { // no transport stands below this goroutine that would do it
		if r := recover(); r != nil {
			b.err = fmt.Errorf("panic in merged embeddings: %v\n%s", r, debug.Stack())
		}
	}()
	if b.err = b.x.Request.Open(); b.err != nil {
		return
	}
	b.attempt = gateway.Attempt{Provider: b.m.s.p.c.Name, Model: b.terms.model, Start: gateway.Now()}
	if b.reply, b.err = b.m.s.send(&b.x, &b.attempt, r, nil); b.err != nil {
		return
	}
	defer func() {
		_ = b.reply.Stream.Close()
		b.usage = b.x.Usage
	}()
	ev, err := b.reply.Stream.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
		return
	}
	answer := bytes.Clone(ev.Data)
	if b.err = b.m.s.p.c.Budget.take(int64(cap(answer))); b.err != nil {
		return
	}
	b.answer, b.held = answer, int64(cap(answer))
	if _, err := b.reply.Stream.Next(); !errors.Is(err, io.EOF) {
		b.err = err
	} else if b.reply.Status < 300 && !b.read() {
		b.err = b.m.s.fault(&b.x, errMalformed, true)
	}
}

// read finds the embedding of each input; false unless there is exactly one for each: what belongs to whom is not guessed.
func (b *merged) read() bool {
	b.data = make([][]byte, len(b.weights))
	at, sure := 0, true
	peek.Elements(peek.Find(b.answer, []byte(`"data"`)), func(e []byte) bool {
		i, ok := peek.Int(peek.Find(e, []byte(`"index"`)))
		if !ok {
			i = int64(at)
		}
		at++
		if sure = i >= 0 && i < int64(len(b.data)) && b.data[i] == nil; sure {
			b.data[i] = peek.Find(e, []byte(`"embedding"`))
		}
		return sure
	})
	return sure && !slices.ContainsFunc(b.data, func(d []byte) bool { return d == nil })
}

// share is one member's reply: the elements of its inputs, from one on, and its part of the usage.
func (b *merged) share(x *gateway.Exchange, a *gateway.Attempt, from, n int) (*gateway.Reply, error) {
	a.Status, a.RequestID, a.Reused, a.Resent = b.attempt.Status, b.attempt.RequestID, b.attempt.Reused, b.attempt.Resent
	a.First, a.Total, a.Joined = gateway.Since(a.Start), gateway.Since(a.Start), from > 0
	if b.err != nil {
		a.Err = b.err
		return nil, b.err
	}
	reply := &gateway.Reply{Status: b.reply.Status, ContentType: b.reply.ContentType, Header: slices.Clone(b.reply.Header)}
	out := b.answer
	if reply.Status < 300 {
		a.Usage = b.part(from, n)
		x.Usage = a.Usage
		out = b.render(b.data[from:from+n], a.Usage.Input)
	}
	var err error
	if reply.Stream, err = b.m.s.p.c.Budget.once(out); err != nil {
		return nil, err
	}
	return reply, nil
}

// render is the body of a reply with some of the embeddings.
func (b *merged) render(data [][]byte, tokens int64) []byte {
	size := 200
	for _, d := range data {
		size += len(d) + 60
	}
	out := append(make([]byte, 0, size), `{"object":"list","data":[`...)
	for i, d := range data {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(append(out, `{"object":"embedding","index":`...), int64(i), 10)
		out = append(append(append(out, `,"embedding":`...), d...), '}')
	}
	out = append(out, `],"model":`...)
	if model := peek.Find(b.answer, []byte(`"model"`)); model != nil {
		out = append(out, model...)
	} else {
		out = shape.AppendString(out, b.terms.model)
	}
	out = strconv.AppendInt(append(out, `,"usage":{"prompt_tokens":`...), tokens, 10)
	out = strconv.AppendInt(append(out, `,"total_tokens":`...), tokens, 10)
	return append(out, "}}"...)
}

// part shares the usage out by the length of the inputs, so that the parts sum up to what the provider counts.
func (b *merged) part(from, n int) chat.Usage {
	if b.usage.Provenance != chat.Reported {
		return b.usage
	}
	var all, before, through int64
	for i, w := range b.weights {
		all += int64(w)
		if i < from {
			before += int64(w)
		}
		if i < from+n {
			through += int64(w)
		}
	}
	total := b.usage.Prompt()
	u := chat.Usage{Input: total*through/all - total*before/all, Provenance: chat.Estimated}
	if n == len(b.weights) {
		u.Provenance = chat.Reported
	}
	return u
}
