package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
)

// Options say what a Loader reads.
type Options struct {
	// Path of the gateway file. Empty: the demonstration, with a simulated provider.
	Path string
	// Plugins holds, by name, the settings of each plugin there is: a pointer to a struct that holds the defaults. The
	// struct follows the rules of this package's own (yaml and jsonschema tags) and may have Validate() error, which may
	// return a FieldError. The structs are copied, not changed. Nil: the chain is not checked.
	Plugins map[string]any
	// Endpoints are the names that providers[].endpoints may hold. Nil: they are not checked.
	Endpoints []string
	// Check finds mistakes in a gateway file that this package cannot see, after its own. It returns FieldErrors, alone or
	// joined, whose fields are paths from the top of the file: catalog[0].like. Nil: there are none.
	Check func(*Config) error
	// Flags are command line flags, by the path of the setting they set: "server.listen". Those not Changed do not count.
	Flags map[string]*pflag.Flag
	// Unresolved lets a reference to a variable or a file that is missing stand in the text for itself, with a warning:
	// for commands that need no secrets. Other values than texts keep their defaults.
	Unresolved bool
	// DemoDigest is the digest of the demonstration's key, as in a tenant file. Empty: the tenant has no key.
	DemoDigest string
	// Poll is how often Watch reads the files to see changes it was not told of. 0: 10 seconds.
	Poll time.Duration
}

// Loader reads the configuration. It may be used by several goroutines at once.
type Loader struct {
	opt    Options
	shapes shapes

	mu        sync.Mutex
	loaded    bool                   // whether a load succeeded
	good      map[string]*tenantFile // the tenants then
	anonymous string                 // tenants.anonymous then, as configured
	warnings  Problems               // of the last load, successful or not
	known     stamps                 // of the tenants' files
	seen      *state                 // what the last load read, successful or not; nil before
}

// state is what was read: for the watcher.
type state struct {
	dir   string   // the tenants folder, or ""
	files []string // the files that ${file:} names, sorted
	sum   digest
}

// NewLoader returns a Loader. It reads nothing yet.
func NewLoader(opt Options) *Loader {
	if opt.Poll <= 0 {
		opt.Poll = 10 * time.Second
	}
	return &Loader{opt: opt, shapes: shapes{}, known: stamps{}}
}

// Load reads everything and is strict: any mistake, in any file, gives an error of type Problems.
func (l *Loader) Load() (*Config, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cfg, problems, err := l.load(false)
	if err == nil && len(problems) > 0 {
		return nil, problems
	}
	return cfg, err
}

// Warnings returns those of the last load, also if that failed.
func (l *Loader) Warnings() Problems {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.warnings
}

// Reload reads everything again under live traffic. A mistake in the gateway file (or in the environment, or a tenants
// folder that vanished) is an error, which also tells of mistakes in tenant files, and nothing changes. Otherwise a
// tenant file with a mistake keeps its last good version; one that never was good is left out; both are told by the
// Problems. The tenant of a removed file is gone. If that is the tenant of anonymous callers, they are denied, and the
// Problems say so.
func (l *Loader) Reload() (*Config, Problems, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load(true)
}

func (l *Loader) load(live bool) (*Config, Problems, error) {
	l.warnings = nil
	disk := newDisk(l.known)
	cfg, src, err := l.gateway(disk)
	if err != nil {
		return nil, nil, err
	}
	set := &tenantSet{cfg: cfg, shapes: l.shapes, disk: disk, lenient: l.opt.Unresolved, last: l.good, live: live && l.loaded}
	// Where the file is not YAML, or of another version, it is not known where the tenants are.
	dir, legible := cfg.Tenants.Dir, l.opt.Path == "" || src.root != nil && !src.foreign(cfg.Version)
	if !legible {
		dir = ""
	}
	if dir != "" {
		if err := set.read(dir); err != nil {
			(&checker{cfg, src}).fail("tenants.dir", "", "%s", err)
		}
		if set.missing {
			(&checker{cfg, src}).warn("tenants.dir", "make it and put a file for each tenant into it",
				"the tenants folder "+dir+" does not exist: nobody can call")
		}
		set.settle()
	}
	l.remember(dir, disk, src.refs, set)

	tenants, warnings := set.list()
	cfg.Tenants.List = append(cfg.Tenants.List, tenants...)
	anonymous := cfg.Tenants.Anonymous
	if legible {
		l.checkAnonymous(cfg, src, set)
	}
	problems, own := src.finish()
	cfg.Warnings = slices.Concat(own, warnings).sorted()
	l.warnings = cfg.Warnings
	if len(problems) > 0 || !set.live {
		problems = slices.Concat(problems, set.problems)
	}
	if len(problems) > 0 {
		return nil, nil, problems.sorted()
	}
	l.loaded, l.good, l.anonymous = true, set.good(), anonymous
	return cfg, set.problems.sorted(), nil
}

