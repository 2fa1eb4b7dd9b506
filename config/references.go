package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFile   = 8 << 20  // a configuration file
	maxSecret = 64 << 10 // a file that ${file:} names
	minSecret = 6        // shorter text is not worth hiding, and occurs by chance
)

// readRegular refuses what could block or never end: pipes, devices, folders.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %s", Bytes(limit))
	}
	return data, nil
}

// reason is an error of the file system without the path, which the message has already.
func reason(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// references resolves ${env:NAME}, ${env:NAME:-default} and ${file:/path}.
type references struct {
	dir     string // what relative paths are relative to
	disk    disk
	lenient bool // whether one that cannot be resolved stands for itself

	used    map[string]string   // reference -> what it stood for
	files   map[string]struct{} // paths of the files named
	refused bool                // there must be none
	loose   []string            // why those that stand for themselves do, until the decoder has told
}

func newReferences(dir string, d disk, lenient bool) *references {
	return &references{dir: dir, disk: d, lenient: lenient, used: map[string]string{}, files: map[string]struct{}{}}
}

// expand replaces the references in text and returns the names of those it found (without defaults, which may be
// secret). $${ stands for a plain ${.
func (r *references) expand(text string) (string, []string, []*mistake) {
	var out strings.Builder
	var found []string
	var mistakes []*mistake
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			return out.String(), found, mistakes
		}
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return "", found, append(mistakes, &mistake{wrong: "a reference begins with ${ and does not end", hint: "close it with }, or write $${ for a plain ${"})
		}
		inside := text[at+2 : at+end]
		text = text[at+end+1:]
		value, name, m := r.resolve(inside)
		if m != nil && name != "" && r.lenient {
			r.loose = append(r.loose, m.wrong)
			value, m = name, nil
		}
		if m != nil {
			mistakes = append(mistakes, m)
			continue
		}
		found = append(found, name)
		r.used[inside] = value
		out.WriteString(value)
	}
}

// resolve returns what the inside of ${…} stands for, and the reference without its default; "" if it is none.
func (r *references) resolve(inside string) (value, name string, m *mistake) {
	kind, rest, _ := strings.Cut(inside, ":")
	switch {
	case r.refused:
		return "", "", &mistake{wrong: "a reference has no place here", hint: "write $${ for a plain ${"}
	case kind == "env" && rest != "":
		variable, fallback, hasFallback := strings.Cut(rest, ":-")
		value, set := os.LookupEnv(variable)
		name = "${env:" + variable + "}"
		switch {
		case value != "":
			return value, name, nil
		case hasFallback:
			return fallback, name, nil
		case set:
			return "", name, &mistake{wrong: "environment variable " + variable + " is empty"}
		}
		return "", name, &mistake{wrong: "environment variable " + variable + " is not set"}
	case kind == "file" && rest != "":
		path := within(r.dir, rest)
		name = "${file:" + rest + "}"
		r.files[path] = struct{}{}
		data, err := r.disk.read(path, maxSecret)
		if err != nil {
			return "", name, &mistake{wrong: "file " + rest + " cannot be read: " + reason(err)}
		}
		value = string(bytes.TrimRight(data, "\r\n"))
		if value == "" {
			return "", name, &mistake{wrong: "file " + rest + " is empty"}
		}
		return value, name, nil
	}
	return "", "", &mistake{wrong: "a reference is neither ${env:NAME} nor ${file:/path}", hint: "write $${ for a plain ${"}
}

// conceal puts the references back into a message: what they stand for may be secret, whatever field it got into.
func (r *references) conceal(message string) string {
	var pairs []string
	// The longest first: one may be a part of another.
	for _, inside := range slices.SortedFunc(maps.Keys(r.used), func(a, b string) int { return len(r.used[b]) - len(r.used[a]) }) {
		value, reference := r.used[inside], "${"+strings.SplitN(inside, ":-", 2)[0]+"}"
		if quoted := strconv.Quote(value); len(value) >= minSecret {
			pairs = append(pairs, value, reference, quoted[1:len(quoted)-1], reference)
		}
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// current reports whether all references that were used still stand for the same.
func (r *references) current(used map[string]string) bool {
	for inside, before := range used {
		if now, _, m := r.resolve(inside); m != nil || now != before {
			return false
		}
	}
	return true
}

// within returns path, which may be relative to dir.
func within(dir, path string) string {
	if filepath.IsAbs(path) || path == "" {
		return path
	}
	return filepath.Join(dir, path)
}
