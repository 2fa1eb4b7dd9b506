package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// tenantFile is one tenant file, as it was read.
type tenantFile struct {
	name   string
	data   []byte // only during a load
	sum    digest
	tenant *Tenant // nil if there is none
	bad    bool    // whether the file has a mistake on its own

	used     map[string]string   // references -> what they stood for
	files    map[string]struct{} // the files among them
	warnings Problems
}

// listTenants returns the paths of the tenant files in a folder, sorted. Names that begin with a dot are not tenants:
// Kubernetes keeps its versions there, editors their copies.
func listTenants(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// tenantSet reads the tenant files of one load.
type tenantSet struct {
	cfg      *Config
	shapes   shapes
	disk     disk
	lenient  bool                   // whether references may stay unresolved
	last     map[string]*tenantFile // the good versions of the load before
	live     bool                   // whether a bad file gives way to its last good version
	missing  bool                   // whether the folder does not exist
	files    []*tenantFile
	problems Problems
}

// read reads all files of the folder. The error is about the folder.
func (t *tenantSet) read(dir string) error {
	paths, err := listTenants(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && !(t.live && len(t.last) > 0) {
			t.missing = true
			return nil // the folder may be made later; but a folder that vanished does not remove its tenants
		}
		return fmt.Errorf("the tenants folder %s cannot be read: %s", dir, reason(err))
	}
	for _, path := range paths {
		sum, data, err := t.disk.look(path, maxFile)
		if err != nil {
			if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
				continue // between listing and reading
			}
			t.problems = append(t.problems, Problem{File: path, Message: "the file cannot be read: " + reason(err)})
			t.files = append(t.files, &tenantFile{name: path, bad: true})
			continue
		}
		t.add(path, sum, data)
	}
	return nil
}

// add takes a file: the last version if nothing changed, otherwise a new one. data is nil if the file was not read.
func (t *tenantSet) add(path string, sum digest, data []byte) {
	if old := t.last[path]; old != nil && old.sum == sum {
		refs := newReferences(filepath.Dir(path), t.disk, t.lenient)
		if refs.current(old.used) {
			old.data = data
			t.files = append(t.files, old)
			return
		}
	}
	if data == nil {
		data, _ = t.disk.read(path, maxFile) // that it was removed just now is seen next time
		sum = sha256.Sum256(data)
	}
	f := &tenantFile{name: path, data: data, sum: sum}
	src, tenant := t.decode(f)
	problems, warnings := src.finish()
	t.problems = append(t.problems, problems...)
	f.warnings, f.tenant, f.bad = warnings, tenant, len(problems) > 0
	t.files = append(t.files, f)
}

func (t *tenantSet) decode(f *tenantFile) (*source, *Tenant) {
	refs := newReferences(filepath.Dir(f.name), t.disk, t.lenient)
	src, tenant := newSource(f.name, f.data, refs), &Tenant{File: f.name}
	tenant.SetDefaults()
	if src.parse() {
		newDecoder(src, t.shapes).value(src.root, reflect.ValueOf(tenant).Elem(), "", nil)
		if src.foreign(tenant.Version) {
			tenant = nil
		} else {
			(&tenantChecker{src, tenant, ""}).all()
		}
	}
	f.used, f.files = refs.used, refs.files
	return src, tenant
}

// conflict is a mistake of a tenant that shows only beside the gateway file or the other tenants.
type conflict struct {
	file          int // index in files
	path          string
	message, hint string
}

// settle reports the conflicts. Live, a file at fault gives way to its last good version, or is left out.
func (t *tenantSet) settle() {
	if t.live {
		for i := range t.files {
			if t.files[i].bad {
				t.giveWay(i)
			}
		}
	}
	t.credentials()
	t.needs()
	for {
		conflicts := t.doubles()
		for _, c := range conflicts {
			t.blame(c)
			if t.live {
				t.giveWay(c.file)
			}
		}
		if len(conflicts) == 0 || !t.live {
			return
		}
	}
}

// old reports whether a file is in the version of the load before.
func (t *tenantSet) old(i int) bool { return t.files[i] == t.last[t.files[i].name] }

