package socket

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

const responsesEndpoint = "responses.create"

// Limits of OpenAI's WebSocket mode (platform.openai.com/docs/guides/websocket-mode, November 2026).
const (
	responsesLife   = time.Hour // of a connection
	responsesAtOnce = 16        // responses in flight
	responsesLanes  = 32        // with a name
	longestLane     = 256       // bytes of a name
	responsesQueue  = 256       // that wait for their turn; this bound is ours
)

// responsesDialog is OpenAI's Responses API in its WebSocket mode. Each response.create is an exchange of its own; those of one lane
// come one after another. Each lane remembers its last response, so that one which nobody stores can be gone on from, here.
type responsesDialog struct {
	mu      sync.Mutex
	lanes   map[string]*lane // "" is the one without a name
	waiting []*turn          // in the order in which they came
	running int
	closed  bool
}

// lane is a sequence of responses.
type lane struct {
	busy bool
	last memory
}

// turn is a response that is asked for.
type turn struct {
	lane   string // "": none was named
	create create
	m      *message // the body of its exchange
}

func newResponsesDialog() *responsesDialog { return &responsesDialog{lanes: map[string]*lane{}} }

func (*responsesDialog) protocol() string    { return "responses" }
func (*responsesDialog) life() time.Duration { return responsesLife }

func (*responsesDialog) outlived() []byte {
	return appendResponsesError(nil, "", &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "websocket_connection_limit_reached",
		Message: "The connection has been open for 60 minutes. Open another one, and send the whole conversation.",
	})
}

func (*responsesDialog) refused(e *gateway.Error) []byte { return appendResponsesError(nil, "", e) }

func (d *responsesDialog) message(s *socket, m *message) {
	c, err := parseCreate(*m.text)
	kind := c.kind
	if kind != "response.create" && kind != "response.steer" {
		kind = "other"
	}
	s.hub.metrics.messages.WithLabelValues(d.protocol(), kind).Inc()
	if wait := s.bucket.take(); wait > 0 {
		err = tooManyMessages(wait)
	}
	if err == nil {
		switch kind {
		case "response.create":
			if err = d.create(s, m, c); err == nil {
				return // the turn has the message
			}
		case "response.steer":
			s.say(appendSteerFailed(nil, c))
		default:
			err = errResponsesKind
		}
	}
	m.free()
	if err != nil {
		d.fail(s, c.lane, c.previous, gateway.AsError(err))
	}
}

// fail tells of an error that no exchange tells of. It evicts what it was about.
func (d *responsesDialog) fail(s *socket, lane, previous string, e *gateway.Error) {
	d.evict(lane, previous)
	s.say(appendResponsesError(nil, lane, e))
}

// create gives a response its place in its lane. The error is an *Error, and the message is still the caller's.
func (d *responsesDialog) create(s *socket, m *message, c create) error {
	if s.hub.drains() {
		return gateway.AsError(gateway.ErrDrain)
	}
	d.mu.Lock()
	l := d.lanes[c.lane]
	switch {
	case l == nil && c.lane != "" && d.named() >= responsesLanes:
		d.mu.Unlock()
		return errLanes
	case len(d.waiting) >= responsesQueue:
		d.mu.Unlock()
		return errBusySocket
	case l == nil:
		d.lanes[c.lane] = &lane{}
	}
	d.waiting = append(d.waiting, &turn{lane: c.lane, create: c, m: m})
	d.mu.Unlock()
	d.advance(s)
	return nil
}

// named is how many lanes have a name. d.mu is held.
func (d *responsesDialog) named() int {
	n := len(d.lanes)
	if d.lanes[""] != nil {
		n--
	}
	return n
}

// advance begins what may begin.
func (d *responsesDialog) advance(s *socket) {
	for {
		t := d.begins()
		if t == nil {
			return
		}
		again, err := d.begin(s, t)
		if err != nil {
			t.m.free()
			d.fail(s, t.lane, t.create.previous, gateway.AsError(err))
		}
		if !again {
			continue
		}
		d.over(t)
	}
}

