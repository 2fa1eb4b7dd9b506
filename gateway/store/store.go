package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Errors of stores; they are wrapped. Any other error means that the store could not be asked, or did not answer in time.
var (
	ErrNoTenant = errors.New("no tenant is named")
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("it was changed in the meantime, or is there already")
	ErrOld      = errors.New("the store's schema is older than this version of sluice needs: run sluice migrate")
	ErrInvalid  = errors.New("the store cannot be asked for that")
)

// Store is all of it.
type Store interface { //nolint:interfacebloat // its parts are what is asked for
	Tenants
	Keys
	Tokens
	Rows
	Audit
	Upkeep
	io.Closer
}

// Whose says whose things are asked for: those of one tenant, or everybody's. The zero value is nobody's, and refused.
type Whose struct {
	id  tenant.ID
	all bool
}

// Only asks for what belongs to one tenant.
func Only(id tenant.ID) Whose { return Whose{id: id} }

// Everybody asks for what belongs to any tenant, and to none. It is for operators who may see all tenants.
func Everybody() Whose { return Whose{all: true} }

// Tenant is whose it is, and whether it is everybody's; then the id is empty. The error is ErrNoTenant.
func (w Whose) Tenant() (id tenant.ID, all bool, err error) {
	if w.all {
		return "", true, nil
	}
	return w.id, false, Check(w.id)
}

// Check refuses what cannot be a tenant, with ErrNoTenant: the empty id, and [Operator].
func Check(id tenant.ID) error {
	if id == "" || id == Operator {
		return ErrNoTenant
	}
	return nil
}

// Operator stands in audit entries for what belongs to no tenant, such as a target that was drained. It is no tenant's id.
const Operator tenant.ID = "*"

// Tenants are the tenants that the store has; those of files are not among them.
type Tenants interface {
	// Revision rises with every change of a tenant or key. Asking for it is cheap: nodes poll it to hear of each other's changes.
	Revision(ctx context.Context) (int64, error)
	// Tenants lists what changed after a revision, deleted ones included, and the revision that the list is of. Since 0 it
	// lists all that are there, and no deleted ones.
	Tenants(ctx context.Context, since int64) (revision int64, list []Tenant, err error)
	// Tenant is one of them with its keys. ErrNotFound: there is none, or it was deleted.
	Tenant(ctx context.Context, id tenant.ID) (Tenant, error)
	// PutTenant makes a tenant if its Revision is 0, and otherwise replaces the one of just that revision: ID and Spec count.
	// ErrConflict: there is one, or was before it was deleted, or it has another revision. The new revision is returned.
	PutTenant(ctx context.Context, t Tenant, e Entry) (revision int64, err error)
	// DeleteTenant takes a tenant away with its keys and refresh tokens. Its rows stay, and so nobody gets its id again.
	DeleteTenant(ctx context.Context, id tenant.ID, e Entry) error
}

// Tenant is a tenant as the admin API made it.
type Tenant struct {
	ID       tenant.ID
	Spec     []byte // JSON of what a tenant file holds, without its keys
	Revision int64  // of the last change of Spec
	Deleted  bool
	Keys     []Key // by name; revoked ones are not among them
}

// Keys are the API keys of the store's tenants.
type Keys interface {
	// PutKeys makes keys and replaces them, each as PutTenant does with tenants, all or none. ErrConflict also means that a
	// digest is that of another key, whosever that is. ErrNotFound: there is no such tenant. To rotate a key, one call puts the
	// new digest under its name, and the old digest under another with the end of the grace as Expires.
	PutKeys(ctx context.Context, id tenant.ID, keys []Key, e Entry) (revision int64, err error)
	// RevokeKey takes a key away, and the refresh tokens that came from it. ErrNotFound: there is none.
	RevokeKey(ctx context.Context, id tenant.ID, name string, e Entry) error
	// TouchKeys notes when keys of tenants were last used, by their names, in one transaction. Keys that are not there, and
	// earlier times, are passed over; that is no change in the sense of Revision, nor of the audit.
	TouchKeys(ctx context.Context, used map[tenant.ID]map[string]time.Time) error
}

// Key is an API key, by its digest: nobody can read the key itself.
type Key struct {
	Name     string
	Digest   string // as in tenant files: "hmac-sha256:" and 64 hexadecimal digits
	Spec     []byte // JSON of what else a tenant file says of a key: models, limits, budgets
	Revision int64
	Created  time.Time
	Expires  time.Time // zero: never
	Used     time.Time // last, as TouchKeys said, which may be a minute less; zero: never. PutKeys does not change it
}

