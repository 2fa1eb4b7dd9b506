// Package console is the operators' pages: an application for the browser that asks the admin API and talks to models through
// the gateway's own API. Its sources are in web/; what is built of them is in dist/ and part of the program, so that building
// the gateway takes no Node ("make console" builds them anew, and a test says when they differ).
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed dist
var dist embed.FS

// Files are the paths of the pages, of which "/" is the only one that people see: its views are in the fragment.
var Files = [...]string{"/", "/app.js", "/app.css"}

// policy is what the pages may do: nothing of any other origin, no code or style but their own files, and no text that becomes
// markup unless it went through the sanitiser. The style of a Markdown table or of a chart is set through the object model,
// which the policy does not mean.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sluice dompurify"

// file is one of the pages' files, as it goes out.
type file struct {
	plain, packed []byte
	kind, tag     string
}

// New reads the files; what they are asked for but [Files] is not found.
func New() (http.Handler, error) {
	files := map[string]file{}
	for _, name := range Files {
		f, err := load(name)
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		files[name] = f
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	}), nil
}

func load(name string) (file, error) {
	at := "dist" + name
	if name == "/" {
		at = "dist/index.html"
	}
	b, err := dist.ReadFile(at)
	if err != nil {
		return file{}, err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Close()
	}
	sum := sha256.Sum256(b)
	kinds := map[string]string{".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
	return file{
		plain: b, packed: packed.Bytes(), kind: kinds[path.Ext(at)] + "; charset=utf-8",
		tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}, err
}

// serve answers with the file. Its name is the same in every version, so browsers ask each time whether it is still this one.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", f.kind)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	body := f.plain
	tag := f.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, tag = f.packed, strings.TrimSuffix(f.tag, `"`)+`-gzip"`
	}
	h.Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
