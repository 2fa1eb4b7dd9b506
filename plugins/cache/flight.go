package cache

import (
	"io"
	"sync"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/tape"
)

// flight is one question that is being answered, and who waits for it. The exchange that came first leads: it asks, on its own
// goroutine as always. The others follow: those who want a stream read what has been said so far, and go on as it comes, each
// in its own dialect and at its own pace; those who want a whole answer wait for it. If the leader's client leaves, the leader
// goes on as long as anybody follows; if it fails, one of those who wait leads. In a fleet the leader may be at another node, see
// away, and other nodes may follow this one's, see feed.
type flight struct {
	of  *flights
	key partition.Key

	mu        sync.Mutex
	leader    *gateway.Exchange // nil: it is away, or somebody must lead
	gone      bool              // the leader's client has left
	followers int
	failures  int
	tape      *tape.Tape    // of a stream that has begun
	kept      *kept         // what is known of the answer once it has begun; complete with reply
	reply     *chat.Reply   // once it is complete
	over      bool          // nobody may join
	away      *away         // the leader at another node
	token     uint64        // under which other nodes may follow this one's leader
	fleet     *fleet.Fleet  // where it has a lease; nil: it has none
	dead      fleet.Lease   // of a leader that is no more
	changed   chan struct{} // closed at the next change; nil if nobody waits
}

// mostFailures is how many leaders may fail before each asks for itself.
const mostFailures = 3

// flights are those under way, by their exact key.
type flights struct {
	shards [64]struct {
		mu sync.Mutex
		m  map[partition.Key]*flight
	}
}

// join finds the flight of a key, or begins one, which the exchange then leads.
func (fs *flights) join(k partition.Key, x *gateway.Exchange) (f *flight, leads bool) {
	s := &fs.shards[k[0]&63]
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.m[k]; f != nil && f.enter() {
		return f, false
	}
	if s.m == nil {
		s.m = map[partition.Key]*flight{}
	}
	f = &flight{of: fs, key: k, leader: x}
	s.m[k] = f
	return f, true
}

func (f *flight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return false
	}
	f.followers++
	return true
}

// remove takes a flight that is over out.
func (f *flight) remove() {
	s := &f.of.shards[f.key[0]&63]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[f.key] == f {
		delete(s.m, f.key)
	}
}

// change gives a channel, under the lock, that is closed at the next change.
func (f *flight) change() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

func (f *flight) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// find is the flight of a key; nil if there is none.
func (fs *flights) find(k partition.Key) *flight {
	s := &fs.shards[k[0]&63]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[k]
}

// begin says that the leader's reply has begun as a stream.
func (f *flight) begin(x *gateway.Exchange, t *tape.Tape, a *answer.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader == x {
		f.tape, f.kept = t, &kept{Answer: *a}
		f.wake()
	}
}

// complete says that the leader's answer is there.
func (f *flight) complete(x *gateway.Exchange, of *kept, r *chat.Reply) {
	x.Shield(nil)
	f.mu.Lock()
	if f.leader == x {
		f.kept, f.reply, f.over = of, r, true
		f.release()
		f.wake()
	}
	f.mu.Unlock()
	f.remove()
}

// fail says that there is no answer from the leader. Who waits and finds no leader leads.
func (f *flight) fail(x *gateway.Exchange) {
	x.Shield(nil)
	f.mu.Lock()
	if f.leader != x || f.over {
		f.mu.Unlock()
		return
	}
	f.leader, f.gone = nil, false
	f.release()
	over := f.failed()
	f.mu.Unlock()
	if over {
		f.remove()
	}
}

// failed takes note, under the lock, that there is no leader, and says whether it is over.
func (f *flight) failed() bool {
	f.tape, f.kept = nil, nil
	f.failures++
	f.over = f.followers == 0 || f.failures >= mostFailures
	f.wake()
	return f.over
}

// shields is asked when the leader's client leaves, see [gateway.Exchange.Shield].
func (f *flight) shields(x *gateway.Exchange) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader != x || f.followers == 0 {
		return false
	}
	f.gone = true
	return true
}

// goesOn says whether the leader goes on although its client has left.
func (f *flight) goesOn(x *gateway.Exchange) bool { return x.Err() == nil && f.shields(x) }

// leave is called by a follower that does not wait any more. The last one cancels a leader whose client has left.
func (f *flight) leave() {
	f.mu.Lock()
	f.followers--
	last := f.followers == 0
	leader := f.leader
	alone := last && f.gone
	empty := last && leader == nil && !f.over
	if f.over = f.over || empty; empty && f.away != nil {
		close(f.away.over)
		f.away = nil
	}
	f.mu.Unlock()
	if leader != nil && alone {
		leader.Cancel(gateway.ErrGone)
	}
	if empty {
		f.remove()
	}
}

// shares says whether an exchange may share its answer. Under a metered budget a stream is paid for as it comes, and ends with
// the money of whoever leads.
func shares(x *gateway.Exchange) bool {
	for i := range x.Caller.Tenant.Budgets {
		if x.Caller.Tenant.Budgets[i].Mode == tenant.Metered {
			return false
		}
	}
	return true
}

// share asks, or waits for who asks the same already.
func (l *lookup) share() error {
	if !shares(l.x) {
		return l.record(nil)
	}
	f, leads := l.h.flights.join(l.exact, l.x)
	if leads {
		return l.lead(f)
	}
	return l.follow(f)
}

