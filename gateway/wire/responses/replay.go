package responses

import (
	"math"
	"net/url"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// ReadReplay reads from the query of GET /v1/responses/{id} whether the response is wanted as a stream, and the number of the
// event behind which that is to begin; -1 for all of it. The error is a *chat.Error that names the parameter.
func ReadReplay(query string) (stream bool, after int64, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false, 0, (&shape.Fault{Text: "the query of the URL cannot be read"}).Refusal()
	}
	switch s := values.Get("stream"); s {
	case "true":
	case "", "false":
		return false, -1, nil
	default:
		return false, 0, shape.Must("true or false").In("stream").Refusal()
	}
	s := values.Get("starting_after")
	if s == "" {
		return true, -1, nil
	}
	after, ok := peek.Int([]byte(s))
	if !ok || after < 0 || after > math.MaxInt32 {
		return false, 0, shape.Must("the number of an event").In("starting_after").Refusal()
	}
	return true, after, nil
}

// Replay writes the events of a response that is complete, as they would come if each of its texts, thoughts and arguments
// came at once; those up to the number after are left out. The last one, which repeats the whole response, always comes: when
// the response was made it may have been told in more events than there are now.
func Replay(dst *chat.Batch, response []byte, after int64) {
	var a answer
	a.read(response)
	r := replay{after: after}
	r.o.head.ID = a.ID
	for _, kind := range [...]string{"response.created", "response.in_progress"} {
		r.event(&r.batch, kind)
		r.batch.Buf = append(appendBegun(append(r.batch.Buf, `,"response":`...), response), '}')
	}
	r.flush(dst)
	peek.Elements(a.output, func(v []byte) bool {
		r.item(v)
		r.flush(dst)
		return true
	})
	r.sequence = max(r.sequence, after+1)
	r.flushed = r.sequence
	r.event(&r.batch, "response."+a.status)
	r.batch.Buf = append(append(append(r.batch.Buf, `,"response":`...), response...), '}')
	r.flush(dst)
}

// replay is an encoder for what is known as a whole.
type replay struct {
	encoder
	after   int64
	flushed int64 // how many events have been in batch
	batch   chat.Batch
}

// flush hands on the events that are wanted of those that were made.
func (r *replay) flush(dst *chat.Batch) {
	for {
		name, data, ok := r.batch.Next()
		if !ok {
			r.batch.Reset()
			return
		}
		if r.flushed > r.after {
			dst.Event(name)
			dst.Buf = append(dst.Buf, data...)
		}
		r.flushed++
	}
}

// item writes the events of one item.
func (r *replay) item(v []byte) {
	parts, _ := readOutput(v)
	items := itemsOf(parts, true, func(string) {})
	if len(items) != 1 { // a message without words, or what is no item
		items = []item{{kind: hostedItem, raw: v}}
	}
	whole := &items[0]
	status, _ := peek.String(peek.Find(v, []byte(`"status"`)))
	dst := &r.batch
	call := whole.call
	call.Arguments = ""
	it := r.open(dst, item{kind: whole.kind, id: whole.id, hidden: whole.hidden, call: call, raw: whole.raw})
	switch it.status = status; whole.kind {
	case messageItem:
		peek.Elements(peek.Find(v, []byte(`"content"`)), func(one []byte) bool {
			r.part(it, rawPart(one))
			return true
		})
	case reasoningItem:
		r.think(it, whole)
	case callItem:
		r.argue(dst, it, inside(whole.text.plain))
		it.secret = whole.secret
	case imageItem:
		it.text = whole.text
	}
	r.done(dst, it)
}

// rawPart is a part of a message as it stands there: what is said in annotations is of no matter.
func rawPart(v []byte) part {
	t := part{text: text{inside: []byte{}}}
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			t.refusal = string(val) == `"refusal"`
		case "text", "refusal":
			t.text.inside, _ = shape.Inside(val)
		case "annotations":
			t.notes = inner(val)
		case "logprobs":
			t.logprobs = inner(val)
		}
		return true
	})
	return t
}

// part writes the events of a part of a message but for its end.
func (r *replay) part(it *item, whole part) {
	dst := &r.batch
	r.partDone(dst, it)
	it.parts = append(it.parts, part{refusal: whole.refusal})
	r.of(dst, "response.content_part.added", it)
	r.inPart(dst, it)
	t := &it.parts[len(it.parts)-1]
	dst.Buf = append(t.append(append(dst.Buf, `,"part":`...)), '}')
	n := 0
	peek.Elements(append(append([]byte{'['}, whole.notes...), ']'), func(note []byte) bool {
		r.of(dst, "response.output_text.annotation.added", it)
		r.inPart(dst, it)
		dst.Buf = strconv.AppendInt(append(dst.Buf, `,"annotation_index":`...), int64(n), 10)
		dst.Buf = append(append(append(dst.Buf, `,"annotation":`...), note...), '}')
		n++
		return true
	})
	kind := "response.output_text.delta"
	if whole.refusal {
		kind = "response.refusal.delta"
	}
	r.of(dst, kind, it)
	r.inPart(dst, it)
	dst.Buf = whole.text.append(append(dst.Buf, `,"delta":`...))
	if !whole.refusal {
		dst.Buf = append(append(append(dst.Buf, `,"logprobs":[`...), whole.logprobs...), ']')
	}
	dst.Buf = append(dst.Buf, '}')
	*t = whole
}

// think writes the events of a thought but for its end.
func (r *replay) think(it, whole *item) {
	dst := &r.batch
	if !whole.text.empty() {
		r.of(dst, "response.reasoning_summary_part.added", it)
		dst.Buf = append(dst.Buf, `,"summary_index":0,"part":{"type":"summary_text","text":""}}`...)
		r.of(dst, "response.reasoning_summary_text.delta", it)
		dst.Buf = append(whole.text.append(append(dst.Buf, `,"summary_index":0,"delta":`...)), '}')
	}
	it.text, it.secret = whole.text, whole.secret
}

// appendBegun writes a response as it was when it began: nothing was said, and nothing is known of its end.
func appendBegun(dst, response []byte) []byte {
	var e []peek.Edit
	peek.Each(response, func(key, val []byte) bool {
		text := ""
		switch string(key) {
		case "status":
			text = `"` + inProgress + `"`
		case "output":
			text = "[]"
		case "usage", "incomplete_details", "error", "completed_at":
			text = "null"
		default:
			return true
		}
		at := cap(response) - cap(val)
		e = append(e, peek.Edit{At: at, End: at + len(val), Text: text})
		return true
	})
	return peek.Append(dst, response, e)
}
