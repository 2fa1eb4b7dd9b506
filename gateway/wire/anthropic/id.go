package anthropic

import (
	"encoding/base64"
	"strings"
)

// escaped begins an id that was not fit for the dialect: the id in base64url follows.
const escaped = "sluice_"

// wireID is the id of a call as this dialect allows it: one or more letters, digits, _ and -. plainID undoes it.
func wireID(id string) string {
	if fits(id) && !strings.HasPrefix(id, escaped) {
		return id
	}
	return escaped + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// plainID is the id that wireID made an id of, or the id itself if it did not.
func plainID(id string) string {
	if rest, ok := strings.CutPrefix(id, escaped); ok {
		if b, err := base64.RawURLEncoding.DecodeString(rest); err == nil {
			if plain := string(b); plain != "" && wireID(plain) == id {
				return plain
			}
		}
	}
	return id
}

func fits(id string) bool {
	for i := range len(id) {
		c := id[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return id != ""
}
