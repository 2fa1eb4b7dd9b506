package chat

import "strings"

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
