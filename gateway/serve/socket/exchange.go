package socket

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// exchange is what one message has asked for. It runs on a goroutine of its own, and may change its socket meanwhile.
type exchange struct {
	gateway.Exchange
	hub        *Hub
	generation serve.Generation
	dialect    *wire.Dialect
	speaks     speech
	body       *message
	name       name // zero if it cannot be resumed

	wake      chan struct{}
	forgotten atomic.Bool // by the hub

	mu      sync.Mutex
	record  record
	counted int64   // bytes of it in Hub.bytes
	at      *socket // nil while the client is away
	told    *socket // that knows of frames to be written
	next    int64   // the frame that is written next
	over    bool    // the last event was recorded, or nobody wants it
	timer   *time.Timer
}

// speech puts what an exchange does into events of a protocol.
type speech interface {
	// event adds an event of the reply, with the number seq; false if clients do not get it.
	event(b []byte, x *exchange, seq int64, ev gateway.Event) ([]byte, bool)
	// done adds the event that ends a complete reply; false if that has come.
	done(b []byte, x *exchange, seq int64) ([]byte, bool)
	// failed adds the event that ends any other.
	failed(b []byte, x *exchange, seq int64, e *gateway.Error) []byte
	// ended is told that the last event is being written, or that nobody wants it.
	ended(x *exchange)
}

// begin makes an exchange of a message, which is its body from now on, and runs it. It is resumable if its name is not zero.
func (s *socket) begin(m *message, speaks speech, n name) *gateway.Error {
	h := s.hub
	x := &exchange{
		hub: h, speaks: speaks, body: m, name: n, dialect: wire.ByName(s.endpoint.Dialect), at: s, next: 1, record: record{first: 1},
		wake: make(chan struct{}, 1),
	}
	x.Init(serve.NewID(), s.endpoint, s.fields.Load(), x)
	x.Client = s.client
	if n != (name{}) && !h.register(x) {
		m.free()
		return errNameTaken
	}
	if !s.join(x) {
		m.free()
		x.forget()
		return gateway.AsError(gateway.ErrDrain)
	}
	h.running.Add(1)
	x.generation = h.generations.Acquire()
	x.Directory = x.generation.Directory()
	go x.run()
	return nil
}

// register makes an exchange one that can be resumed. One that has ended gives its name to another.
func (h *Hub) register(x *exchange) bool {
	for {
		other, taken := h.exchanges.LoadOrStore(x.name, x)
		if !taken {
			return true
		}
		if o := other.(*exchange); !o.isOver() { //nolint:forcetypeassert // nothing else is there
			return false
		}
		other.(*exchange).forget() //nolint:forcetypeassert // likewise
	}
}

// Load implements gateway.Body.
func (x *exchange) Load() ([]byte, error) {
	if err := x.hub.server.Allow(x.Caller.Tenant); err != nil {
		return nil, err
	}
	return *x.body.text, nil
}

// Free implements gateway.Body.
func (x *exchange) Free() { x.body.free() }

// Take implements gateway.Counted.
func (x *exchange) Take(n int64) error { return x.hub.server.Take(n) }

// Give implements gateway.Counted.
func (x *exchange) Give(n int64) { x.hub.server.Give(n) }

// run answers, and says how it ended.
func (x *exchange) run() {
	err := x.safely(x.answer)
	if err != nil {
		e := gateway.AsError(err)
		if x.Reply != nil && x.Reply.Kind == gateway.Events {
			e = serve.Failure(&x.Exchange, err)
		}
		x.conclude(func(b []byte, seq int64) ([]byte, bool) { return x.speaks.failed(b, x, seq, e), true })
	}
	if x.Reply != nil {
		if e := x.safely(x.Reply.Stream.Close); e != nil {
			x.hub.o.Log.Debug("closing a reply", zap.String("id", x.ID), zap.Error(e))
		}
	}
	if err == nil { // behind Close, because usage and cost are known then
		x.conclude(func(b []byte, seq int64) ([]byte, bool) { return x.speaks.done(b, x, seq) })
	}
	for _, p := range x.End(err) {
		x.hub.o.Log.Error("a plugin failed at the end of an exchange", zap.String("id", x.ID), zap.Error(p))
	}
	x.generation.Release()
	x.hub.running.Add(-1)
}