// Tokens are refresh tokens, by digests that nobody can make without the server's secret. A family is what has come of one
// grant: each token but the last has a successor.
type Tokens interface {
	// Grant begins a family with its first token. ErrConflict: its id, or the token, is there already.
	Grant(ctx context.Context, id tenant.ID, f Family, first [32]byte) error
	// Rotate replaces a token by its successor, once: of any number of calls with the same token one is answered Rotated. The
	// error is never about the token.
	Rotate(ctx context.Context, id tenant.ID, t Turn) (Turned, error)
	// RevokeFamily takes a family away. ErrNotFound: there is none, or it was revoked.
	RevokeFamily(ctx context.Context, id tenant.ID, family string, e Entry) error
	// RevokeFamilies takes away all families that came from a key, and says how many. With none, nothing is audited.
	RevokeFamilies(ctx context.Context, id tenant.ID, key string, e Entry) (int, error)
	// Family is the family with an id. ErrNotFound: there is none.
	Family(ctx context.Context, id tenant.ID, family string) (Family, error)
}

// Family is what has come of one grant.
type Family struct {
	ID      string
	Key     string // name of the key that it was granted to
	User    string
	Scope   string // as granted: RFC 6749, section 3.3
	Created time.Time
	Expires time.Time // of the whole family, however often it is rotated
	Revoked time.Time // zero: it is not
}

// Turn is a request to replace a token.
type Turn struct {
	Old, Next [32]byte
	Sealed    []byte        // the successor, encrypted: given to who asks again within the grace
	Client    string        // who asks: only the same one is given the successor again
	Now       time.Time     // by the clock of the caller
	Grace     time.Duration // for how long Old may come again

	// Agrees says whether the family is good for what is asked: if not, all stays as it is. nil: it is.
	Agrees func(*Family) bool
}

// Rotation says what came of a Turn.
type Rotation uint8

// Rotations. The zero value is none of the good ones.
const (
	Unknown  Rotation = iota // there is no such token; nothing else is known
	Rotated                  // Next takes its place
	Repeated                 // the same client asked within the grace: Sealed is the successor of then, Next is nothing
	Reused                   // it was replaced before: somebody else has it. The family was revoked now, and that was audited
	Revoked                  // the family was revoked before
	Expired                  // the family's time is over
	Declined                 // Turn.Agrees said no
)

// Turned is the answer to a Turn. The family is known but with Unknown.
type Turned struct {
	Rotation Rotation
	Family   Family
	Sealed   []byte // with Repeated
}

// Rows are the ledger's rows, and what is summed up of them.
type Rows interface {
	// Insert keeps rows; one with an id that is there already has no effect. It says how many were new: only these are added to
	// rollups and spends, in the same transaction. ErrNoTenant: one row has none, and no row was kept.
	Insert(ctx context.Context, rows []ledger.Row) (inserted int, err error)
	// Spent is what a tenant was charged in each window, by the node that wrote the rows, in picodollars.
	Spent(ctx context.Context, id tenant.ID, windows []Window) ([]map[string]tenant.USD, error)
	// Usage sums up rollups, in the order of time and names. ErrInvalid: it would be more than Limit lines.
	Usage(ctx context.Context, w Whose, q UsageQuery) ([]Usage, error)
	// Rows lists rows in the order of their ids, which is that of time, a page at a time. next continues the list as
	// RowQuery.After; it is "" after the last page. A row that is there while the pages are read is in one of them.
	Rows(ctx context.Context, w Whose, q RowQuery) (rows []ledger.Row, next string, err error)
	// Verify works out again, from the rows, what rollups and spends must be: for whole days in UTC that are touched by
	// [from, to), as far as rows have not been pruned. It reads every row.
	Verify(ctx context.Context, w Whose, from, to time.Time) (Report, error)
}

// Window is one sum of charges: of a scope, for the days in UTC from From (inclusive) to To. A zero time is no bound. In the
// name of a model, * stands for any text.
type Window struct {
	Scope    tenant.Scope
	From, To time.Time
}

// Limits of a query's answer.
const (
	MostUsage = 10_000 // lines
	MostRows  = 1_000
)

