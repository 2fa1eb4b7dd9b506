package gateway

import "strings"

// held parts a provider's own id from its name. It is unreserved (RFC 3986, section 2.3), so nobody encodes it in a path.
const held = '~'

// HeldID is what callers get as the id of something that a provider keeps for them (a file, a batch): the provider's own
// id, so that its prefix still tells what it is, and behind it who has it, as in "file-abc~openai". Later requests then
// find it without a table. An empty id stays empty.
func HeldID(id, provider string) string {
	if id == "" {
		return ""
	}
	return id + string(held) + provider
}

// SplitID takes an id of HeldID apart. provider is "" if the id says nothing of one; whether there is a provider of that
// name, it does not know.
func SplitID(id string) (own, provider string) {
	if i := strings.LastIndexByte(id, held); i >= 0 {
		return id[:i], id[i+1:]
	}
	return id, ""
}
