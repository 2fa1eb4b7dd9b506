package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Where a tenant is from.
const (
	FromFile  = "file"
	FromStore = "store"
)

// Tenant is a tenant, as it is shown.
type Tenant struct {
	TenantLine
	Spec Spec  `json:"spec"`
	Keys []Key `json:"keys"`
}

// TenantLine is what a list says of a tenant.
type TenantLine struct {
	ID       tenant.ID `json:"id"`
	Name     string    `json:"name,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Origin   string    `json:"origin"`         // file or store
	File     string    `json:"file,omitempty"` // of origin file
	Line     int       `json:"line,omitempty"`
	Revision int64     `json:"revision,omitempty"` // of origin store
	Twice    bool      `json:"twice,omitempty"`    // it is in the store, too: that one has no effect
}

// ownedError is for changes of what a file owns.
type ownedError struct {
	apiError
	file string
	line int
}

// Unwrap is the answer.
func (e *ownedError) Unwrap() error { return &e.apiError }

// lineOf is what is shown of a tenant of a file (with its place) or of the store.
func lineOf(t *store.Tenant, file *FileTenant) TenantLine {
	s := specOf(t.Spec)
	l := TenantLine{ID: t.ID, Name: s.Name, Disabled: s.Disabled, Origin: FromStore, Revision: t.Revision}
	if file != nil {
		l.Origin, l.File, l.Line, l.Revision = FromFile, file.File, file.Line, 0
	}
	return l
}

func (c *call) file(id tenant.ID) (FileTenant, bool) {
	if c.s.o.Files == nil {
		return FileTenant{}, false
	}
	return c.s.o.Files.Tenant(id)
}

// pageOf is ?limit=, of at most that many.
func (c *call) pageOf(most int) (int, error) {
	text := c.query.Get("limit")
	if text == "" {
		return min(100, most), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, &apiError{http.StatusBadRequest, "invalid_query", "limit is a number from 1 to " + strconv.Itoa(most) + "."}
	}
	return n, nil
}

const mostTenants = 1000 // of a page

// listTenants answers GET /admin/v1/tenants: those of files and of the store, by their ids. Without a store, or if it cannot be
// asked, those of files are told all the same.
func (c *call) listTenants() error {
	if err := c.asks("after", "limit"); err != nil {
		return err
	}
	limit, err := c.pageOf(mostTenants)
	if err != nil {
		return err
	}
	stored := map[tenant.ID]*store.Tenant{}
	if s, err := c.store(); err == nil {
		_, list, err := s.Tenants(c.ctx, 0)
		if err != nil {
			return err
		}
		for i := range list {
			stored[list[i].ID] = &list[i]
		}
	}
	var ids []tenant.ID
	if c.s.o.Files != nil {
		ids = append(ids, c.s.o.Files.IDs()...)
	}
	for id := range stored {
		ids = append(ids, id)
	}
	after := tenant.ID(c.query.Get("after"))
	ids = slices.DeleteFunc(ids, func(id tenant.ID) bool { return id <= after || !c.by.sees(id) })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	a := Answer[[]TenantLine]{Data: []TenantLine{}}
	for i, id := range ids {
		if i == limit {
			a.Next = string(ids[i-1])
			break
		}
		if f, ok := c.file(id); ok {
			l := lineOf(&f.Tenant, &f)
			l.Twice = stored[id] != nil
			a.Data = append(a.Data, l)
		} else if t := stored[id]; t != nil {
			a.Data = append(a.Data, lineOf(t, nil))
		}
	}
	return c.json(http.StatusOK, a)
}

// found is the tenant that the path names, from its file or from the store.
func (c *call) found() (t store.Tenant, line TenantLine, err error) {
	id := c.tenant()
	f, filed := c.file(id)
	s, err := c.store()
	if err != nil {
		if filed {
			return f.Tenant, lineOf(&f.Tenant, &f), nil
		}
		return t, line, err
	}
	t, err = s.Tenant(c.ctx, id)
	if filed { // whatever the store says
		line = lineOf(&f.Tenant, &f)
		line.Twice = err == nil
		return f.Tenant, line, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return t, line, noTenant(id)
	}
	return t, lineOf(&t, nil), err
}

func (c *call) showTenant() error {
	t, line, err := c.found()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, Answer[Tenant]{Data: c.tenantOf(&t, line)})
}

// tenantOf is what is shown of a tenant. Its revision is the answer's ETag.
func (c *call) tenantOf(t *store.Tenant, line TenantLine) Tenant {
	if t.Revision > 0 {
		c.w.Header().Set("ETag", `"`+strconv.FormatInt(t.Revision, 10)+`"`)
	}
	return Tenant{line, specOf(t.Spec), keysOf(t.Keys)}
}

// unowned refuses changes of a tenant that a file defines.
func (c *call) unowned(id tenant.ID) error {
	f, filed := c.file(id)
	if !filed {
		return nil
	}
	place := f.File
	if f.Line > 0 {
		place += ":" + strconv.Itoa(f.Line)
	}
	message := "The tenant " + strconv.Quote(string(id)) + " is defined by a file, and is changed there: " + place
	if place == "" {
		message = "The tenant " + strconv.Quote(string(id)) + " is part of the demonstration"
	}
	return &ownedError{apiError{http.StatusConflict, "file_owned", message + "."}, f.File, f.Line}
}

// mine is the store, and its tenant that the path names and that may be changed.
func (c *call) mine() (s store.Store, t store.Tenant, err error) {
	if err := c.unowned(c.tenant()); err != nil {
		return nil, t, err
	}
	if s, err = c.store(); err != nil {
		return nil, t, err
	}
	if t, err = s.Tenant(c.ctx, c.tenant()); errors.Is(err, store.ErrNotFound) {
		err = noTenant(c.tenant())
	}
	return s, t, err
}

// idForm is what tenant files may be called.
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

func (c *call) createTenant() error {
	if err := c.asks(); err != nil {
		return err
	}
	s, err := c.store()
	if err != nil {
		return err
	}
	m := members{}
	if err := c.body(&m); err != nil {
		return err
	}
	var id tenant.ID
	if err := json.Unmarshal(m["id"], &id); err != nil || !idForm.MatchString(string(id)) {
		return &apiError{http.StatusBadRequest, "invalid_tenant", "id is missing, or not up to 63 lower-case letters, digits and . _ -"}
	}
	if !c.by.sees(id) {
		return &apiError{http.StatusForbidden, "not_for_all", "This token is for some tenants, and not for one of this id."}
	}
	if err := c.unowned(id); err != nil {
		return err
	}
	t := store.Tenant{ID: id}
	if t.Spec, err = specFrom(id, m); err != nil {
		return err
	}
	err = c.put(s, t, "", http.StatusCreated)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	if _, gone := s.Tenant(c.ctx, id); errors.Is(gone, store.ErrNotFound) {
		return &apiError{http.StatusConflict, "deleted", "A tenant " + strconv.Quote(string(id)) + " was deleted. What it used stays in the ledger under this id, so nobody else gets it: choose another."}
	}
	return &apiError{http.StatusConflict, "conflict", "There is a tenant " + strconv.Quote(string(id)) + " already; change that one."}
}

// put checks a tenant, keeps it, and answers with it. before is the spec that it replaces.
func (c *call) put(s store.Store, t store.Tenant, before string, status int) (err error) {
	if err := c.check(t); err != nil {
		return err
	}
	if t.Revision, err = s.PutTenant(c.ctx, t, c.entry(string(t.ID), before, sum(t.Spec))); err != nil {
		return err
	}
	return changed(c, t.ID, string(t.ID), status, c.tenantOf(&t, lineOf(&t, nil)))
}

// change replaces the spec of the tenant that the path names, if it is of the revision that the client has seen. Who replaces the
// whole must say which.
func (c *call) change(whole bool, merge func(old members) members) error {
	s, t, err := c.mine()
	if err != nil {
		return err
	}
	revision := strconv.FormatInt(t.Revision, 10)
	switch match := strings.Trim(c.r.Header.Get("If-Match"), `" `); {
	case match == "" && whole:
		return &apiError{http.StatusPreconditionRequired, "if_match_required", "This replaces the whole tenant, its limits and budgets too. Send If-Match: \"" + revision +
			"\" (the ETag of GET) to replace what you have seen, or If-Match: * for whatever is there. PUT …/limits, …/budgets and …/disabled change a part."}
	case match != "" && match != "*" && match != revision:
		return &apiError{http.StatusPreconditionFailed, "changed_meanwhile", "The tenant has been changed since; its revision is " + revision + "."}
	}
	before := sum(t.Spec)
	var old members
	if err := json.Unmarshal(t.Spec, &old); err != nil || old == nil {
		old = members{}
	}
	if t.Spec, err = specFrom(t.ID, merge(old)); err != nil {
		return err
	}
	return c.put(s, t, before, http.StatusOK)
}

