package cache

import (
	"io"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// Sizes of the pieces in which a text is said again, in bytes.
const (
	pieceAtOnce = 64
	piecePaced  = 16 // about a word or two, as a provider sends them
)

// given is a reply from the cache, in one allocation.
type given struct {
	reply  gateway.Reply
	replay gateway.Replay
	fields [4]gateway.Field
	item   *item
	next   int
	x      *gateway.Exchange
	pace   time.Duration
}

var _ gateway.Stream = (*given)(nil)

// give answers with what was rendered for these bytes.
func (l *lookup) give(i *item, how ledger.Kind) error {
	x, now := l.x, l.h.now()
	g := &given{item: i, x: x, pace: l.h.c.Pace}
	of := i.of
	n := copy(g.fields[:], []gateway.Field{
		{Name: header, Value: words[how]},
		{Name: "age", Value: strconv.FormatInt(int64(of.Age(now)/time.Second), 10)},
		{Name: idHeader, Value: of.ID},
	})
	g.reply = gateway.Reply{Status: 200, ContentType: "application/json", Kind: gateway.Whole, Header: g.fields[:n:n], Stream: g}
	if i.events != nil {
		g.reply.Kind, g.reply.ContentType = gateway.Events, "text/event-stream"
	}
	g.replay = gateway.Replay{How: how, Of: of.Of, Provider: of.Provider, Name: of.Name, Usage: of.usage}
	g.replay.Saved = l.h.saved(x, &g.replay, of.tier, now)
	x.Reply, x.Replay, x.Plan.Model = &g.reply, &g.replay, l.setting.Model
	l.h.metrics.hit(how, g.replay.Saved, of.Took)
	x.Commit()
	return nil
}

// idHeader names the answer, for who wants to reject it.
const idHeader = "x-sluice-cache-id"

// words are what the header says.
var words = [...]string{ledger.Attempt: "miss", ledger.Exact: "exact", ledger.Semantic: "semantic", ledger.Coalesced: "coalesced", ledger.Stale: "stale"}

// saved is what an answer would cost now.
func (h *handler) saved(x *gateway.Exchange, r *gateway.Replay, tier string, now time.Time) catalog.Cost {
	return x.Directory.Known(r.Provider, r.Name).Cost(r.Usage, tier, now)
}

// Next implements gateway.Stream.
func (g *given) Next() (gateway.Event, error) {
	if err := g.x.Err(); err != nil {
		return gateway.Event{}, g.x.Cause()
	}
	n := g.next
	g.next++
	if g.item.events == nil {
		if n > 0 {
			return gateway.Event{}, io.EOF
		}
		return gateway.Event{Data: g.item.body}, nil
	}
	if n >= len(g.item.events) {
		return gateway.Event{}, io.EOF
	}
	if n > 0 && g.pace > 0 {
		if err := g.wait(); err != nil {
			return gateway.Event{}, err
		}
	}
	return g.item.events[n], nil
}

func (g *given) wait() error {
	t := time.NewTimer(g.pace)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-g.x.Context().Done():
		return g.x.Cause()
	}
}

// Ready implements gateway.Stream.
func (g *given) Ready() bool { return g.pace <= 0 || g.next == 0 || g.next >= len(g.item.events) }

// Close implements gateway.Stream.
func (g *given) Close() error { return nil }

// giveExact answers with what is kept, and keeps how it was said for who sends the same bytes again.
func (l *lookup) giveExact(of *kept, r *chat.Reply) error {
	i := l.rendered(of, r)
	l.h.store.items.Set(l.body, i)
	how := l.exactly(of)
	l.note(words[how], "", of)
	return l.give(i, how)
}

// rendered says a reply as this request wants it.
func (l *lookup) rendered(of *kept, r *chat.Reply) *item {
	i := &item{of: of}
	switch size := pieceAtOnce; {
	case !l.x.Request.Stream():
		i.body = answer.Whole(l.dialect, l.q, r)
	default:
		if l.h.c.Pace > 0 {
			size = piecePaced
		}
		i.events = answer.Events(l.dialect, l.q, r, size)
	}
	return i
}
