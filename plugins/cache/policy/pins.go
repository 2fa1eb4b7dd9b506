package policy

// maxPins bounds what a policy remembers of refusals: a mebibyte or so.
const maxPins = 32768

// pin is a question that an answer does not serve.
type pin struct {
	Question uint64
	Answer   uint64
}

// pins forgets the oldest first.
type pins struct {
	known map[pin]struct{}
	order []pin // a ring once it is full
	next  int
}

func newPins() pins { return pins{known: map[pin]struct{}{}} }

func (p *pins) has(x pin) bool {
	_, ok := p.known[x]
	return ok
}

func (p *pins) add(x pin) {
	if p.has(x) {
		return
	}
	p.known[x] = struct{}{}
	if len(p.order) < maxPins {
		p.order = append(p.order, x)
		return
	}
	delete(p.known, p.order[p.next])
	p.order[p.next] = x
	p.next = (p.next + 1) % maxPins
}
