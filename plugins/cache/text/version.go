package text

import (
	"hash/fnv"
	"io"
	"strconv"
	"sync"
)

// rules changes whenever Parse or Align may answer differently than before with the same tables.
const rules = 2

// Version names the rules and the tables by which texts are read. What was found out with another one does not go together
// with what is found out now.
func Version() string { return version() }

var version = sync.OnceValue(func() string {
	h := fnv.New64a()
	_, _ = h.Write(packed) // never fails
	for _, s := range []string{synonyms, phrasesFile, spellingFile} {
		_, _ = io.WriteString(h, "\x00"+s)
	}
	return strconv.Itoa(rules) + "-" + strconv.FormatUint(h.Sum64(), 36)
})