// UsageQuery says what to sum up. Columns that are not asked for are empty in the lines.
type UsageQuery struct {
	From, To             time.Time // whole hours, or days; To is not included. Zero: no bound
	By                   Bucket
	Tenant               bool // a line for each tenant
	Key, Model, Provider bool
	Where                UsageFilter
	Limit                int // lines; 0: MostUsage
}

// UsageFilter leaves out what has another name, where one is given.
type UsageFilter struct{ Key, Model, Provider string }

// Bucket is how time is divided.
type Bucket uint8

// Buckets.
const (
	Hour Bucket = iota
	Day         // in UTC
	All         // one line for the whole time, from the days
)

// Usage is a line of sums.
type Usage struct {
	At                   time.Time // when the hour or day begins
	Tenant               tenant.ID
	Key, Model, Provider string
	Sums
}

// Sums are what rows add up to. Costs are what the operator pays: not of attempts that went to the tenant's own account.
type Sums struct {
	Attempts, Cached             int64 // rows of each kind
	Failed                       int64 // rows of attempts that the provider, or the way to it, failed
	Input, CacheRead, CacheWrite int64 // tokens of the prompt: in no cache, read from the provider's, written to it
	Output, Reasoning            int64 // tokens of the answer
	Cost, Charge                 tenant.USD
	Unpriced                     int64 // rows whose cost is not known; they are in no sum of money
}

// RowQuery says which rows to list.
type RowQuery struct {
	ID                         ledger.ID // only this one; zero: any
	From, To                   time.Time // by the time in the id; To is not included. Zero: no bound
	Key, User, Model, Provider string    // "": any
	Request                    string
	Outcome                    *ledger.Outcome
	Oldest                     bool   // first, instead of the newest
	After                      string // next of the page before
	Limit                      int    // rows of a page; 0: 100, at most MostRows
}

// Report is what Verify found. The store is right if Wrong is empty.
type Report struct {
	From, To time.Time // what was looked at: less than was asked for, where rows have been pruned
	Rows     int64
	Unknown  int64 // rows that were written after a crash, in place of what was lost
	Charge   tenant.USD
	Wrong    []string // what differs, in words, at most 100
	Entries  int64    // of the audit that were looked at; only for Everybody
}

// Audit is the list of all changes. Entries are written by the calls that make the changes, in the same transaction.
type Audit interface {
	// Entries lists entries, newest first, a page at a time; next is as with Rows.
	Entries(ctx context.Context, w Whose, q EntryQuery) (entries []Entry, next string, err error)
	// Note writes an entry of a change that is not the store's own, with Tenant as it says, or Operator.
	Note(ctx context.Context, e Entry) error
}

// Entry is one change: who did what to what, and when. No secret is in it, but by digest. In a call that says whose it is, Tenant
// is filled in.
type Entry struct {
	Seq           int64 // filled in by the store: 1, 2, 3 and so on
	At            time.Time
	Tenant        tenant.ID
	Who, Role     string // the admin token's name, or the client's
	Address       string // that it came from
	Action        string // such as "key.revoke"
	Object        string // name of what was changed
	Before, After string // digests of what it was and became; "": nothing
	Revision      int64  // of the store, after it; filled in
}

// EntryQuery says which entries to list.
type EntryQuery struct {
	From, To time.Time // To is not included. Zero: no bound
	Action   string    // "": any
	After    string
	Limit    int // of a page; 0: 100, at most MostRows
}

// Upkeep is for whoever runs the store.
type Upkeep interface {
	// Version is that of the schema that is there, and of the one that this program was made for. A newer one does.
	Version(ctx context.Context) (have, want int, err error)
	// Migrate brings the schema to a version, 0: the newest. It never goes back.
	Migrate(ctx context.Context, to int) error
	// Prune deletes what is past, at most limit of each kind, oldest first, and says how many. Rollups and spends outlive the
	// rows that they were made of. Spends are not deleted but folded: of a scope and node one line remains of all days that are
	// past, so that what was spent in all is known for ever. Windows must begin later than that, or with the zero time.
	Prune(ctx context.Context, p Past, limit int) (int, error)
}

// Past is what need not be kept: what is older than each time. A zero time keeps all.
type Past struct {
	Rows, Hours, Days, Entries time.Time
	Spends                     time.Time // days that end before; Verify looks at later ones only
	Families                   time.Time // that expired before
}
