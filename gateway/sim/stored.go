package sim

import (
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// stored is a response that a later request may continue.
type stored struct {
	request *chat.Request // with all that was said before
	said    *chat.Request // as it came
	reply   *chat.Reply
}

// place is where a response is kept: nobody reaches those of another tenant.
type place struct{ tenant, id string }

// maxShelf is how many responses, files and batches are kept, of each; the oldest makes room.
const maxShelf = 1000

// shelf keeps the last responses. The zero value is empty.
type shelf struct {
	mu    sync.Mutex
	kept  map[place]*stored
	order []place
}

func (s *shelf) keep(tenant string, r *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[place]*stored{}
	}
	at := place{tenant, r.reply.ID}
	if _, again := s.kept[at]; !again {
		s.order = append(s.order, at)
	}
	s.kept[at] = r
	if len(s.order) > maxShelf {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
}

// find is a response, or nil.
func (s *shelf) find(at place) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[at]
}

// remove says whether there was something to remove.
func (s *shelf) remove(at place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, had := s.kept[at]
	delete(s.kept, at)
	return had
}

// item is a part of what was said in a response, by its own id; nil if there is none.
func (s *shelf) item(tenant, id string) []byte {
	response, _ := responses.ResponseOf(id)
	r := s.find(place{tenant, response})
	if r == nil {
		return nil
	}
	if item := responses.Item(responses.OutputItems(responses.AppendReply(nil, r.said, r.reply)), id); item != nil {
		return item
	}
	return responses.Item(responses.InputItems(r.request, response), id)
}

// whole is a request with the conversation that it continues.
func (s *shelf) whole(tenant string, r *chat.Request) (*chat.Request, error) {
	if r.Previous == "" {
		return r, nil
	}
	before := s.find(place{tenant, r.Previous})
	if before == nil {
		return nil, &chat.Error{
			Type: "invalid_request_error", Code: "previous_response_not_found", Param: "previous_response_id",
			Message: "Previous response with id '" + clip(r.Previous, 80) + "' not found.",
		}
	}
	return responses.Continue(r, responses.Conversation(before.request, before.reply)), nil
}

// response shows a response, or tells it as a stream. It is complete when it is made, so to cancel it changes nothing.
func (c *call) response() answer {
	r := c.engine.stored.find(place{c.tenant, c.id})
	if r == nil {
		return c.missing("response")
	}
	body := responses.AppendReply(nil, r.said, r.reply)
	if c.method != "GET" {
		return answer{status: 200, contentType: applicationJSON, body: body}
	}
	stream, after, err := responses.ReadReplay(c.query)
	switch {
	case err != nil:
		return c.refuse(400, badRequest(err))
	case !stream:
		return answer{status: 200, contentType: applicationJSON, body: body}
	}
	var batch chat.Batch
	responses.Replay(&batch, body, after)
	var list [][]byte
	for _, data, ok := batch.Next(); ok; _, data, ok = batch.Next() {
		list = append(list, data)
	}
	return c.events(list...)
}

func (c *call) deleteResponse() answer {
	if !c.engine.stored.remove(place{c.tenant, c.id}) {
		return c.missing("response")
	}
	return answer{status: 200, contentType: applicationJSON, body: responses.AppendDeleted(nil, c.id)}
}

func (c *call) inputItems() answer {
	r := c.engine.stored.find(place{c.tenant, c.id})
	if r == nil {
		return c.missing("response")
	}
	p, err := responses.ReadPage(c.query)
	if err != nil {
		return c.refuse(400, badRequest(err))
	}
	b, err := responses.AppendItems(nil, responses.InputItems(r.request, c.id), p)
	if err != nil {
		return c.refuse(400, badRequest(err))
	}
	return answer{status: 200, contentType: applicationJSON, body: b}
}

// countTokens says how many tokens a prompt has, in Anthropic's dialect or in that of Responses.
func (c *call) countTokens() answer {
	decode, write := responses.DecodeRequest, responses.AppendInputTokens
	if strings.HasSuffix(c.path, "/count_tokens") {
		c.dialect = wire.Anthropic
		if a := c.lacksVersion(); a.status != 0 {
			return a
		}
		decode, write = anthropic.DecodeCount, anthropic.AppendCount
	}
	r, err := decode(c.body)
	if err != nil {
		return c.refuse(400, badRequest(err))
	}
	if bad := c.judge(r.Model); bad != nil {
		return *bad
	}
	n, _ := promptTokens(r)
	return answer{status: 200, contentType: applicationJSON, body: write(nil, n)}
}