// safely makes an error of a panic: one exchange must not cost the others.
func (x *exchange) safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.hub.o.Log.Error("panic in an exchange", zap.String("id", x.ID), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// answer sends the exchange through the chain and records its reply.
func (x *exchange) answer() error {
	if err := x.generation.Serve(&x.Exchange); err != nil {
		return err
	}
	switch {
	case x.Reply == nil:
		return errNoReply
	case x.Reply.Kind != gateway.Events:
		return x.whole()
	}
	for st := x.Reply.Stream; ; {
		x.await()
		if x.isOver() {
			return gateway.ErrGone
		}
		ev, err := st.Next()
		for n := 0; err == nil; {
			if n += x.hear(ev); n >= batchMost || !st.Ready() {
				break
			}
			ev, err = st.Next()
		}
		x.tell()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// whole reads a reply that is no stream: that of a provider who refuses.
func (x *exchange) whole() error {
	ev, err := x.Reply.Stream.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	e := &gateway.Error{Status: x.Reply.Status, Type: gateway.TypeServer, Code: gateway.CodeInBand, Origin: gateway.OriginUpstream, Ends: true}
	if said, ok := x.dialect.DecodeError(ev.Data); ok {
		e.Type, e.Code, e.Param, e.Message = said.Type, said.Code, said.Param, said.Message
	}
	if x.Reply.Status < 300 {
		return errNoStream
	}
	_, _ = x.Reply.Stream.Next() // recorders in the chain learn only so that it was complete
	return e
}

// hear records an event, and says how many bytes it has.
func (x *exchange) hear(ev gateway.Event) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return 0
	}
	return x.add(len(ev.Data)+256, func(b []byte, seq int64) ([]byte, bool) { return x.speaks.event(b, x, seq, ev) })
}

// add records what text appends, if it says so. x.mu is held.
func (x *exchange) add(size int, text func(b []byte, seq int64) ([]byte, bool)) int {
	seq, before := x.record.next(), x.record.size(x.record.first)
	said := true
	x.record.add(size, func(b []byte) (c []byte) {
		c, said = text(b, seq)
		return c
	})
	if !said {
		x.record.undo()
		return 0
	}
	n := x.record.size(x.record.first) - before
	if x.at != nil {
		x.at.unsent.Add(int64(n))
	}
	x.trim()
	return n
}

// trim forgets what was written and need not be kept, or cannot. x.mu is held.
func (x *exchange) trim() {
	keep := int(x.hub.o.Keep)
	if x.name == (name{}) || x.hub.full() {
		keep = 0
	}
	r := &x.record
	if x.at != nil && r.size(r.first) > max(keep, batchLeast) {
		to := r.first
		for to < x.next && r.size(to) > keep/2 {
			to++
		}
		r.drop(to)
	}
	x.count()
}

// count counts what is recorded among that of all exchanges. x.mu is held.
func (x *exchange) count() {
	c := x.record.capacity()
	x.hub.bytes.Add(c - x.counted)
	x.counted = c
}

// await waits until there is room for more: until the socket has written most of what there is, or the client has come back.
func (x *exchange) await() {
	for {
		s, room := x.room()
		if room {
			return
		}
		if s != nil {
			s.waiting.Add(1)
			if s.unsent.Load() < queueMost { // it writes on, and may not have seen us wait
				x.nudge()
			}
		}
		select {
		case <-x.wake:
		case <-x.Context().Done():
			room = true
		}
		if s != nil {
			s.waiting.Add(-1)
		}
		if room {
			return
		}
	}
}

// room says whether there is some for more events; s is the socket, if there is one.
func (x *exchange) room() (s *socket, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch s = x.at; {
	case x.over:
		return s, true
	case s != nil:
		return s, s.unsent.Load() < queueMost
	}
	return nil, x.record.size(x.record.first) < int(x.hub.o.Keep) && !x.hub.full()
}

// nudge ends an await, which then looks again. It may be called with any lock held.
func (x *exchange) nudge() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// tell has what was recorded written.
func (x *exchange) tell() {
	x.mu.Lock()
	s := x.at
	news := s != nil && x.told != s && x.next < x.record.next()
	if news {
		x.told = s
	}
	x.mu.Unlock()
	if news {
		s.enqueue(x)
	}
	if s != nil {
		s.flush()
	}
}

// take adds frames that s has not written yet to a batch. rest says that there are more, last that the exchange has no more to say.
func (x *exchange) take(s *socket, batch *[]byte) (b *[]byte, rest, last bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.at != s {
		return batch, false, false
	}
	frames, next := x.record.some(x.next, batchMost)
	batch = lend(batch, frames)
	x.next = next
	if rest = next < x.record.next(); !rest {
		x.told = nil
	}
	return batch, rest, x.over && !rest
}

// conclude records the last event; only the first call counts. The exchange is kept for a while if it can be resumed.
func (x *exchange) conclude(text func(b []byte, seq int64) ([]byte, bool)) {
	x.mu.Lock()
	if x.over {
		x.mu.Unlock()
		return
	}
	x.add(512, text)
	x.over = true
	resumable := x.name != (name{})
	if resumable {
		x.rest()
	}
	s, silent := x.at, x.next == x.record.next()
	x.mu.Unlock()
	x.tell()
	if silent && s != nil { // its last event was written before it was known that it is the last
		x.delivered(s)
	}
	if resumable {
		x.hub.keepOver(x)
	}
}

// rest gives the client the time of grace to come, from now on. x.mu is held.
func (x *exchange) rest() {
	if x.timer == nil {
		x.timer = time.AfterFunc(x.hub.o.Grace, x.expire)
		return
	}
	x.timer.Reset(x.hub.o.Grace)
}

// expire is called when nobody has come for an exchange.
func (x *exchange) expire() {
	x.mu.Lock()
	wanted := x.at != nil && !x.over
	x.mu.Unlock()
	if !wanted {
		x.abandon()
		x.forget()
	}
}

// delivered is told that the last event is being written to s.
func (x *exchange) delivered(s *socket) {
	x.mu.Lock()
	mine := x.at == s
	if mine {
		x.at = nil
		if x.name == (name{}) || x.forgotten.Load() {
			x.record.free()
			x.count()
		}
	}
	x.mu.Unlock()
	if mine {
		x.speaks.ended(x)
		s.leave(x)
	}
}

// isOver says whether nothing more will be recorded.
func (x *exchange) isOver() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.over
}

