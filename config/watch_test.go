package config_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// watching loads gateway.yaml and watches. It returns a function that waits until a reload has made a configuration
// that is as wanted.
func watching(t *testing.T, opt config.Options) func(what string, wanted func(*config.Config) bool) {
	t.Helper()
	if opt.Path == "" {
		opt.Path = "gateway.yaml"
	}
	if opt.Poll == 0 {
		opt.Poll = time.Hour // nothing but notifications
	}
	l := config.NewLoader(opt)
	if _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reloads, ended := make(chan *config.Config), make(chan struct{})
	go func() {
		defer close(ended)
		l.Watch(ctx, func() {
			cfg, _, err := l.Reload()
			if err != nil {
				cfg = nil
			}
			select {
			case reloads <- cfg:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("Watch did not end with its context")
		}
	})
	return func(what string, wanted func(*config.Config) bool) {
		t.Helper()
		deadline := time.After(patience)
		for {
			select {
			case cfg := <-reloads:
				if wanted(cfg) {
					return
				}
			case <-deadline:
				t.Fatalf("%s was not seen", what)
			}
		}
	}
}

func heartbeat(d time.Duration) func(*config.Config) bool {
	return func(c *config.Config) bool { return c != nil && c.Server.Heartbeat == d }
}

func tenants(digests string) func(*config.Config) bool {
	return func(c *config.Config) bool {
		if c == nil {
			return false
		}
		return letters(c) == digests
	}
}

// letters returns the first letters of the tenants' digests.
func letters(c *config.Config) string {
	var all []string
	for _, tn := range c.Tenants.List {
		all = append(all, tn.Keys[0].Digest[7:8])
	}
	return strings.Join(all, "")
}

// replace writes a file as editors do: another one, renamed over it.
func replace(t *testing.T, name, content string) {
	t.Helper()
	write(t, name+"~", content)
	rename(t, name+"~", name)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFiles(t *testing.T) {
	folder(t, "gateway.yaml", base, "tenants/a.yaml", tenant("a", "1"))
	wait := watching(t, config.Options{})
	write(t, "gateway.yaml", base+"server: {heartbeat: 2s}\n")
	wait("a written gateway file", heartbeat(2*time.Second))
	replace(t, "gateway.yaml", base+"server: {heartbeat: 3s}\n")
	wait("a gateway file renamed over", heartbeat(3*time.Second))
	replace(t, "gateway.yaml", base+"server: {heartbeat: 4s}\n")
	wait("a second rename", heartbeat(4*time.Second))
	write(t, "gateway.yaml", "[")
	wait("a bad gateway file", func(c *config.Config) bool { return c == nil })
	write(t, "gateway.yaml", base)
	wait("a gateway file made good again", heartbeat(15*time.Second))

	write(t, "tenants/b.yaml", tenant("b", "2"))
	wait("a new tenant", tenants("12"))
	replace(t, "tenants/a.yaml", tenant("a", "3"))
	wait("a tenant renamed over", tenants("32"))
	if err := os.Remove("tenants/b.yaml"); err != nil {
		t.Fatal(err)
	}
	wait("a removed tenant", tenants("3"))
}

func TestWatchLateFolder(t *testing.T) {
	folder(t, "gateway.yaml", base+"tenants: {dir: deep/er/tenants}\n")
	wait := watching(t, config.Options{})
	// In one go, away from the watcher, then moved in place: no file event but that of the topmost folder.
	write(t, "new/er/tenants/a.yaml", tenant("a", "1"))
	rename(t, "new", "deep")
	wait("a folder made later", tenants("1"))
	write(t, "deep/er/tenants/b.yaml", tenant("b", "2"))
	wait("a tenant in it", tenants("12"))
	// The gateway file names another folder.
	write(t, "other/c.yaml", tenant("c", "3"), "gateway.yaml", base+"tenants: {dir: other}\n")
	wait("another folder", tenants("3"))
	write(t, "other/d.yaml", tenant("d", "4"))
	wait("a tenant in the other folder", tenants("34"))
}

func TestWatchSecret(t *testing.T) {
	folder(t, "gateway.yaml", `
version: 1
providers: [{name: a, type: openai, keys: [{name: k, key: "${file:secrets/key}"}]}]
models: [{name: demo, targets: [{provider: a}]}]
`, "secrets/key", "sk-1", "secrets/other", "x")
	wait := watching(t, config.Options{})
	key := func(want string) func(*config.Config) bool {
		return func(c *config.Config) bool { return c != nil && c.Providers[0].Keys[0].Key.Reveal() == want }
	}
	replace(t, "secrets/key", "sk-2\n")
	wait("a new secret", key("sk-2"))
	if err := os.Remove("secrets/key"); err != nil {
		t.Fatal(err)
	}
	wait("a removed secret", func(c *config.Config) bool { return c == nil })
	write(t, "secrets/key", "sk-3\n")
	wait("the secret's return", key("sk-3"))
}

// Kubernetes mounts a ConfigMap as links into ..data, a link to a folder with the time in its name. It makes a new folder
// and renames a new link over ..data.
func TestWatchKubernetes(t *testing.T) {
	dir := folder(t)
	swap := func(mount, version string, files ...string) {
		t.Helper()
		for i := 0; i < len(files); i += 2 {
			write(t, filepath.Join(mount, version, files[i]), files[i+1])
		}
		link := filepath.Join(dir, mount, "..data_tmp")
		if err := os.Symlink(version, link); err != nil {
			t.Fatal(err)
		}
		rename(t, link, filepath.Join(dir, mount, "..data"))
		for i := 0; i < len(files); i += 2 {
			_ = os.Symlink("..data/"+files[i], filepath.Join(mount, files[i])) // there since the first version
		}
	}
	gateway := func(d string) string { return base + "server: {heartbeat: " + d + "}\ntenants: {dir: ../tenants}\n" }
	swap("conf", "..2026_1", "gateway.yaml", gateway("1s"))
	swap("tenants", "..2026_1", "a.yaml", tenant("a", "1"))
	wait := watching(t, config.Options{Path: "conf/gateway.yaml"})
	swap("conf", "..2026_2", "gateway.yaml", gateway("2s"))
	wait("a swapped gateway file", heartbeat(2*time.Second))
	swap("tenants", "..2026_2", "a.yaml", tenant("a", "2"), "b.yaml", tenant("b", "3"))
	wait("a swapped tenants folder", tenants("23"))
	swap("tenants", "..2026_3", "a.yaml", tenant("a", "4"), "b.yaml", tenant("b", "5"))
	wait("a second swap", tenants("45"))
}

// A link to a folder is followed, and so is what it is changed to.
func TestWatchLinkedFolder(t *testing.T) {
	folder(t, "gateway.yaml", base, "v1/a.yaml", tenant("a", "1"), "v2/a.yaml", tenant("a", "2"))
	if err := os.Symlink("v1", "tenants"); err != nil {
		t.Fatal(err)
	}
	wait := watching(t, config.Options{})
	write(t, "v1/a.yaml", tenant("a", "3"))
	wait("a change behind the link", tenants("3"))
	if err := os.Symlink("v2", "tenants_new"); err != nil {
		t.Fatal(err)
	}
	rename(t, "tenants_new", "tenants")
	wait("a changed link", tenants("2"))
	write(t, "v2/a.yaml", tenant("a", "4"))
	wait("a change behind the new link", tenants("4"))
}

// A change through another name of the same file gives no notification in the watched folder: the poll sees it.
func TestWatchPolls(t *testing.T) {
	folder(t, "gateway.yaml", base, "elsewhere/x", "")
	if err := os.Link("gateway.yaml", "elsewhere/gateway"); err != nil {
		t.Fatal(err)
	}
	wait := watching(t, config.Options{Poll: 20 * time.Millisecond})
	write(t, "elsewhere/gateway", base+"server: {heartbeat: 2s}\n")
	wait("a change without a notification", heartbeat(2*time.Second))
}

// What changed between the load and the watch is told, and what did not change is not told.
func TestWatchTellsOnce(t *testing.T) {
	folder(t, "gateway.yaml", base, "tenants/a.yaml", tenant("a", "1"))
	l := config.NewLoader(config.Options{Path: "gateway.yaml", Poll: 5 * time.Millisecond})
	if _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	write(t, "tenants/a.yaml", tenant("a", "2"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	calls, told := 0, ""
	steps := []func(){
		// Nothing but the time changes; then something does. The poll looks many times a debounce.
		func() { write(t, "tenants/a.yaml", tenant("a", "2"), "gateway.yaml", base, "notes.txt", "x") },
		func() { write(t, "tenants/b.yaml", tenant("b", "3")) },
	}
	l.Watch(ctx, func() {
		calls++
		cfg, _, err := l.Reload()
		if err != nil {
			t.Error(err)
			cancel()
			return
		}
		switch told = letters(cfg); told {
		case "2":
			for _, step := range steps {
				step()
			}
		case "23":
			cancel()
		}
	})
	if told != "23" || calls != 2 {
		t.Errorf("told %d times, at last of tenants %s", calls, told)
	}
}