// lead asks for all.
func (l *lookup) lead(f *flight) error {
	x := l.x
	x.Shield(func() bool { return f.shields(x) })
	waited := false
	defer func() {
		if !waited { // an error, a panic, or a reply that nobody can share
			f.fail(x)
		}
	}()
	of, reply := l.held() // somebody was quicker, between the look and the start
	if of == nil {
		if of, reply, waited = l.claim(f); waited {
			return l.follow(f)
		}
	}
	if of != nil {
		waited = true
		f.complete(x, of, reply)
		return l.giveExact(of, reply)
	}
	if err := l.record(f); err != nil {
		return err
	}
	_, waited = x.Reply.Stream.(*recorder)
	return nil
}

// follow waits for the leader.
func (l *lookup) follow(f *flight) error {
	x := l.x
	for {
		f.mu.Lock()
		switch {
		case f.reply != nil:
			of, reply := f.kept, f.reply
			f.mu.Unlock()
			f.leave()
			if of.stored && !l.takes(of) { // it was not made just now
				return l.record(nil)
			}
			l.note(words[ledger.Coalesced], "", of)
			return l.give(l.rendered(of, reply), ledger.Coalesced)
		case f.over:
			f.mu.Unlock()
			f.leave()
			return l.record(nil)
		case f.leader == nil && f.away == nil:
			f.leader = x
			f.followers--
			f.mu.Unlock()
			return l.lead(f)
		case f.tape != nil && x.Request.Stream():
			t, of := f.tape, f.kept
			f.mu.Unlock()
			l.attach(f, t, of)
			return nil
		}
		c := f.change()
		f.mu.Unlock()
		select {
		case <-c:
		case <-x.Context().Done():
			f.leave()
			return x.Cause()
		}
	}
}

// attach answers with what the leader is told, as it comes.
func (l *lookup) attach(f *flight, t *tape.Tape, of *kept) {
	x := l.x
	s := &follower{f: f, l: *l, reader: t.Reader(), encoder: l.dialect.NewEncoder(l.q)}
	x.Reply = &gateway.Reply{
		Status: 200, ContentType: "text/event-stream", Kind: gateway.Events, Stream: s, Failure: s.fail,
		Header: []gateway.Field{{Name: header, Value: words[ledger.Coalesced]}},
	}
	x.Replay = &gateway.Replay{How: ledger.Coalesced, Of: of.Of, Provider: of.Provider, Name: of.Name}
	x.Plan.Model = l.setting.Model
	l.h.metrics.results[ledger.Coalesced].Inc()
	l.note(words[ledger.Coalesced], "", nil)
	x.Commit()
}

// follower is a stream that another exchange is told.
type follower struct {
	f       *flight
	l       lookup
	reader  *tape.Reader
	encoder chat.Encoder
	batch   chat.Batch
	err     error // behind what is in the batch
}

var _ gateway.Stream = (*follower)(nil)

// Next implements gateway.Stream.
func (s *follower) Next() (gateway.Event, error) {
	x := s.l.x
	for {
		if x.Err() != nil {
			return gateway.Event{}, x.Cause()
		}
		if name, data, ok := s.batch.Next(); ok {
			return gateway.Event{Name: name, Data: data}, nil
		}
		if s.err != nil {
			return gateway.Event{}, s.err
		}
		s.batch.Reset()
		s.pull()
		if s.batch.Empty() && s.err == nil {
			if err := s.wait(); err != nil {
				return gateway.Event{}, err
			}
		}
	}
}

// wait waits until there may be more, and passes the leader's heartbeats on.
func (s *follower) wait() error {
	x := s.l.x
	if c := s.reader.Waits(); c != nil {
		select {
		case <-c:
		case <-x.Context().Done():
		}
	}
	if s.reader.Beaten() && x.Idle != nil {
		return x.Idle()
	}
	return nil
}

// pull takes what has been said since.
func (s *follower) pull() {
	for p := s.reader.Read(); p != nil; p = s.reader.Read() {
		s.encoder.Encode(&s.batch, p)
	}
	if over, err := s.reader.Over(); over {
		if s.err = err; err == nil {
			s.err = io.EOF
			s.conclude()
		}
	}
}

// conclude notes what the answer would have cost.
func (s *follower) conclude() {
	s.f.mu.Lock()
	of := s.f.kept
	s.f.mu.Unlock()
	r := s.l.x.Replay
	r.Usage = of.usage
	r.Saved = s.l.h.saved(s.l.x, r, of.tier, s.l.h.now())
	s.l.h.metrics.save(r.Saved, of.Took)
}

// Ready implements gateway.Stream. What it gathers is added behind the last event, which stays as it is.
func (s *follower) Ready() bool {
	if s.batch.Empty() && s.err == nil {
		s.pull()
	}
	return !s.batch.Empty() || s.err != nil
}

// Close implements gateway.Stream.
func (s *follower) Close() error {
	s.f.leave()
	return nil
}

// fail writes the event that ends the stream with an error.
func (s *follower) fail(dst []byte, e chat.Error) []byte {
	s.batch.Reset()
	s.encoder.Fail(&s.batch, &e)
	for {
		name, data, ok := s.batch.Next()
		if !ok {
			return dst
		}
		dst = sse.Append(dst, name, data)
	}
}