// begins takes the first turn out of those that wait whose lane is free; nil if there is none.
func (d *responsesDialog) begins() *turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running >= responsesAtOnce || d.closed {
		return nil
	}
	i := slices.IndexFunc(d.waiting, func(t *turn) bool { return !d.lanes[t.lane].busy })
	if i < 0 {
		return nil
	}
	t := d.waiting[i]
	d.waiting = slices.Delete(d.waiting, i, i+1)
	d.lanes[t.lane].busy = true
	d.running++
	return t
}

// begin makes a turn an exchange, or answers it. over says that it is over: then t's message is still t's with an error.
func (d *responsesDialog) begin(s *socket, t *turn) (over bool, err error) {
	before, err := d.before(&t.create)
	if err != nil {
		return true, err
	}
	if t.create.warmUp {
		return true, d.warmUp(s, t, before)
	}
	if err := t.create.rewrite(t.m, before, true); err != nil {
		return true, err
	}
	if e := s.begin(t.m, &responsesSpeech{d, t, s}, name{}); e != nil {
		return true, e
	}
	return false, nil
}

// over is told that a turn is over.
func (d *responsesDialog) over(t *turn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	d.lanes[t.lane].busy = false
}

// before is what a response goes on from, if the connection remembers it: items with commas between them. The error is an *Error:
// nobody can know it.
func (d *responsesDialog) before(c *create) (items []byte, err error) {
	if c.previous == "" {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lanes {
		switch {
		case l.last.id != c.previous:
		case l.last.kept():
			return slices.Clone(l.last.items()), nil
		default: // whoever stores it knows
			return nil, nil
		}
	}
	if c.unstored {
		return nil, errPrevious(c.previous)
	}
	return nil, nil
}

// remember keeps a lane's last response, which is in its last event. Of one that is stored elsewhere its id will do.
func (d *responsesDialog) remember(s *socket, t *turn, event []byte) {
	response := peek.Find(event, []byte(`"response"`))
	id, ok := peek.String(peek.Find(response, []byte(`"id"`)))
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[t.lane]
	l.last.free()
	if !ok || d.closed {
		return
	}
	l.last.id = id
	if t.create.unstored || t.create.warmUp {
		l.last.keep(s.hub, appendItems(t.create.said, peek.Find(response, []byte(`"output"`))))
	}
}

// evict forgets a lane's last response if it is that one: an error was about it.
func (d *responsesDialog) evict(lane, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[lane]; l != nil && id != "" && l.last.id == id {
		l.last.free()
	}
}

// warmUp answers a create that is to generate nothing: it gets a response without output, to go on from.
func (d *responsesDialog) warmUp(s *socket, t *turn, before []byte) error {
	if _, e := s.present(s.fields.Load()); e != nil {
		return e
	}
	if err := t.create.rewrite(t.m, before, false); err != nil {
		return err
	}
	if _, err := peek.Scan(*t.m.text); err != nil {
		return badMember("model")
	}
	q, err := responses.DecodeRequest(*t.m.text)
	if err != nil {
		return gateway.BadRequest(err)
	}
	body := responses.AppendReply(nil, q, &chat.Reply{
		Head: chat.Head{ID: gateway.ResponseID(serve.NewID()), Model: q.Model, Created: time.Now().Unix()}, Usage: chat.Usage{Provenance: chat.Reported},
	})
	t.m.free()
	var b chat.Batch
	responses.Replay(&b, body, -1)
	var frames []byte
	for name, data, ok := b.Next(); ok; name, data, ok = b.Next() {
		if responses.Ends(name, data) {
			d.remember(s, t, data)
		}
		frames = appendFrame(frames, appendInLane(nil, data, t.lane))
	}
	s.post(frames)
	return nil
}

// hungUp frees what is held for a connection that is gone.
func (d *responsesDialog) hungUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, t := range d.waiting {
		t.m.free()
	}
	d.waiting = nil
	for _, l := range d.lanes {
		l.last.free()
	}
}

// responsesSpeech puts an exchange into the words of the Responses API: the events of its stream, each with its lane.
type responsesSpeech struct {
	d *responsesDialog
	t *turn
	s *socket
}