// attach gives the exchange to a socket, which gets what came behind the event with that number. What a client has asked for
// before it reconnected may be read behind what it asks for now, so that a newer socket keeps it.
func (x *exchange) attach(s *socket, after int64) *gateway.Error {
	x.mu.Lock()
	switch {
	case x.at != nil && x.at.number > s.number && !x.at.ending():
		x.mu.Unlock()
		return errNewer
	case x.forgotten.Load():
		x.mu.Unlock()
		return errUnknown
	case after+1 < x.record.first:
		x.mu.Unlock()
		return errGap
	case after+1 > x.record.next():
		x.mu.Unlock()
		return badMember("after")
	}
	old := x.at
	if old != nil {
		old.unsent.Add(-int64(x.record.size(x.next)))
	}
	x.at, x.told, x.next = s, nil, after+1
	s.unsent.Add(int64(x.record.size(x.next)))
	if x.timer != nil && !x.over {
		x.timer.Stop()
	}
	silent := x.over && x.next == x.record.next()
	x.mu.Unlock()
	if old != nil && old != s {
		old.leave(x)
	}
	if old != s && !s.join(x) {
		x.detach(s)
		return nil
	}
	x.nudge()
	x.tell()
	if silent {
		x.delivered(s)
	}
	return nil
}

// detach is told that its socket is gone. If the client cannot come back, the exchange ends.
func (x *exchange) detach(s *socket) {
	x.mu.Lock()
	if x.at != s {
		x.mu.Unlock()
		return
	}
	x.at, x.told = nil, nil
	if !x.over && x.name != (name{}) {
		x.rest()
		x.mu.Unlock()
		x.nudge()
		if x.hub.drains() {
			x.abandon()
		}
		return
	}
	x.mu.Unlock()
	if x.name == (name{}) {
		x.abandon()
		x.mu.Lock()
		x.record.free()
		x.count()
		x.mu.Unlock()
	}
}

