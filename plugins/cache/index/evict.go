package index

// owner is a tenant's entries, the least valuable first.
type owner struct {
	tenant string
	queue  heap[*entry]
	bytes  int64
	place  int32 // among the owners
}

// leastSaved is what a hit is taken to save at least, USD: models without a price are still worth their frequency.
const leastSaved = 1e-6

// own enters an entry in its tenant's queue.
func (a *Arena) own(e *entry) {
	o := a.owners[e.Tenant]
	if o == nil {
		o = &owner{tenant: e.Tenant}
		a.owners[e.Tenant] = o
	}
	e.owner = o
	e.value = a.worth(e)
	o.bytes += e.bytes
	a.held += e.bytes
	o.queue.push(e)
	if len(o.queue) == 1 {
		a.queue.push(o)
	} else {
		a.queue.fix(o)
	}
}

// disown takes it out again.
func (a *Arena) disown(e *entry) {
	o := e.owner
	o.bytes -= e.bytes
	a.held -= e.bytes
	if len(o.queue) == 1 { // it ranks by its first entry, so it goes while it has one
		a.queue.remove(o)
		o.queue.remove(e)
		delete(a.owners, o.tenant)
		return
	}
	o.queue.remove(e)
	a.queue.fix(o)
}

// rank moves an entry to the place that its uses give it.
func (a *Arena) rank(e *entry) {
	e.value = a.worth(e)
	e.owner.queue.fix(e)
	a.queue.fix(e.owner)
}

// worth is GDSF's priority (Cherkasova 1998).
func (a *Arena) worth(e *entry) float64 {
	return a.age + float64(e.uses)*max(e.Saved, leastSaved)/float64(e.bytes)
}

// evict removes what is worth least: of the tenant while it has more than its share, then of all.
func (a *Arena) evict(o *owner) []Gone {
	var gone []Gone
	for o.bytes > a.share {
		gone = append(gone, a.goes(o.queue[0]))
	}
	for a.held > a.bound {
		gone = append(gone, a.goes(a.queue[0].queue[0]))
	}
	return gone
}

func (a *Arena) goes(e *entry) Gone {
	a.age = max(a.age, e.value)
	a.gone++
	a.remove(e)
	return Gone{Partition: e.home.key, ID: e.ID, Answer: e.Answer}
}

func (e *entry) rankOf() float64 { return e.value }
func (e *entry) placeOf() *int32 { return &e.place }
func (o *owner) rankOf() float64 { return o.queue[0].value }
func (o *owner) placeOf() *int32 { return &o.place }

// ranked is what a heap orders; it remembers its own place, so that it can be moved.
type ranked interface {
	rankOf() float64
	placeOf() *int32
}

// heap is a binary heap with the least first.
type heap[T ranked] []T

func (h *heap[T]) push(x T) {
	*h = append(*h, x)
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(x T) {
	i, last := int(*x.placeOf()), len(*h)-1
	(*h)[i] = (*h)[last]
	*(*h)[i].placeOf() = int32(i) //nolint:gosec // as many as fit in memory
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	if i < last {
		h.fix((*h)[i])
	}
}

// fix moves x to where its rank belongs.
func (h *heap[T]) fix(x T) { h.down(h.up(int(*x.placeOf()))) }

func (h *heap[T]) up(i int) int {
	s := *h
	x := s[i]
	for i > 0 {
		parent := (i - 1) / 2
		if s[parent].rankOf() <= x.rankOf() {
			break
		}
		h.set(i, s[parent])
		i = parent
	}
	h.set(i, x)
	return i
}

func (h *heap[T]) down(i int) {
	s := *h
	x := s[i]
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].rankOf() < s[child].rankOf() {
			child++
		}
		if x.rankOf() <= s[child].rankOf() {
			break
		}
		h.set(i, s[child])
		i = child
	}
	h.set(i, x)
}

func (h *heap[T]) set(i int, x T) {
	(*h)[i] = x
	*x.placeOf() = int32(i) //nolint:gosec // as many as fit in memory
}
