package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
)

// entry is one element of keys in a tenant's file.
type entry struct {
	name, digest, expires string
	more                  []*yaml.Node // names and values of other fields
}

// restrictions are what an entry says of a key beside its name, its digest and its end: whatever has a copy of the key must say so, too.
func restrictions(k *config.TenantKey) (more []*yaml.Node, err error) {
	text, err := yaml.Dump(k)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		return nil, err
	}
	for pair := range slices.Chunk(doc.Content[0].Content, 2) {
		if !slices.Contains([]string{"name", "digest", "expires"}, pair[0].Value) {
			more = append(more, pair...)
		}
	}
	return more, nil
}

// line is the entry as one line of YAML, without what begins an element of a list.
func (e entry) line() (string, error) {
	out, err := yaml.Dump(e.node(), yaml.WithLineWidth(-1))
	return string(out), err
}

func (e entry) node() *yaml.Node {
	scalar := func(tag, value string, style yaml.Style) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Style: style}
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{
		scalar("!!str", "name", 0), scalar("!!str", e.name, 0),
		scalar("!!str", "digest", 0), scalar("!!str", e.digest, yaml.DoubleQuotedStyle),
	}}
	if e.expires != "" {
		n.Content = append(n.Content, scalar("!!str", "expires", 0), scalar("!!timestamp", e.expires, 0))
	}
	n.Content = append(n.Content, e.more...)
	return n
}

// writeKey adds an entry to a tenant's file. The file is replaced as a whole, or not at all.
func writeKey(path string, e entry) error {
	return editKeys(path, func(text []byte) ([]byte, error) { return addKey(text, e) })
}

// addKey returns a tenant's file with one more key. The entry is put in, and everything else stays as it is, byte for
// byte: where it fits is tried, and judged by what the file then says.
func addKey(text []byte, e entry) ([]byte, error) {
	var doc yaml.Node
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errNoTenant
	}
	if err := yaml.Load(text, &doc); err != nil {
		return nil, err
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, errNoTenant
	}
	want, err := digests(text)
	if err != nil {
		return nil, err
	}
	want = append(want, e.digest)
	line, err := e.line()
	if err != nil {
		return nil, err
	}
	for _, p := range places(text, child(doc.Content[0], "keys")) {
		with := slices.Concat(text[:p.at], []byte(p.before+strings.TrimSpace(line)+p.after), text[p.at:])
		if got, err := digests(with); err == nil && slices.Equal(got, want) {
			return with, nil
		}
	}
	return nil, errors.New("a key cannot be added to a file in this form; paste the line instead")
}

var errNoTenant = errors.New("not a tenant file")

// digests returns those of the file's keys, in order.
func digests(text []byte) ([]string, error) {
	var t struct{ Keys []struct{ Digest string } }
	if err := yaml.Load(text, &t); err != nil {
		return nil, err
	}
	list := make([]string, len(t.Keys))
	for i := range t.Keys {
		list[i] = t.Keys[i].Digest
	}
	return list, nil
}

// place is where an entry may fit in a text.
type place struct {
	at            int
	before, after string
}

// editKeys replaces a tenant's file by what edit makes of it.
func editKeys(path string, edit func(text []byte) ([]byte, error)) error {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	with, err := edit(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, with)
}

// replaceDigest returns a tenant's file with another digest in the place of one.
func replaceDigest(text []byte, before, after string) ([]byte, error) {
	want, err := digests(text)
	if err != nil {
		return nil, err
	}
	i := slices.Index(want, before)
	if i < 0 {
		return nil, errors.New("the key is not there any more")
	}
	want[i] = after
	for at := 0; ; at += len(before) { // it may stand in a comment, too
		next := bytes.Index(text[at:], []byte(before))
		if next < 0 {
			return nil, errors.New("the key cannot be replaced in a file of this form; do it by hand")
		}
		at += next
		with := slices.Concat(text[:at], []byte(after), text[at+len(before):])
		if got, err := digests(with); err == nil && slices.Equal(got, want) {
			return with, nil
		}
	}
}

// disableKey returns a tenant's file with a key switched off: disabled stands before its digest. The entry stays, so that it is seen
// when and by whom, and nobody gives its name to another key by chance.
func disableKey(text []byte, digest string) ([]byte, error) {
	list, err := digests(text)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(list, digest) {
		return nil, errors.New("the key is not there any more")
	}
	for end := 0; ; end += len(digest) {
		next := bytes.Index(text[end:], []byte(digest))
		if next < 0 {
			return nil, errors.New("the key cannot be disabled in a file of this form; do it by hand")
		}
		end += next
		at := bytes.LastIndex(text[:end], []byte("digest"))
		if at < 0 {
			continue
		}
		indent := strings.Repeat(" ", at-1-bytes.LastIndexByte(text[:at], '\n'))
		for _, inserted := range []string{"disabled: true, ", "disabled: true\n" + indent} {
			with := slices.Concat(text[:at], []byte(inserted), text[at:])
			off, err := disabled(with, digest)
			if got, e := digests(with); off && err == nil && e == nil && slices.Equal(got, list) {
				return with, nil
			}
		}
	}
}

// disabled says whether the key with a digest is switched off in a file.
func disabled(text []byte, digest string) (off bool, err error) {
	var t struct {
		Keys []struct {
			Digest   string
			Disabled bool
		}
	}
	if err := yaml.Load(text, &t); err != nil {
		return false, err
	}
	for _, k := range t.Keys {
		if k.Digest == digest {
			return k.Disabled, nil
		}
	}
	return false, nil
}

// places are where an entry may fit: below the last one of the list keys, or at the end of the file, or, if the list is
// written in brackets, before one that closes.
func places(text []byte, keys *yaml.Node) []place {
	newline := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		newline = "\r\n"
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	below := func(n int, before string) []place {
		at := len(bytes.Join(lines[:n], nil))
		if at > 0 && text[at-1] != '\n' {
			before = newline + before
		}
		return []place{{at, before, newline}}
	}
	switch {
	case keys == nil:
		return below(len(lines), "keys:"+newline+"  - ")
	case keys.Kind != yaml.SequenceNode: // null
		return below(keys.Line, "  - ")
	case keys.Style&yaml.FlowStyle == 0:
		n := lastLine(keys)
		for n < len(lines) && isComment(lines[n], keys.Column) {
			n++ // it belongs to the last entry
		}
		return below(n, strings.Repeat(" ", keys.Column-1)+"- ")
	}
	var all []place
	for at := len(bytes.Join(lines[:keys.Line-1], nil)); at < len(text); at++ {
		if text[at] == ']' {
			all = append(all, place{at, ", ", ""}, place{at, "", ""}) // the other after a comma, or in an empty list
		}
	}
	return all
}

// isComment reports whether a line is a comment that begins beyond a column.
func isComment(line []byte, column int) bool {
	rest := bytes.TrimLeft(line, " ")
	return len(rest) > 0 && rest[0] == '#' && len(line)-len(rest) >= column
}

// child is the value under a key of a mapping, or nil.
func child(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// lastLine is the last line on which something of a node begins.
func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, c := range n.Content {
		line = max(line, lastLine(c))
	}
	return line
}

// writeFile replaces a file, or makes it, in one step: a reader sees the old or the new one. The file that a symbolic
// link leads to is replaced, not the link.
func writeFile(path string, text []byte) error {
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // hidden: no tenant
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	for _, step := range []func() error{func() error { return f.Chmod(mode) }, f.Sync} {
		if err == nil {
			err = step()
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