// event remembers the response with its last event: the client may go on from it as soon as it has that.
func (r *responsesSpeech) event(b []byte, x *exchange, _ int64, ev gateway.Event) ([]byte, bool) {
	if bytes.Equal(ev.Data, terminal) { // some providers end every stream with it
		return b, false
	}
	if x.dialect.Ends(ev.Name, ev.Data) {
		r.d.remember(r.s, r.t, ev.Data)
	}
	return appendInLane(b, ev.Data, r.t.lane), true
}

// done says nothing: the stream's last event did.
func (r *responsesSpeech) done(b []byte, _ *exchange, _ int64) ([]byte, bool) { return b, false }

func (r *responsesSpeech) failed(b []byte, x *exchange, _ int64, e *gateway.Error) []byte {
	r.d.evict(r.t.lane, r.t.create.previous)
	if x.Reply != nil && x.Reply.Failure != nil {
		if data := dataOf(x.Reply.Failure(nil, serve.Said(e, x.ID))); !isError(data) {
			return appendInLane(b, data, r.t.lane)
		}
	}
	if e.Status == 0 {
		e = &gateway.Error{Status: 500, Type: e.Type, Code: e.Code, Param: e.Param, Message: e.Message}
	}
	return appendResponsesError(b, r.t.lane, e)
}

func (r *responsesSpeech) ended(*exchange) {
	r.d.over(r.t)
	r.d.advance(r.s)
}

// dataOf is the data of a framed event.
func dataOf(framed []byte) []byte {
	var data []byte
	for line := range strings.Lines(string(framed)) {
		if d, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(d, " ")...)
		}
	}
	return []byte(strings.TrimSpace(string(data)))
}

// isError says whether an event is the one that HTTP streams have for errors, which is another one here.
func isError(data []byte) bool {
	kind, ok := peek.String(peek.Find(data, []byte(`"type"`)))
	return !ok || kind == "error"
}

// appendInLane adds an event of a lane; "" is the one without a name.
func appendInLane(b, data []byte, lane string) []byte {
	end := len(data)
	for end > 0 && data[end-1] != '}' {
		end--
	}
	if lane == "" || end == 0 {
		return append(b, data...)
	}
	b = append(append(b, data[:end-1]...), `,"stream_id":"`...)
	return append(append(b, lane...), `"}`...)
}

// appendResponsesError adds the event that tells of an error. Unlike that of an HTTP stream, it has its error inside.
func appendResponsesError(b []byte, lane string, e *gateway.Error) []byte {
	b = strconv.AppendInt(append(b, `{"type":"error","status":`...), int64(e.Status), 10)
	if lane != "" {
		b = append(append(append(b, `,"stream_id":"`...), lane...), '"')
	}
	return append(appendErrorMember(append(b, ','), e, ""), '}')
}

// appendSteerFailed adds the answer to input that is to steer a response under way: it goes back to the client.
func appendSteerFailed(b []byte, c create) []byte {
	b = append(b, `{"type":"response.steer.failed","sequence_number":0,"steer":{"input":`...)
	if c.input == nil {
		b = append(b, "null"...)
	}
	b = shape.AppendString(append(append(b, c.input...), `,"previous_response_id":`...), c.previous)
	return append(b, `},"error":{"type":"invalid_request_error","code":"steering_not_supported",`+
		`"message":"Responses cannot be steered here. Wait for the end, and send the input with response.create."}}`...)
}

var (
	errResponsesKind = invalid("unknown_type", "The gateway knows messages of the types response.create and response.steer.")
	errLanes         = invalid("websocket_stream_limit_reached", "There are 32 values of \"stream_id\" on this connection, which is the most. Use one of them.")
)

func errPrevious(id string) *gateway.Error {
	e := invalid("previous_response_not_found", "Previous response with id '"+id+"' not found. It was not stored, and this connection does not remember it: send the whole conversation.")
	e.Param = "previous_response_id"
	return e
}

var (
	_ dialog = (*responsesDialog)(nil)
	_ speech = (*responsesSpeech)(nil)
)
