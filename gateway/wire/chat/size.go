package chat

// What the structures hold beside texts, with the room that lists have for more.
const (
	messageBytes  = 200
	partBytes     = 220
	mediaBytes    = 96
	callBytes     = 64
	citationBytes = 80
	toolBytes     = 110
	memberBytes   = 80
	textBytes     = 16 // of a text in a list; what an allocation of a few bytes takes
)

// Size is about how many bytes the request holds in this form.
func (q *Request) Size() int64 {
	n := SizeOf(q.Messages)
	for i := range q.Tools {
		t := &q.Tools[i]
		n += toolBytes + int64(len(t.Name)+len(t.Description)+len(t.Parameters))
	}
	for i := range q.Extra {
		n += memberBytes + int64(len(q.Extra[i].Name)+len(q.Extra[i].Value))
	}
	for _, list := range [...][]string{q.Stop, q.Lost, q.Choice.Only} {
		for _, s := range list {
			n += 2*textBytes + int64(len(s))
		}
	}
	return n + int64(len(q.Format.Schema)+len(q.Format.Description)+len(q.Metadata)+len(q.Sampling.LogitBias)+len(q.User)+len(q.CacheKey))
}

// SizeOf is about how many bytes a conversation holds in this form.
func SizeOf(messages []Message) int64 {
	var n int64
	for i := range messages {
		m := &messages[i]
		n += messageBytes + int64(len(m.Name)+len(m.CallID))
		for k := range m.Parts {
			n += m.Parts[k].size()
		}
	}
	return n
}

func (p *Part) size() int64 {
	n := partBytes + int64(len(p.Text)+len(p.Signature)+len(p.ID)+len(p.Raw)+len(p.Logprobs))
	if m := p.Media; m != nil {
		n += mediaBytes + int64(len(m.Data)+len(m.URL)+len(m.ID)+len(m.Name)+len(m.Type))
	}
	if c := p.Call; c != nil {
		n += callBytes + int64(len(c.ID)+len(c.Name)+len(c.Arguments))
	}
	for i := range p.Citations {
		c := &p.Citations[i]
		n += citationBytes + int64(len(c.URL)+len(c.Title)+len(c.Quote))
	}
	return n
}
