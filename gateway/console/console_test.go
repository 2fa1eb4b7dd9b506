package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/console"
)

// most is what all files together may be, packed: whoever opens the console on a bad line waits for them.
const most = 100_000

func TestFiles(t *testing.T) {
	pages, err := console.New()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string, header ...string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		return w.Result()
	}
	all := 0
	for path, kind := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/app.css": "text/css"} {
		plain, packed := ask(path), ask(path, "Accept-Encoding", "br, gzip")
		body, _ := io.ReadAll(plain.Body)
		wire, _ := io.ReadAll(packed.Body)
		all += len(wire)
		z, err := gzip.NewReader(bytes.NewReader(wire))
		if err != nil {
			t.Fatal(path, err)
		}
		if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, body) || len(body) == 0 {
			t.Errorf("%s: packed it is something else, %v", path, err)
		}
		if got := plain.Header.Get("Content-Type"); got != kind+"; charset=utf-8" || plain.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, plain.StatusCode, got)
		}
		if p := plain.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: %s", path, p)
		}
		for _, r := range []*http.Response{plain, packed} {
			encoding := r.Header.Get("Content-Encoding")
			tag := r.Header.Get("ETag")
			if again := ask(path, "If-None-Match", tag, "Accept-Encoding", encoding); again.StatusCode != http.StatusNotModified {
				t.Errorf("%s as %q, known: %d", path, encoding, again.StatusCode)
			}
		}
		if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
			t.Errorf("%s: a cache takes the one for the other", path)
		}
	}
	if all > most {
		t.Errorf("%d bytes, more than %d", all, most)
	}
	if r := ask("/dist/index.html"); r.StatusCode != http.StatusNotFound {
		t.Errorf("%d", r.StatusCode)
	}
}