// changeTenant replaces all that is said of a tenant. Whether it is disabled stays, unless that is said: a program that keeps
// tenants must not undo by its next run what an operator did in an emergency.
func (c *call) changeTenant() error {
	said := members{}
	if err := c.body(&said); err != nil {
		return err
	}
	if said == nil {
		return invalidJSON("null is no tenant")
	}
	return c.change(true, func(old members) members {
		if _, ok := said["disabled"]; !ok && old["disabled"] != nil {
			said["disabled"] = old["disabled"]
		}
		return said
	})
}

// changing replaces one member of the spec.
func changing(member string) func(*call) error {
	return func(c *call) error {
		var said json.RawMessage
		if err := c.body(&said); err != nil {
			return err
		}
		return c.change(false, func(old members) members {
			old[member] = said
			return old
		})
	}
}

// deleteTenant takes away what the store has of a tenant, its keys and refresh tokens. If a file defines it, too, that one stays, and
// is no longer there twice.
func (c *call) deleteTenant() error {
	s, err := c.store()
	if err != nil {
		return cmp.Or(c.unowned(c.tenant()), err)
	}
	t, err := s.Tenant(c.ctx, c.tenant())
	if errors.Is(err, store.ErrNotFound) {
		return cmp.Or(c.unowned(c.tenant()), noTenant(c.tenant()))
	}
	if err != nil {
		return err
	}
	if err := s.DeleteTenant(c.ctx, t.ID, c.entry(string(t.ID), sum(t.Spec), "")); err != nil {
		return err
	}
	return changed(c, t.ID, string(t.ID), http.StatusOK, Done{Done: true})
}
