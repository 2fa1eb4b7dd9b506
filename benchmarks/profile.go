package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// profiled are the tests that a profile is made of if none are named, each for as long as the other: unary requests and streams, passed on as
// they are and translated.
const profiled = "max,stream,translate,translate-stream"

// profileFor is how long each is observed: about as long as its load lasts.
const profileFor = 7 * time.Second

// profile writes what the gateway spends its time on in the tests, merged, for go tool pprof. (Given to the compiler, see
// https://go.dev/doc/pgo, it gained nothing that could be measured.)
func (b *bench) profile(ctx context.Context, tests []test, path string) error {
	merge := []string{"tool", "pprof", "-proto", "-output", path}
	for _, t := range tests {
		part := filepath.Join(b.dir, t.name+".pprof")
		b.observe = func(ctx context.Context, g site) error { return fetchProfile(ctx, g.admin, part) }
		r, err := b.once(ctx, t, b.subjects[len(b.subjects)-1])
		if err == nil && r.faults(t) != "" {
			err = errors.New(r.faults(t))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		b.tell(t, r)
		merge = append(merge, part)
	}
	command := exec.CommandContext(ctx, "go", merge...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("merging profiles: %w", err)
	}
	return nil
}

// fetchProfile writes what a gateway does in the next seconds to a file.
func fetchProfile(ctx context.Context, admin, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, int(profileFor.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}