// Path is the gateway file; "" for the demonstration.
func (l *Loader) Path() string { return l.opt.Path }

// gateway reads the gateway file, or makes the demonstration, and lays environment and flags over it.
func (l *Loader) gateway(d disk) (*Config, *source, error) {
	cfg := &Config{Origins: map[string]string{}}
	cfg.SetDefaults()
	var err error
	if cfg.Plugins, err = prototypes(l.opt.Plugins); err != nil {
		return nil, nil, err
	}
	src := newSource(l.opt.Path, nil, newReferences(filepath.Dir(l.opt.Path), d, l.opt.Unresolved))
	if l.opt.Path == "" {
		src.name = "the demonstration"
		demo(cfg, l.opt.DemoDigest)
	} else {
		if src.text, err = d.read(l.opt.Path, maxFile); err != nil {
			return nil, nil, Problems{{File: l.opt.Path, Message: "the gateway file cannot be read: " + reason(err)}}
		}
		if src.parse() {
			dec := newDecoder(src, l.shapes)
			dec.value(src.root, reflect.ValueOf(cfg).Elem(), "", nil)
			maps.Copy(cfg.Origins, dec.origins)
			cfg.lines = map[string]int{}
			linesOf(src.root, "", cfg.lines)
		}
		if src.foreign(cfg.Version) {
			return cfg, src, nil
		}
	}
	overlay(cfg, src, l.shapes, l.opt.Flags)
	if src.root != nil || l.opt.Path == "" {
		l.complete(cfg)
		c := &checker{cfg, src}
		c.all(l.opt.Endpoints)
		c.others(l.opt.Check)
	}
	return cfg, src, nil
}

// prototypes copies the plugins' settings, so that decoding changes no defaults.
func prototypes(given map[string]any) (map[string]any, error) {
	if given == nil {
		return nil, nil
	}
	out := map[string]any{}
	for name, settings := range given {
		v := reflect.ValueOf(settings)
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return nil, fmt.Errorf("config: the settings of plugin %s are a %T, not a pointer to a struct", name, settings)
		}
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(v.Elem())
		out[name] = fresh.Interface()
	}
	return out, nil
}

// complete fills in what follows from other values, and makes the paths in the file relative to its folder.
func (l *Loader) complete(cfg *Config) {
	if cfg.Server.AdminListen == "off" {
		cfg.Server.AdminListen = ""
	}
	for i := range cfg.Providers {
		p := &cfg.Providers[i]
		p.completeURL()
		if p.Type == Simulated {
			p.Proxy = ""
			if p.Sim == nil {
				p.Sim = &Sim{}
				p.Sim.SetDefaults()
			}
		}
	}
	for path, file := range map[string]*string{
		"tenants.dir": &cfg.Tenants.Dir, "stores.wal.dir": &cfg.Stores.WAL.Dir, "server.tls.cert": &cfg.Server.TLS.Cert, "server.tls.key": &cfg.Server.TLS.Key,
	} {
		if overriding(cfg.Origins[path]) == "" { // a flag's path is relative to where the command runs
			*file = within(filepath.Dir(l.opt.Path), *file)
		}
	}
	if path, ok := strings.CutPrefix(cfg.Stores.Ledger, "sqlite:"); ok && overriding(cfg.Origins["stores.ledger"]) == "" {
		cfg.Stores.Ledger = "sqlite:" + within(filepath.Dir(l.opt.Path), path)
	}
}

// checkAnonymous reports an anonymous tenant that does not exist. If it did at the last load, its file was removed: it
// must not come back because of that, so its callers are denied.
func (l *Loader) checkAnonymous(cfg *Config, src *source, set *tenantSet) {
	id, ids := cfg.Tenants.Anonymous, []string{Deny}
	for _, t := range cfg.Tenants.List {
		ids = append(ids, t.ID)
	}
	if slices.Contains(ids, id) {
		return
	}
	for _, f := range set.files {
		if f.bad && !set.live {
			return // it may have been this tenant's
		}
	}
	before := len(src.problems)
	(&checker{cfg, src}).fail("tenants.anonymous", didYouMean(id, ids, "tenants"), "tenants.anonymous: %q is not defined", id)
	if set.live && id == l.anonymous && before == 0 {
		problems, _ := src.finish()
		set.problems, src.problems = append(set.problems, problems...), nil
		cfg.Tenants.Anonymous = Deny
	}
}

// remember keeps what this load read, for the watcher.
func (l *Loader) remember(dir string, d disk, refs *references, set *tenantSet) {
	files := map[string]struct{}{}
	maps.Copy(files, refs.files)
	for _, f := range set.files {
		maps.Copy(files, f.files)
		f.data = nil
	}
	l.seen = &state{dir: dir, files: slices.Sorted(maps.Keys(files)), sum: d.sum()}
}
