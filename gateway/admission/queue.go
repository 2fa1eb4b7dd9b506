package admission

import (
	"container/list"
	"math"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// patience is how often a priority may be passed over in favour of a higher one while it waits; then it is served once.
// It is aging counted in turns, so that its worst wait can be told in advance as well: under a flood of a higher priority
// it keeps one turn in patience+1.
const patience = 15

// queue holds who waits: by priority, in each priority tenants in turn, in each tenant in order of arrival.
type queue struct {
	classes [Priorities]class
	n       int
}

// class is one priority.
type class struct {
	flows  map[string]*flow
	turns  list.List // of *flow: whose turn it is stands in front
	n      int
	passed int // times in a row that a higher priority was served instead
}

// flow is one tenant in one priority; it exists while somebody waits in it.
type flow struct {
	tenant  string
	class   *class
	turn    *list.Element
	waiters list.List // of *waiter
}

// waiter is one request that waits. The Limiter's mutex guards it. It is woken once, when it is in no queue any more.
type waiter struct {
	wake  chan<- struct{}
	err   error // why it was given no slot; nil if it was
	flow  *flow // nil: in no queue
	place *list.Element
}

// end wakes a waiter that was taken out of the queue.
func (w *waiter) end(err error) {
	w.err = err
	w.wake <- struct{}{}
}

// push lets a request wait. Nobody is held up by waking it.
func (q *queue) push(t Ticket, wake chan<- struct{}) *waiter {
	c := &q.classes[t.Priority.class()]
	f := c.flows[t.Tenant]
	if f == nil {
		if c.flows == nil {
			c.flows = make(map[string]*flow)
		}
		f = &flow{tenant: t.Tenant, class: c}
		f.turn = c.turns.PushBack(f)
		c.flows[t.Tenant] = f
	}
	w := &waiter{wake: wake, flow: f}
	w.place = f.waiters.PushBack(w)
	c.n++
	q.n++
	return w
}

// class is the index of the class in which somebody waits.
func (q *queue) class(w *waiter) int {
	for i := range q.classes {
		if w.flow.class == &q.classes[i] {
			return i
		}
	}
	return 0
}

func (q *queue) remove(w *waiter) {
	f := w.flow
	w.flow = nil
	f.waiters.Remove(w.place)
	f.class.n--
	q.n--
	if f.waiters.Len() == 0 {
		f.class.turns.Remove(f.turn)
		delete(f.class.flows, f.tenant)
	}
}

// pop takes out who is next and tells his class. The queue is not empty.
func (q *queue) pop() (*waiter, int) {
	pick := -1
	for i := Priorities - 1; i >= 0; i-- {
		c := &q.classes[i]
		switch {
		case c.n == 0:
			c.passed = 0
		case pick < 0:
			pick = i
		default:
			c.passed++
		}
	}
	for i := range q.classes[:pick] {
		if q.classes[i].passed > patience {
			pick = i
			break
		}
	}
	c := &q.classes[pick]
	c.passed = 0
	f := c.turns.Front().Value.(*flow)
	c.turns.MoveToBack(f.turn)
	w := f.waiters.Front().Value.(*waiter)
	q.remove(w)
	return w, pick
}

// own is the number of requests of the ticket's tenant that wait in its class.
func (q *queue) own(t Ticket) int {
	if f := q.classes[t.Priority.class()].flows[t.Tenant]; f != nil {
		return f.waiters.Len()
	}
	return 0
}

// greedy says whether the ticket's tenant has as many requests waiting as the tenants of its class have on average.
func (q *queue) greedy(t Ticket) bool {
	c := &q.classes[t.Priority.class()]
	own := q.own(t)
	return own > 0 && own*len(c.flows) >= c.n
}

// ahead counts who would be served before a newcomer: in its class everybody who comes before it by turns, and above it
// everybody.
func (q *queue) ahead(t Ticket) (peers, above int) {
	at := t.Priority.class()
	for i := at + 1; i < Priorities; i++ {
		above += q.classes[i].n
	}
	own := q.own(t)
	for _, f := range q.classes[at].flows {
		peers += min(f.waiters.Len(), own+1)
	}
	if own > 0 {
		peers-- // of its own only those who are there
	}
	return peers, above
}

// yields finds who has to make room for a newcomer in a full queue: the newest request of the tenant with most of them in
// the lowest priority that has any; nil if that is not worse off than the newcomer. A tenant with fewer requests waiting
// takes the place of one with more, or one tenant's flood would fill the queue for everybody.
func (q *queue) yields(t Ticket) *waiter {
	lowest := 0
	for lowest < Priorities-1 && q.classes[lowest].n == 0 {
		lowest++
	}
	var most *flow
	for e := q.classes[lowest].turns.Front(); e != nil; e = e.Next() {
		if f := e.Value.(*flow); most == nil || f.waiters.Len() > most.waiters.Len() {
			most = f
		}
	}
	at := t.Priority.class()
	if most == nil || at < lowest || at == lowest && q.own(t)+1 >= most.waiters.Len() {
		return nil
	}
	return most.waiters.Back().Value.(*waiter)
}

// memory is how long the meter remembers.
const memory = 10 * time.Second

// meter measures how fast slots come free while somebody waits for one, and who gets them.
type meter struct {
	left  float64 // slots given back
	given [Priorities]float64
	busy  time.Duration
	at    clock.Instant
}

// advance tells that time has passed, with somebody waiting or not.
func (m *meter) advance(now clock.Instant, waiting bool) {
	passed := max(now.Sub(m.at), 0)
	m.at = max(m.at, now)
	keep := math.Exp(-float64(passed) / float64(memory))
	m.left *= keep
	for i := range m.given {
		m.given[i] *= keep
	}
	m.busy = time.Duration(float64(m.busy) * keep)
	if waiting {
		m.busy += passed
	}
}

// wait estimates how long a newcomer of a class would wait with so many before it. What is above it goes on coming as it
// did: only the turns that it leaves count for its peers.
func (m *meter) wait(class, peers, above int) time.Duration {
	var all, ours float64
	for i, n := range m.given {
		all += n
		if i <= class {
			ours += n
		}
	}
	share := max((ours+0.5)/(all+0.5), 1.0/(patience+1))
	turns := max(float64(peers+above+1), float64(peers+1)/share)
	// Half a slot more than came free: the next one is on its way.
	return time.Duration(min(turns*float64(m.busy)/(m.left+0.5), float64(time.Hour)))
}

// crowded says whether somebody has waited most of the time.
func (m *meter) crowded() bool { return m.busy > memory/2 }
