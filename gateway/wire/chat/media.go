package chat

import (
	"bytes"
	"strings"
)

// What a caller is told in the place of what its dialect cannot carry.
const (
	lostImage = "(The model has made a picture, for which this API has no place.)"
	LostSound = "(The model has made a recording, for which this API has no place.)"
)

// LostImage is what a caller is told in the place of a picture that its dialect cannot carry: where it is, if that is not the
// picture itself. If the URL is the inside of a JSON string, so is the result.
func LostImage(url []byte) []byte {
	if len(url) == 0 || bytes.HasPrefix(url, []byte("data:")) {
		return []byte(lostImage)
	}
	return append(append([]byte("![picture]("), url...), ')')
}

// SetURL refers to the media by a URL. A data: URL in base64 (RFC 2397) is taken apart into Data and Type; every other one
// stays as it is.
func (m *Media) SetURL(u string) {
	m.URL = u
	if len(u) < 5 || !strings.EqualFold(u[:5], "data:") {
		return
	}
	head, data, ok := strings.Cut(u[5:], ",")
	const mark = ";base64"
	if cut := len(head) - len(mark); ok && data != "" && cut >= 0 && strings.EqualFold(head[cut:], mark) {
		m.URL, m.Type, m.Data = "", head[:cut], data
	}
}

// DataURL is the media as one URL: its URL, or a data: URL of its Data. It is "" for what has neither.
func (m *Media) DataURL() string {
	if m.Data == "" {
		return m.URL
	}
	return "data:" + m.Type + ";base64," + m.Data
}
