package tables

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// change runs f with the revision that it makes, and writes its entry. What it counts up and locks comes first, so that
// changes happen one after another: revisions become visible in their order, and each entry knows the one before.
func (s Store) change(ctx context.Context, id tenant.ID, e store.Entry, f func(tx Tx, revision int64) error) (int64, error) {
	if err := store.Check(id); err != nil {
		return 0, err
	}
	e.Tenant = id
	return s.audited(ctx, e, "revision + 1", f)
}

// note is change without a new revision.
func (s Store) note(ctx context.Context, id tenant.ID, e store.Entry, f func(tx Tx) error) error {
	if err := store.Check(id); err != nil {
		return err
	}
	e.Tenant = id
	_, err := s.audited(ctx, e, "revision", func(tx Tx, _ int64) error { return f(tx) })
	return err
}

// Note implements [store.Audit].
func (s Store) Note(ctx context.Context, e store.Entry) error {
	if e.Tenant == "" {
		return store.ErrNoTenant
	}
	_, err := s.audited(ctx, e, "revision", func(Tx, int64) error { return nil })
	return err
}

func (s Store) audited(ctx context.Context, e store.Entry, revision string, f func(tx Tx, revision int64) error) (int64, error) {
	if e.At.IsZero() {
		return 0, fmt.Errorf("%w: an entry without a time", store.ErrInvalid)
	}
	e.At = e.At.Truncate(time.Microsecond)
	for _, t := range []*string{&e.Who, &e.Role, &e.Address, &e.Action, &e.Object, &e.Before, &e.After} {
		*t = text(*t)
	}
	err := s.Write(ctx, string(e.Tenant), func(tx Tx) error {
		var head []byte
		err := one(ctx, tx, []any{&e.Revision, &e.Seq, &head}, "UPDATE meta SET revision = "+revision+", entry = entry + 1 RETURNING revision, entry, head")
		if err != nil {
			return err
		}
		if err := f(tx, e.Revision); err != nil {
			return err
		}
		head = chain(head, &e)
		if _, err := tx.Exec(ctx, "UPDATE meta SET head = $1", head); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO audit ("+entryColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
			e.Seq, s.Time(e.At), string(e.Tenant), e.Who, e.Role, e.Address, e.Action, e.Object, e.Before, e.After, e.Revision, head)
		return err
	})
	return e.Revision, err
}

const entryColumns = "seq, at, tenant, who, role, address, action, object, was, became, revision, hash"

// chain is the hash of an entry: SHA-256 of the hash of the one before, and of all that is in this one, each text after its
// length. Who changes an entry, or takes one out, must change all that come after it.
func chain(before []byte, e *store.Entry) []byte {
	b := append([]byte(nil), before...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seq)) //nolint:gosec // all bits count
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Revision)) //nolint:gosec // the same
	for _, t := range []string{string(e.Tenant), e.Who, e.Role, e.Address, e.Action, e.Object, e.Before, e.After} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(t))), t...) //nolint:gosec // of names
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func scanEntry(scan func(...any) error, e *store.Entry, hash *[]byte) error {
	var whose string
	err := scan(&e.Seq, moment{&e.At}, &whose, &e.Who, &e.Role, &e.Address, &e.Action, &e.Object, &e.Before, &e.After, &e.Revision, hash)
	e.Tenant = tenant.ID(whose)
	return err
}

// Entries implements [store.Audit].
func (s Store) Entries(ctx context.Context, w store.Whose, q store.EntryQuery) ([]store.Entry, string, error) {
	limit := pageOf(q.Limit)
	var sql query
	sql.add("SELECT " + entryColumns + " FROM audit WHERE TRUE")
	sql.whose(w)
	s.time(&sql, "at", ">=", q.From)
	s.time(&sql, "at", "<", q.To)
	sql.equal("action", q.Action)
	if q.After != "" {
		seq, err := strconv.ParseInt(q.After, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("%w: %q is no place in the audit", store.ErrInvalid, q.After)
		}
		sql.add(" AND seq < ", seq)
	}
	sql.add(" ORDER BY seq DESC LIMIT ", limit)
	var list []store.Entry
	err := s.read(ctx, w, func(tx Tx) error {
		return sql.run(ctx, tx, func(scan func(...any) error) error {
			var e store.Entry
			var hash []byte
			err := scanEntry(scan, &e, &hash)
			list = append(list, e)
			return err
		})
	})
	if err != nil || len(list) < limit {
		return list, "", err
	}
	return list, strconv.FormatInt(list[limit-1].Seq, 10), nil
}

// verifyAudit follows the chain of entries from the oldest that is there to the newest.
func (s Store) verifyAudit(ctx context.Context, tx Tx, r *store.Report) error {
	var last int64
	var head, before []byte
	err := tx.Query(ctx, "SELECT "+entryColumns+" FROM audit ORDER BY seq", nil, func(scan func(...any) error) error {
		var e store.Entry
		var hash []byte
		if err := scanEntry(scan, &e, &hash); err != nil {
			return err
		}
		switch {
		case r.Entries > 0 && e.Seq != last+1:
			wrong(r, "audit: the entries %d to %d are missing", last+1, e.Seq-1)
		case r.Entries > 0 && !bytes.Equal(hash, chain(before, &e)):
			wrong(r, "audit: the entry %d is not as it was written", e.Seq)
		}
		last, before = e.Seq, hash
		r.Entries++
		return nil
	})
	if err != nil {
		return err
	}
	var entry int64
	if err := one(ctx, tx, []any{&entry, &head}, "SELECT entry, head FROM meta"); err != nil {
		return err
	}
	if r.Entries > 0 && (entry != last || !bytes.Equal(head, before)) {
		wrong(r, "audit: the last entry is %d, not %d as it was written", last, entry)
	}
	return nil
}

// wrong notes what differs.
func wrong(r *store.Report, format string, args ...any) {
	if len(r.Wrong) < 100 {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}
