package upstream

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// asksFiles says that a client of Anthropic's Files API asks for files that are kept at a provider with OpenAI's: both have the
// same paths, and different objects.
func (r *route) asksFiles(x *gateway.Exchange) bool {
	return r.native && r.ids && r.dialect == wire.OpenAI && x.Request.Endpoint.Dialect == wire.Anthropic.Name
}

// asFiles makes the reply to one who asksFiles what his client expects.
func (st *stream) asFiles() error {
	ev, err := st.Next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.reply.Status >= 300 {
		said, ok := st.r.dialect.DecodeError(ev.Data)
		if !ok {
			return st.render(bytes.Clone(ev.Data))
		}
		said.Status = st.reply.Status
		return st.render(wire.Anthropic.AppendError(nil, said))
	}
	switch st.x.Request.Endpoint.Name {
	case "files.list":
		var list []anthropic.File
		peek.Elements(peek.Find(ev.Data, []byte(`"data"`)), func(v []byte) bool {
			list = append(list, fileOf(v))
			return true
		})
		more := string(peek.Find(ev.Data, []byte(`"has_more"`))) == "true"
		return st.render(anthropic.AppendFiles(nil, list, more))
	case "files.delete":
		return st.render(anthropic.AppendDeleted(nil, fileOf(ev.Data).ID))
	}
	f := fileOf(ev.Data)
	return st.render(anthropic.AppendFile(nil, &f))
}

// fileOf reads a file object of OpenAI's.
func fileOf(v []byte) (f anthropic.File) {
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			f.ID, _ = peek.String(val)
		case "filename":
			f.Name, _ = peek.String(val)
		case "bytes":
			f.Bytes, _ = peek.Int(val)
		case "created_at":
			f.Created, _ = peek.Int(val)
		case "expires_at":
			f.Expires, _ = peek.Int(val)
		}
		return true
	})
	return f
}

// purpose puts what Anthropic's clients do not say at the beginning of a form with a file, for OpenAI wants to know it: that
// models are to read it. A form that says it stays as it is.
func purpose(e []peek.Edit, form []byte) []peek.Edit {
	line, _, found := bytes.Cut(form, []byte("\r\n")) // the boundary: a form that does not begin with it was refused
	if !found || bytes.Contains(form, []byte(`name="purpose"`)) {
		return e
	}
	part := string(line) + "\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n"
	return append([]peek.Edit{{Text: part}}, e...)
}

// page is a query of Anthropic's list of files in OpenAI's words. What comes before a file nobody can be asked for.
func page(query string) string {
	parts := strings.Split(query, "&")
	for i, p := range parts {
		for _, name := range [...]string{"after_id=", "page="} {
			if value, ok := strings.CutPrefix(p, name); ok {
				parts[i] = "after=" + value
			}
		}
	}
	return strings.Join(parts, "&")
}
