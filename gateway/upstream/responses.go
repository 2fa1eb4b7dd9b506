package upstream

import (
	"io"
	"net/url"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

const createResponse = "responses.create"

// read is the caller's request in the neutral form. References to items of earlier responses are looked up; what is said of
// keeping the answer is what will be done. The error is an *Error.
func (p *Provider) read(x *gateway.Exchange) (*chat.Request, error) {
	if x.Request.Endpoint.Name != createResponse {
		return x.Request.Chat()
	}
	q, err := responses.Decode(x.Request.Body(), func(id string) []byte { return p.item(x.Caller.Tenant.ID, id) })
	if err != nil {
		return nil, gateway.BadRequest(err)
	}
	if q.Dialect = x.Request.Endpoint.Dialect; !p.c.Stored.Keeps() {
		q.Store = new(bool)
	}
	return q, nil
}

// item finds an item that was part of an earlier response of the tenant's.
func (p *Provider) item(whose tenant.ID, id string) []byte {
	response, ok := responses.ResponseOf(id)
	if !ok {
		return nil
	}
	a := p.c.Stored.get(whose, response)
	if a == nil {
		return nil
	}
	if item := responses.Item(responses.OutputItems(a.body), id); item != nil {
		return item
	}
	return responses.Item(a.input, id)
}

// continued is the request with the conversation that it goes on from. The error is an *Error.
func (p *Provider) continued(x *gateway.Exchange, q *chat.Request) (*chat.Request, error) {
	for _, m := range q.Extra {
		if needsState(m) {
			return nil, p.stateless(m.Name)
		}
	}
	if q.Previous == "" {
		return q, nil
	}
	before := p.c.Stored.get(x.Caller.Tenant.ID, q.Previous)
	if before == nil || before.turns == nil {
		return nil, p.missing(x, q.Previous)
	}
	return responses.Continue(q, before.turns), nil
}

// needsState says whether a member of a Responses request means something that only OpenAI's own service keeps.
func needsState(m chat.Member) bool {
	switch m.Name {
	case "background":
		return string(m.Value) == "true"
	case "conversation", "prompt":
		return true
	}
	return false
}

func (p *Provider) stateless(param string) error {
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: gateway.CodeUnsupported, Param: param, Origin: gateway.OriginClient, NoRetry: true,
		Message: "The provider \"" + p.c.Name + "\" has no Responses API of its own, so \"" + param + "\" is not possible there. " +
			"Send the whole conversation as input.",
	}
}

// missing is the error for a response that the gateway does not keep, or not any more, or for another tenant.
func (p *Provider) missing(x *gateway.Exchange, id string) error {
	e := &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "previous_response_not_found", Param: "previous_response_id",
		Origin: gateway.OriginClient, NoRetry: true,
		Message: "Previous response with id '" + id + "' not found. The gateway keeps answers of providers without a Responses API in " +
			"memory and for a limited time: send the whole conversation.",
	}
	if x.Request.Param != "" {
		e.Status, e.Code, e.Param, e.Message = 404, "not_found", "id", "Response with id '"+id+"' not found."
	}
	if !p.c.Stored.Keeps() {
		e.Status, e.Code = 400, gateway.CodeUnsupported
		e.Message = "The gateway keeps no answers of providers without a Responses API, because \"responses.memory\" is 0 in its " +
			"configuration. Send the whole conversation as input."
	}
	return e
}

// mayAsk refuses to ask a provider about a response that is known to be another tenant's, or that is no provider's: the
// gateway has made it, and would have found it. The error is an *Error.
func (p *Provider) mayAsk(x *gateway.Exchange, r *route) error {
	if !r.response {
		return nil
	}
	id, _ := gateway.SplitID(x.Request.Param)
	if id == "" {
		id = x.Request.Member(`"previous_response_id"`)
	}
	switch whose, _, known := p.c.Stored.noted(id); {
	case known && whose != x.Caller.Tenant.ID:
		return errForeign
	case !known && gateway.IsResponseID(id):
		return p.missing(x, id)
	}
	return nil
}

var errForeign = &gateway.Error{
	Status: 404, Type: gateway.TypeInvalidRequest, Code: "not_found", Origin: gateway.OriginClient, Message: "There is no response with this id.",
}

// keeps says whether the answer to a request is to be stored here.
func (p *Provider) keeps(x *gateway.Exchange, q *chat.Request) bool {
	return p.c.Stored.Keeps() && x.Request.Endpoint.Name == createResponse && (q.Store == nil || *q.Store)
}

// conversation is what an answer belongs to.
type conversation struct {
	asked, own *chat.Request // with what it went on from, and without
	whole      *wholeAnswer  // nil: the reply is all of the answer
}

