package cache

import (
	"errors"
	"io"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/tape"
)

// mostShared is how large an answer may be that is recorded, in bytes: one that is not kept may still be shared.
const mostShared = 8 << 20

// record asks, and records what is answered. f is who waits for it; nil: nobody.
func (l *lookup) record(f *flight) error {
	h, x := l.h, l.x
	l.tags = tagsOf(x.Request.Header)
	h.metrics.results[missed].Inc()
	l.note(words[ledger.Attempt], "", nil)
	if err := h.next.Serve(x); err != nil {
		return err
	}
	mark(x, "miss")
	r := x.Reply
	if r == nil || r.Status != 200 || r.Kind == gateway.Bytes {
		h.metrics.unkept.Inc()
		return nil
	}
	rec := &recorder{Stream: r.Stream, l: *l, f: f}
	if r.Kind == gateway.Events {
		most := mostShared
		if f == nil {
			most = int(h.c.MaxAnswer)
		}
		rec.tape, rec.decoder = tape.New(most), l.dialect.NewDecoder()
		if f != nil {
			f.begin(x, rec.tape, rec.source())
		}
	}
	r.Stream = rec
	return nil
}

// recorder is a reply that is listened to as it passes. The exchange whose it is pulls it; others who wait for the same read
// its tape. If it is closed before its end while others wait, it is pulled to its end all the same.
type recorder struct {
	gateway.Stream
	l       lookup
	f       *flight
	tape    *tape.Tape   // of a stream
	reply   *chat.Reply  // of a whole reply
	decoder chat.Decoder // of a stream
	pieces  []chat.Piece
	idle    func() error // the transport's
	heard   bool         // of a whole reply
	settled bool         // it is known what comes of it
	closed  bool
}

var _ gateway.Stream = (*recorder)(nil)

// Next implements gateway.Stream.
func (r *recorder) Next() (gateway.Event, error) {
	if x := r.l.x; r.f != nil && r.idle == nil && x.Idle != nil {
		r.idle, x.Idle = x.Idle, r.beat
	}
	return r.next()
}

func (r *recorder) next() (gateway.Event, error) {
	ev, err := r.Stream.Next()
	switch {
	case r.settled:
	case err == nil:
		r.hear(ev)
	case errors.Is(err, io.EOF):
		r.finish()
	default:
		r.fail(err)
	}
	return ev, err
}

// beat is the transport's heartbeat. It tells those who wait, too, and that the client has left is not their affair.
func (r *recorder) beat() error {
	if r.tape != nil {
		r.tape.Beat()
	}
	if err := r.idle(); err != nil && !r.f.goesOn(r.l.x) {
		return err
	}
	return nil
}

func (r *recorder) hear(ev gateway.Event) {
	var err error
	if r.tape == nil {
		if r.reply, err = r.l.dialect.DecodeReply(ev.Data); err != nil || r.heard {
			r.fail(errUnreadable)
		}
		r.heard = true
		return
	}
	r.pieces, err = r.decoder.Decode(r.pieces[:0], ev.Name, ev.Data)
	for i := range r.pieces {
		if !r.tape.Add(&r.pieces[i]) {
			r.fail(tape.ErrTooLong)
			return
		}
	}
	if err != nil {
		r.fail(errUnreadable)
	}
}

var errUnreadable = errors.New("cache: the answer is not what its dialect prescribes")

// finish keeps a complete answer, if it is one to keep, and gives it to those who wait. The reply is closed first: only then is
// it known what was used.
func (r *recorder) finish() {
	r.settled, r.closed = true, true
	err := r.Stream.Close()
	reply := r.reply
	if r.tape != nil {
		reply = r.tape.Reply()
	}
	if err != nil || reply == nil || len(reply.Choices) == 0 {
		r.lose(errUnreadable)
		return
	}
	a, x := r.source(), r.l.x
	a.Reply = *reply
	if u := x.Usage; a.Reply.Usage.Provenance == chat.Unknown && u.Provenance == chat.Reported {
		a.Reply.Usage, a.Reply.ServiceTier = u, u.Tier
		a.Reply.Usage.Tier = ""
	}
	of := r.l.keep(a)
	if r.f != nil {
		r.f.complete(x, of, &a.Reply)
	}
	if r.tape != nil {
		r.tape.End(nil)
	}
}

// source is what is known of an answer before it is complete.
func (r *recorder) source() *answer.Answer {
	x := r.l.x
	a := &answer.Answer{Tenant: x.Caller.Tenant.ID, User: r.l.user, Model: r.l.setting.Model}
	if all := x.Attempts(); len(all) > 0 {
		last := all[len(all)-1]
		a.Provider, a.Name, a.Of = last.Provider, last.Model, last.ID
	}
	return a
}

// keep keeps an answer, if it is one to keep.
func (l *lookup) keep(a *answer.Answer) *kept {
	h := l.h
	a.ID, a.At, a.Took = idOf(fleet.ID(l.exact)), h.now().UTC(), gateway.Since(l.x.Start)
	a.Expires, a.Tags = a.At.Add(l.ttl), l.tags
	if !answer.Kept(&a.Reply, h.c.Tools) || size(&a.Reply) > int(h.c.MaxAnswer) {
		h.metrics.unkept.Inc()
		return newKept(l.exact, a)
	}
	h.metrics.stored.Inc()
	data := a.Append(nil)
	k := h.store.put(l.exact, a, data)
	h.disk.changed()
	if h.fleet != nil {
		h.fleet.Put(k.id, valueOf(k, data), h.store.until(a).Sub(a.At))
	}
	if h.meaning != nil {
		h.store.link(k)
		l.learn(k)
	}
	return k
}

// size is how many bytes of text an answer has.
func size(r *chat.Reply) (n int) {
	for i := range r.Choices {
		for _, p := range r.Choices[i].Message.Parts {
			n += len(p.Text) + len(p.Signature) + len(p.Logprobs)
		}
	}
	return n
}

// fail gives up an answer of which no more comes, or that cannot be read.
func (r *recorder) fail(err error) {
	r.settled = true
	r.lose(err)
}

func (r *recorder) lose(err error) {
	r.l.h.metrics.unkept.Inc()
	if r.tape != nil {
		r.tape.End(err)
	}
	if r.f != nil {
		r.f.fail(r.l.x)
	}
}

// Close implements gateway.Stream.
func (r *recorder) Close() error {
	if !r.settled && (r.heard || r.f != nil && r.f.goesOn(r.l.x)) {
		r.drain()
	}
	if !r.settled {
		r.fail(gateway.ErrGone)
	}
	if r.closed {
		return nil
	}
	r.closed = true
	return r.Stream.Close()
}

// drain pulls what is left for others.
func (r *recorder) drain() {
	if r.f != nil && r.tape != nil {
		r.idle = func() error { return nil }
		r.l.x.Idle = r.beat
	}
	for !r.settled {
		_, _ = r.next()
	}
}
