package sim

import (
	"sync"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// stored is a response that a later request may continue.
type stored struct {
	request *chat.Request // with all that was said before
	said    *chat.Request // as it came
	reply   *chat.Reply
}

// maxShelf is how many responses, files and batches are kept, of each; the oldest makes room.
const maxShelf = 1000

// shelf keeps the last responses. The zero value is empty.
type shelf struct {
	mu    sync.Mutex
	kept  map[string]*stored
	order []string
}

func (s *shelf) keep(r *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]*stored{}
	}
	if _, again := s.kept[r.reply.ID]; !again {
		s.order = append(s.order, r.reply.ID)
	}
	s.kept[r.reply.ID] = r
	if len(s.order) > maxShelf {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
}

// find is a response, or nil.
func (s *shelf) find(id string) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[id]
}

func (s *shelf) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, id)
}

// whole is a request with the conversation that it continues.
func (s *shelf) whole(r *chat.Request) (*chat.Request, error) {
	if r.Previous == "" {
		return r, nil
	}
	before := s.find(r.Previous)
	if before == nil {
		return nil, &chat.Error{
			Type: "invalid_request_error", Code: "previous_response_not_found", Param: "previous_response_id",
			Message: "Previous response with id '" + clip(r.Previous, 80) + "' not found.",
		}
	}
	return responses.Continue(r, responses.Conversation(before.request, before.reply)), nil
}