// remember stores a translated answer; body is the response object as the caller gets it.
func (p *Provider) remember(x *gateway.Exchange, c *conversation, reply *chat.Reply, body []byte) {
	id, ok := peek.String(peek.Find(body, []byte(`"id"`)))
	if !ok {
		return
	}
	p.c.Stored.put(x.Caller.Tenant.ID, id, &answer{
		provider: p.c.Name, body: slices.Clone(body), input: responses.InputItems(c.own, id), turns: responses.Conversation(c.asked, reply),
	})
}

// note remembers that this provider keeps an answer which it made itself. ev is the first event of the reply, or all of it.
func (p *Provider) note(x *gateway.Exchange, ev gateway.Event) {
	if string(peek.Find(x.Request.Body(), []byte(`"store"`))) == "false" {
		return
	}
	object := ev.Data
	if inner := peek.Find(object, []byte(`"response"`)); inner != nil {
		object = inner
	}
	if id, ok := peek.String(peek.Find(object, []byte(`"id"`))); ok {
		p.c.Stored.Note(x.Caller.Tenant.ID, id, p.c.Name)
	}
}

// failNative ends a stream that was passed on: with the provider's own event if it was that which ended it, byte for byte but
// for ids. Events of the Responses API are numbered, and so is an error; one that is followed later goes on behind the event
// that the query names.
func (st *stream) failNative(dst []byte, e chat.Error) []byte {
	if st.failed != nil {
		return append(dst, st.failed...)
	}
	if st.r.dialect != wire.Responses {
		return st.r.dialect.AppendFailure(dst, e)
	}
	n := st.passed
	if q, err := url.ParseQuery(st.x.Request.Query); err == nil {
		if after, err := strconv.ParseInt(q.Get("starting_after"), 10, 32); err == nil && after >= 0 {
			n += after + 1
		}
	}
	return responses.AppendFailureAfter(dst, e, n)
}

// kept answers what is asked about an answer that is stored here.
func (p *Provider) kept(x *gateway.Exchange) (*gateway.Reply, error) {
	whose, id := x.Caller.Tenant.ID, x.Request.Param
	a := p.c.Stored.get(whose, id)
	if a == nil || a.body == nil {
		return nil, p.missing(x, id)
	}
	var body []byte
	switch x.Request.Endpoint.Name {
	case "responses.retrieve":
		stream, after, err := responses.ReadReplay(x.Request.Query)
		switch {
		case err != nil:
			return nil, gateway.BadRequest(err)
		case stream && x.Request.NoStream != nil:
			return nil, x.Request.NoStream
		case stream:
			return p.replay(a.body, after)
		}
		body = slices.Clone(a.body)
	case "responses.delete":
		p.c.Stored.remove(whose, id)
		body = []byte(`{"id":` + strconv.Quote(id) + `,"object":"response","deleted":true}`)
	case "responses.input_items":
		page, err := responses.ReadPage(x.Request.Query)
		if err == nil {
			body, err = responses.AppendItems(nil, a.input, page)
		}
		if err != nil {
			return nil, gateway.BadRequest(err)
		}
	default:
		return nil, &gateway.Error{
			Status: 400, Type: gateway.TypeInvalidRequest, Code: "not_cancellable", Origin: gateway.OriginClient,
			Message: "Only a response that was created with \"background\": true can be cancelled.",
		}
	}
	return &gateway.Reply{Status: 200, ContentType: "application/json", Kind: gateway.Whole, Stream: gateway.Once(body)}, nil
}

// replay tells an answer that is stored here as a stream.
func (p *Provider) replay(body []byte, after int64) (*gateway.Reply, error) {
	const times = 8 // each text comes in five events, and all that is said of the request in three
	r := &replayed{budget: p.c.Budget, held: times * int64(len(body))}
	if err := r.budget.take(r.held); err != nil {
		return nil, err
	}
	responses.Replay(&r.batch, body, after)
	return &gateway.Reply{Status: 200, ContentType: "text/event-stream", Kind: gateway.Events, Stream: r}, nil
}

// replayed is a stream of events that are all there. They are counted until it is closed.
type replayed struct {
	batch  chat.Batch
	budget *Budget
	held   int64
}

// Next implements gateway.Stream.
func (r *replayed) Next() (gateway.Event, error) {
	name, data, ok := r.batch.Next()
	if !ok {
		return gateway.Event{}, io.EOF
	}
	return gateway.Event{Name: name, Data: data}, nil
}

// Ready implements gateway.Stream.
func (r *replayed) Ready() bool { return true }

// Close implements gateway.Stream.
func (r *replayed) Close() error {
	r.budget.give(r.held)
	r.held = 0
	return nil
}