func (t *tenantSet) giveWay(i int) {
	name := t.files[i].name
	if old := t.last[name]; old != nil && !t.old(i) {
		t.files[i] = old
		return
	}
	t.files[i] = &tenantFile{name: name}
}

// blame reports a conflict with its place in the file, which is decoded again for that.
func (t *tenantSet) blame(c conflict) {
	f := t.files[c.file]
	if f.data == nil {
		f.data, _ = t.disk.read(f.name, maxFile)
	}
	src, _ := t.decode(&tenantFile{name: f.name, data: f.data})
	src.problems, src.warnings = nil, nil
	if !src.bad[c.path] { // otherwise it was reported already
		src.fail(src.where(c.path), c.path, c.message, c.hint)
	}
	problems, _ := src.finish()
	t.problems = append(t.problems, problems...)
}

// credentials reports credentials for providers that do not exist. Live, a tenant whose file did not change keeps
// working when the gateway file loses a provider.
func (t *tenantSet) credentials() {
	var providers []string
	simulated := map[string]bool{}
	for i := range t.cfg.Providers {
		providers = append(providers, t.cfg.Providers[i].Name)
		simulated[t.cfg.Providers[i].Name] = t.cfg.Providers[i].Type == Simulated
	}
	for i, f := range t.files {
		if f.tenant == nil || len(providers) == 0 {
			continue
		}
		found := 0
		for j, cr := range f.tenant.Credentials {
			c := conflict{file: i, path: fmt.Sprintf("credentials[%d].provider", j)}
			switch {
			case cr.Provider == "":
				continue // reported while decoding
			case !slices.Contains(providers, cr.Provider):
				c.message, c.hint = fmt.Sprintf("%s: %q is not defined", c.path, cr.Provider), didYouMean(cr.Provider, providers, "providers")
			case simulated[cr.Provider]:
				c.message = fmt.Sprintf("%s: %q is simulated and takes no key", c.path, cr.Provider)
			default:
				continue
			}
			t.blame(c)
			found++
		}
		if found > 0 && t.live && !t.old(i) {
			t.giveWay(i)
		}
	}
}

// doubles returns the ids and the digests that occur in two places. At fault is the later file, or the one that
// changed.
func (t *tenantSet) doubles() []conflict {
	type place struct {
		file int
		path string
	}
	var found []conflict
	ids, digests, issuers := map[string]place{}, map[string]place{}, map[string]place{}
	meet := func(seen map[string]place, key string, here place, what string) {
		before, twice := seen[key]
		if !twice || key == "" {
			seen[key] = here
			return
		}
		if t.live && t.old(here.file) && !t.old(before.file) {
			here, before = before, here
		}
		found = append(found, conflict{here.file, here.path, fmt.Sprintf("%s of %s in %s", what, before.path, t.files[before.file].name), ""})
	}
	for i, f := range t.files {
		if f.tenant == nil {
			continue
		}
		if j := f.tenant.JWT; j != nil && j.Claims.Tenant == "" {
			for k, audience := range j.Audience {
				meet(issuers, j.Issuer+"\x00"+audience, place{i, fmt.Sprintf("jwt.audience[%d]", k)}, "issuer and audience are those")
			}
		}
		meet(ids, f.tenant.ID, place{i, "id"}, fmt.Sprintf("the id %q is that", f.tenant.ID))
		for j, k := range f.tenant.Keys {
			meet(digests, k.Digest, place{i, fmt.Sprintf("keys[%d].digest", j)}, "the digest is that")
		}
	}
	return found
}

// list returns the tenants by id, and the warnings of their files.
func (t *tenantSet) list() ([]*Tenant, Problems) {
	var tenants []*Tenant
	var warnings Problems
	for _, f := range t.files {
		if f.tenant != nil && !f.bad {
			tenants = append(tenants, f.tenant)
			warnings = append(warnings, f.warnings...)
		}
	}
	slices.SortFunc(tenants, func(a, b *Tenant) int { return strings.Compare(a.ID, b.ID) })
	return tenants, warnings
}

// good returns the good versions, for the next load.
func (t *tenantSet) good() map[string]*tenantFile {
	good := map[string]*tenantFile{}
	for _, f := range t.files {
		if f.tenant != nil && !f.bad {
			good[f.name] = f
		}
	}
	return good
}