// abandon ends an exchange that nobody waits for. Others may wait for the same answer, so that it goes on without a word.
func (x *exchange) abandon() {
	x.mu.Lock()
	wanted := x.at != nil
	over := x.over
	if !wanted {
		x.over = true
	}
	x.mu.Unlock()
	if !wanted && !over {
		x.Cancel(gateway.ErrGone)
		x.nudge()
		x.speaks.ended(x)
	}
}

// cancel ends an exchange because the client wants it to.
func (x *exchange) cancel() {
	x.conclude(func(b []byte, seq int64) ([]byte, bool) { return x.speaks.failed(b, x, seq, errCancelled), true })
	x.Cancel(gateway.ErrGone)
	x.nudge()
}

// forget makes an exchange one that cannot be resumed any more.
func (x *exchange) forget() {
	x.hub.exchanges.CompareAndDelete(x.name, x)
	if x.forgotten.Swap(true) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timer != nil {
		x.timer.Stop()
	}
	if x.at == nil {
		x.record.free()
		x.count()
	}
}

var (
	errNoReply = &gateway.Error{
		Status: 500, Type: gateway.TypeServer, Code: "no_reply",
		Message: "No plugin of the chain has answered. The request id leads to the cause in the gateway's log.",
	}
	errNoStream = &gateway.Error{
		Status: 502, Type: gateway.TypeServer, Code: gateway.CodeBadResponse, Origin: gateway.OriginUpstream,
		Message: "A stream was asked for and something else came.",
	}
	errNameTaken = &gateway.Error{
		Status: 409, Type: gateway.TypeInvalidRequest, Code: "duplicate_id", Param: "id", Origin: gateway.OriginClient, NoRetry: true,
		Message: "An exchange with this id is under way. Choose an id that is unique among yours, such as a random UUID.",
	}
	errUnknown = &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "unknown_exchange", Param: "id", Origin: gateway.OriginClient, NoRetry: true,
		Message: "There is no exchange of yours with this id, or not any more. Ask again.",
	}
	errNewer = &gateway.Error{
		Status: 409, Type: gateway.TypeInvalidRequest, Code: "resumed_elsewhere", Param: "id", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The exchange goes on on a connection that was opened later.",
	}
	errGap = &gateway.Error{
		Status: 410, Type: gateway.TypeInvalidRequest, Code: "resume_gap", Param: "after", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The events behind \"after\" are not kept any more. Ask again.",
	}
	errCancelled = &gateway.Error{
		Status: gateway.StatusClientGone, Type: gateway.TypeInvalidRequest, Code: "cancelled", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The exchange was cancelled.",
	}
	errBusySocket = &gateway.Error{
		Status: 429, Type: gateway.TypeRateLimit, Code: "too_many_exchanges", Origin: gateway.OriginClient,
		Message: "There are as many exchanges on this connection as there may be. Wait for one to end.",
	}
)
