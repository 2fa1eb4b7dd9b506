package app

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/plugins/auth"
)

// issuers are the identity providers of a configuration. A token is of one tenant's callers: if two could claim the tokens of a
// provider, one could take over, or shut out, the callers of the other.
type issuers struct {
	operator auth.Config
	tenants  map[audience]*claimants
}

type audience struct{ issuer, name string }

// claimants are the tenants that have the same issuer and audience. Those whose tokens all name their tenant, in the same claim,
// are no rivals.
type claimants struct {
	last   string // id
	claim  string
	rivals bool
}

// issuersOf are the operator's identity providers, and those of tenants.
func issuersOf(c *config.Config, tenants ...*config.Tenant) *issuers {
	s := &issuers{tenants: map[audience]*claimants{}}
	if operator, ok := c.Plugins["auth"].(*auth.Config); ok {
		s.operator = *operator
	}
	for _, t := range tenants {
		s.add(t)
	}
	return s
}

func (s *issuers) add(t *config.Tenant) {
	if t.JWT == nil {
		return
	}
	for _, name := range t.JWT.Audience {
		at, claim := audience{t.JWT.Issuer, name}, t.JWT.Claims.Tenant
		before := s.tenants[at]
		switch {
		case before == nil:
			s.tenants[at] = &claimants{last: t.ID, claim: claim}
		case before.last != t.ID:
			before.rivals = before.rivals || claim == "" || claim != before.claim
			before.last = t.ID
		}
	}
}

// Reasons why a tenant's identity provider does not count.
var (
	errOperators = errors.New("jwt: its issuer and audience are those of plugins.auth.issuers, or of the gateway's own tokens")
	errRivals    = errors.New("jwt: its issuer and audience are those of another tenant, too")
)

// operators says whether a tenant's tokens are the operator's to judge.
func (s *issuers) operators(j *config.JWT) error {
	same := func(i auth.IssuerConfig) bool {
		return i.Issuer == j.Issuer && slices.ContainsFunc(i.Audience, func(a string) bool { return slices.Contains(j.Audience, a) })
	}
	if j.Issuer == s.operator.Tokens.Issuer || slices.ContainsFunc(s.operator.Issuers, same) {
		return errOperators
	}
	return nil
}

// others says whether a tenant's tokens could be another one's.
func (s *issuers) others(j *config.JWT) error {
	rivals := func(name string) bool {
		at := s.tenants[audience{j.Issuer, name}]
		return at != nil && at.rivals
	}
	if slices.ContainsFunc(j.Audience, rivals) {
		return errRivals
	}
	return nil
}

// withoutRivals takes those identity providers away that are somebody else's, too, and says which. Of a configuration's tenants so many
// are of files, which keep theirs but for the operator's.
func withoutRivals(c *config.Config, files int) (faults []string) {
	s := issuersOf(c, c.Tenants.List...)
	for i, t := range c.Tenants.List {
		if t.JWT == nil {
			continue
		}
		why, where := s.operators(t.JWT), t.File
		if i >= files {
			where = "the store"
			if why == nil {
				why = s.others(t.JWT)
			}
		}
		if why == nil {
			continue
		}
		faults = append(faults, fmt.Sprintf("tenant %s of %s: %s; it does not count", t.ID, where, why))
		without := *t
		without.JWT = nil
		c.Tenants.List[i] = &without
	}
	return faults
}

// Check reports identity providers of tenants' files that would not count, because of those of the gateway file. A gateway that
// runs goes on without them, and says so where it tells of its health. The error is config.Problems.
func Check(c *config.Config) error {
	s := issuersOf(c)
	var problems config.Problems
	for _, t := range c.Tenants.List {
		if t.JWT == nil {
			continue
		}
		if err := s.operators(t.JWT); err != nil {
			problems = append(problems, config.Problem{File: t.File, Path: "jwt", Message: err.Error(), Hint: "it would not count"})
		}
	}
	if problems == nil {
		return nil
	}
	return problems
}

// check says what is wrong with a tenant that is to be in the store: on its own, and with an identity provider that it does not have
// there yet.
func (a *App) check(t store.Tenant) error {
	if err := desk.Check(t); err != nil {
		return err
	}
	wanted, err := config.ParseTenant(string(t.ID), string(t.ID)+".yaml", t.Spec)
	if err != nil || wanted.JWT == nil || a.made.claims(t.ID, wanted.JWT) {
		return err
	}
	c := a.current.Load()
	tenants := slices.DeleteFunc(slices.Clone(c.Tenants.List), func(o *config.Tenant) bool { return o.ID == wanted.ID })
	s := issuersOf(c, append(tenants, wanted)...)
	return errors.Join(s.operators(wanted.JWT), s.others(wanted.JWT))
}
