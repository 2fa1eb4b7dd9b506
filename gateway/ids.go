package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// held parts a provider's own id from its holder. It is unreserved (RFC 3986, section 2.3), so nobody encodes it in a path.
const held = '~'

// HeldID is what callers get as the id of something that a provider keeps for them (a file, a batch): the provider's own
// id, so that its prefix still tells what it is, and behind it who has it, as in "file-abc~openai". Later requests then
// find it without a table. An empty id stays empty.
func HeldID(id, holder string) string {
	if id == "" {
		return ""
	}
	return id + string(held) + holder
}

// SplitID takes an id of HeldID apart. holder is "" if the id says nothing of one; whether there is one of that name, it
// does not know.
func SplitID(id string) (own, holder string) {
	if i := strings.LastIndexByte(id, held); i >= 0 {
		return id[:i], id[i+1:]
	}
	return id, ""
}

// keyTag is how many hexadecimal digits tell the keys of a provider apart.
const keyTag = 8

// Holder is how ids call the holder of what is made with one of a provider's several keys, as in "openai.3f2a9c01": its keys
// may be those of different organizations, of which none sees what another has. The digits come from the key's name, so
// a new secret under the old name finds what the old one made, the order of the keys does not matter, and nothing of a
// secret is told. The holder of what a provider with one key has is the provider, by its name.
func Holder(provider, key string) string {
	sum := sha256.Sum256([]byte(key))
	return provider + "." + hex.EncodeToString(sum[:keyTag/2])
}

// HolderProvider is the name of the provider in what Holder made; other names are given back as they are.
func HolderProvider(holder string) string {
	at := len(holder) - keyTag - 1
	if at > 0 && holder[at] == '.' && isHex(holder[at+1:]) {
		return holder[:at]
	}
	return holder
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

const responsePrefix = "resp_"

// ResponseID is the id of a response that the gateway makes itself, in answer to the exchange with that id. It ends with a
// checksum, so that IsResponseID knows it again, in any process and at any time.
func ResponseID(exchange string) string {
	id := strings.TrimPrefix(exchange, "req_")
	return responsePrefix + id + checksum(id)
}

// IsResponseID says whether an id is one of ResponseID. Of other ids one in four billion looks like it.
func IsResponseID(id string) bool {
	id, ok := strings.CutPrefix(id, responsePrefix)
	at := len(id) - 2*crc32.Size
	return ok && at > 0 && checksum(id[:at]) == id[at:]
}

func checksum(s string) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// Reference is something that the body of a request names by an id of HeldID.
type Reference struct {
	Param  string // where: messages[0].content[1].file.file_id
	ID     string // as the caller wrote it
	Holder string
}

// mostReferences is how many holders are told apart. One request can be answered by one of them.
const mostReferences = 8

// references finds what a body, which is valid JSON, names by ids of HeldID, the first for each holder, and takes the holders
// out of those ids, in place: the providers do not know them. It is about ids where the dialects have such, not in what is
// the caller's own: metadata, schemas, arguments of tools. Bodies without such an id are only searched for its mark.
func references(body []byte) (rest []byte, found []Reference) {
	if !mayRefer(body) {
		return body, nil
	}
	f := finder{b: body, frames: make([]frame, 0, 16)}
	f.all()
	if len(f.marks) == 0 {
		return body, nil
	}
	to, from := f.marks[0].at, f.marks[0].end
	for _, m := range f.marks[1:] {
		to += copy(body[to:], body[from:m.at])
		from = m.end
	}
	to += copy(body[to:], body[from:])
	return body[:to], f.found
}

// mayRefer says whether there is a string that could be an id of HeldID.
func mayRefer(b []byte) bool {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], held)
		if i < 0 {
			return false
		}
		i += at
		for at = i + 1; at < len(b) && inID(b[at]); at++ {
		}
		start := i
		for start > 0 && inID(b[start-1]) {
			start--
		}
		if start > 0 && start < i && b[start-1] == '"' && at > i+1 && at < len(b) && b[at] == '"' {
			return true
		}
	}
}

// inID says whether a byte can stand in an id: it is printable ASCII, and JSON needs no escape for it.
func inID(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '\\' }

// finder goes over a body once. What is in it was checked before.
type finder struct {
	b       []byte
	frames  []frame // the objects and lists that are open, outermost first
	key     bool    // the next string is a key
	private int     // how many frames were open with the one whose contents are the caller's own; 0: none
	marks   []mark
	found   []Reference
}

// frame is an open object or list.
type frame struct {
	key   []byte // of the present member, as it is written
	list  bool
	index int // of the present element
}

// mark is where the part of an id stands that says who holds it.
type mark struct{ at, end int }

func (f *finder) all() {
	for i := 0; i < len(f.b); i++ {
		switch c := f.b[i]; c {
		case '{', '[':
			f.open(c == '[')
		case '}', ']':
			f.close()
		case ',':
			top := &f.frames[len(f.frames)-1]
			top.index++
			f.key = !top.list
		case '"':
			end := i + 1
			for ; f.b[end] != '"'; end++ {
				if f.b[end] == '\\' {
					end++
				}
			}
			f.text(i+1, end)
			i = end
		}
	}
}

func (f *finder) open(list bool) {
	n := len(f.frames)
	f.frames = append(f.frames, frame{list: list})
	if f.key = !list; f.private > 0 || n == 0 || f.frames[n-1].list {
		return
	}
	switch string(f.frames[n-1].key) {
	case "metadata", "parameters", "schema", "input_schema", "arguments":
		f.private = n + 1
	case "input": // of a tool; that of the body is what is said
		if n > 1 {
			f.private = n + 1
		}
	}
}

func (f *finder) close() {
	if len(f.frames) == f.private {
		f.private = 0
	}
	f.frames, f.key = f.frames[:len(f.frames)-1], false
}

// text is a string: a key, or a value, which may be an id.
func (f *finder) text(at, end int) {
	if f.key {
		f.frames[len(f.frames)-1].key, f.key = f.b[at:end], false
		return
	}
	if f.private > 0 || !f.names() {
		return
	}
	id := string(f.b[at:end])
	own, holder := SplitID(id)
	if own == "" || holder == "" || slices.ContainsFunc(f.b[at:end], func(c byte) bool { return !inID(c) }) {
		return
	}
	f.marks = append(f.marks, mark{end - len(holder) - 1, end})
	for _, r := range f.found {
		if r.Holder == holder {
			return
		}
	}
	if len(f.found) < mostReferences {
		f.found = append(f.found, Reference{Param: f.path(), ID: id, Holder: holder})
	}
}

// names says whether the present value is an id by which the dialects name something that a provider keeps.
func (f *finder) names() bool {
	n := len(f.frames)
	top := &f.frames[n-1]
	if top.list {
		return n > 1 && string(f.frames[n-2].key) == "file_ids"
	}
	switch string(top.key) {
	case "file_id":
		return true
	case "input_file_id", "previous_response_id", "conversation":
		return n == 1
	case "id":
		return n == 2 && string(f.frames[0].key) == "conversation"
	}
	return false
}

// path is where the present value stands.
func (f *finder) path() string {
	var b strings.Builder
	for i := range f.frames {
		switch s := &f.frames[i]; {
		case s.list:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.Write(s.key)
		}
	}
	return b.String()
}
