package config

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// debounce is how long the files must rest before they are read: editors and Kubernetes change several in a row.
const debounce = 50 * time.Millisecond

// Watch calls changed when the gateway file, a tenant file or a file that ${file:} names holds something else than at
// the last load, until ctx ends. It never calls twice at once; changed is expected to call Reload.
//
// It watches the folders, because files are replaced rather than written (an editor's rename, Kubernetes' swap of a
// symbolic link), and reads all files every Options.Poll, because not every file system tells. A folder that does not
// exist yet is seen when it is made. If the system refuses to watch, polling remains.
func (l *Loader) Watch(ctx context.Context, changed func()) {
	w := watcher{loader: l, known: l.state().sum, stamps: stamps{}}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		notify = &fsnotify.Watcher{} // its channels are nil: they never speak
	} else {
		defer func() { _ = notify.Close() }()
		w.notify = notify
	}
	poll := time.NewTicker(l.opt.Poll)
	defer poll.Stop()
	rest := time.NewTimer(0) // at once: something may have changed since the load
	defer rest.Stop()
	w.follow()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-notify.Events:
			if w.concerns(e) {
				rest.Reset(debounce)
			}
			continue
		case err := <-notify.Errors:
			if err != nil { // events may be lost: look
				rest.Reset(debounce)
			}
			continue
		case <-rest.C:
		case <-poll.C:
		}
		w.follow()
		if w.look() {
			changed()
			rest.Reset(debounce) // there may be other files to watch now, which may have changed since they were read
		}
	}
}

// state returns what the last load read.
func (l *Loader) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		return state{}
	}
	return *l.seen
}

// watcher is the state of one Watch.
type watcher struct {
	loader *Loader
	notify *fsnotify.Watcher // nil if the system refuses
	known  digest            // of what was last told, or loaded
	stamps stamps
	paths  []string // what is watched for: files, the tenants folder, and where links lead

	tenants string // the tenants folder, absolute
}

// look reads all files and reports whether they hold something new.
func (w *watcher) look() bool {
	state, d := w.loader.state(), newDisk(w.stamps)
	if path := w.loader.opt.Path; path != "" {
		_, _ = d.read(path, maxFile) // that it cannot be read is a state too
	}
	if state.dir != "" {
		paths, _ := listTenants(state.dir)
		for _, path := range paths {
			_, _, _ = d.look(path, maxFile)
		}
	}
	for _, path := range state.files {
		_, _ = d.read(path, maxSecret)
	}
	now := d.sum()
	if now == w.known {
		return false
	}
	w.known = now
	return now != state.sum // a Reload in between may have seen it
}

// follow watches the folders of what is to be watched now, or their nearest ancestors that exist.
func (w *watcher) follow() {
	state := w.loader.state()
	paths := slices.Clone(state.files)
	if w.loader.opt.Path != "" {
		paths = append(paths, w.loader.opt.Path)
	}
	if state.dir != "" {
		paths = append(paths, state.dir)
	}
	want := map[string]struct{}{}
	for _, path := range paths {
		want[absolute(path)] = struct{}{}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			want[absolute(real)] = struct{}{}
		}
	}
	w.paths = slices.Sorted(maps.Keys(want))
	folders := map[string]struct{}{}
	for _, path := range w.paths {
		folders[filepath.Dir(path)] = struct{}{}
	}
	if state.dir != "" {
		w.tenants = absolute(state.dir)
		folders[w.tenants] = struct{}{}
		if real, err := filepath.EvalSymlinks(w.tenants); err == nil {
			folders[real] = struct{}{}
		}
	}
	w.watchFolders(folders)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// watchFolders makes the watched folders those given, each replaced by its nearest ancestor that exists.
func (w *watcher) watchFolders(folders map[string]struct{}) {
	if w.notify == nil {
		return
	}
	watched := w.notify.WatchList()
	var dirs []string
	for dir := range folders {
		for !slices.Contains(watched, dir) && w.notify.Add(dir) != nil && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
		}
		dirs = append(dirs, dir)
	}
	for _, dir := range watched {
		if !slices.Contains(dirs, dir) {
			_ = w.notify.Remove(dir) // it may be gone
		}
	}
}

// concerns reports whether an event may be about one of the files: about one by name, about a folder above one, about
// the tenants folder, or about a hidden link such as Kubernetes' ..data.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if strings.HasPrefix(filepath.Base(e.Name), "..") {
		return true
	}
	dir := filepath.Dir(e.Name)
	return dir == w.tenants || slices.Contains(w.paths, dir) || slices.ContainsFunc(w.paths, func(path string) bool {
		return path == e.Name || strings.HasPrefix(path, e.Name+string(filepath.Separator))
	})
}
