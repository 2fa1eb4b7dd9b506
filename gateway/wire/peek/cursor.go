package peek

import "bytes"

// Cursor goes over the members of an object and of the objects and arrays in it that it is told to enter, in one pass. It reads
// what Each does: keys decoded and without quotes, values as they stand in the text, both borrowed from it.
//
//	var c peek.Cursor
//	c.Open(b)
//	for c.Next() {
//		if string(c.Key()) == "usage" && c.Enter() {
//			for c.Next() {
//				… c.Key(), c.Value() …
//			}
//		}
//	}
//	whole := c.Done()
type Cursor struct {
	s       scanner
	k       key
	at      int    // the next byte to read; -1 after a fault
	opened  bool   // an object or array was entered, and nothing of it read
	pending bool   // there is a value at at
	arrays  uint64 // a bit for each depth, whether an array was entered there; that of MaxDepth, 64, is that of 0, which is an object
}

// Open puts the cursor, which must not have been used, before the first member of the object b.
func (c *Cursor) Open(b []byte) {
	c.s.b = b
	if i := c.s.space(0); i < len(b) && b[i] == '{' {
		c.at, c.opened = c.s.space(i+1), true
	} else {
		c.at = -1
	}
}

// Next goes on to the next member or element; false behind the last one of what was entered last, after which it goes on in
// what is around that. It is false also where the text is no JSON: then Done is, too.
func (c *Cursor) Next() bool {
	i, more := c.at, true
	if i < 0 || c.s.depth < 0 {
		return false
	}
	list := c.arrays>>c.bit()&1 != 0
	closing := byte('}')
	if list {
		closing = ']'
	}
	switch {
	case c.opened:
		c.opened = false
		if i < len(c.s.b) && c.s.b[i] == closing {
			i, more = i+1, false
		}
	default:
		if c.pending {
			i = c.s.value(i, elsewhere)
		}
		if i >= 0 {
			i, more = c.s.next(i, closing)
		}
	}
	if more && i >= 0 {
		c.k, c.at = key{}, i
		if !list {
			c.k, c.at = c.s.key(i)
		}
		c.pending = c.at >= 0
		return c.pending
	}
	c.at, c.pending = i, false
	c.arrays &^= 1 << c.bit()
	c.s.depth-- // below 0 behind the outermost
	return false
}

// Key is the present member's key; elements have none.
func (c *Cursor) Key() []byte {
	name := c.s.b[c.k.at:c.k.end]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unescape(nil, name)
	}
	return name
}

// Value reads the present member's or element's value; nil if it was read, or is no JSON.
func (c *Cursor) Value() []byte {
	if !c.pending {
		return nil
	}
	c.pending = false
	from := c.at
	if c.at = c.s.value(from, elsewhere); c.at < 0 {
		return nil
	}
	return c.s.b[from:c.at]
}

// Begins says whether the present value, if it was not read, begins with b: '{', '[', '"' tell its type.
func (c *Cursor) Begins(b byte) bool {
	return c.pending && c.at < len(c.s.b) && c.s.b[c.at] == b
}

// Enter goes into the present value if that is an object, to before its first member.
func (c *Cursor) Enter() bool { return c.enter('{', 0) }

// EnterArray goes into the present value if that is an array, to before its first element.
func (c *Cursor) EnterArray() bool { return c.enter('[', 1) }

func (c *Cursor) enter(open byte, list uint64) bool {
	if !c.Begins(open) || c.s.depth >= MaxDepth {
		return false // what is too deep is a fault once it is read
	}
	c.s.depth++
	c.arrays |= list << c.bit()
	c.at, c.opened, c.pending = c.s.space(c.at+1), true, false
	return true
}

// bit is where arrays has the present depth.
func (c *Cursor) bit() int { return c.s.depth & (MaxDepth - 1) }

// Done says whether all of the text was read, and is one JSON object.
func (c *Cursor) Done() bool { return c.at >= 0 && c.s.depth < 0 && c.s.end(c.at) }
