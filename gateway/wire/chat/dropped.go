package chat

import "slices"

// Dropped gathers the names of what an encoder leaves out of a request, in OpenAI's words: seed, tools.web_search. Callers
// read them in a header, and many of the names are the caller's own, so they are bounded: each is there once, and what has
// an odd name, or comes when there are enough, is "other". The zero value is ready.
type Dropped struct {
	names []string
	size  int // bytes of the names
}

const (
	mostDropped  = 32  // names
	droppedBytes = 512 // of all names
	longestName  = 64  // in bytes
	unnamed      = "other"
)

// Add notes a name.
func (d *Dropped) Add(name string) {
	if !plainName(name) || len(d.names) >= mostDropped || d.size+len(name) > droppedBytes {
		name = unnamed
	}
	if !slices.Contains(d.names, name) {
		d.names = append(d.names, name)
		d.size += len(name)
	}
}

// Names are those noted, in order; nil if nothing was left out.
func (d *Dropped) Names() []string { return d.names }

// plainName says whether a name has only letters, digits and the punctuation of paths, as every client reads headers.
func plainName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '.', c == '-', c == '[', c == ']':
		default:
			return false
		}
	}
	return name != "" && len(name) <= longestName
}
