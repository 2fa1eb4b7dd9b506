package tables

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/sluice-ai/sluice/gateway/store"
)

// Versions is the table that says which migrations were applied: one row for each, with its number as version_id.
const Versions = "sluice_schema"

// Applied is the statement that finds the schema's version. The table must be there.
const Applied = "SELECT COALESCE(MAX(version_id), 0) FROM " + Versions

// Schema is how tables come to be.
type Schema struct {
	Dialect    goose.Dialect
	Migrations fs.FS // files whose names begin with the version that they lead to: 00001_first.sql
}

// Newest is the version that all migrations lead to.
func (s Schema) Newest() (int, error) {
	names, err := fs.Glob(s.Migrations, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no migrations: %w", err)
	}
	number, _, _ := strings.Cut(names[len(names)-1], "_") // Glob sorts
	return strconv.Atoi(number)
}

// Migrate applies migrations up to a version, 0 for all. Each is a transaction of its own.
func (s Schema) Migrate(ctx context.Context, db *sql.DB, to int, options ...goose.ProviderOption) error {
	newest, err := s.Newest()
	if err != nil {
		return err
	}
	if to < 0 || to > newest {
		return fmt.Errorf("%w: there is no version %d, the newest is %d", store.ErrInvalid, to, newest)
	}
	if to == 0 {
		to = newest
	}
	options = append(options, goose.WithTableName(Versions), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(s.Dialect, db, s.Migrations, options...)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, int64(to))
	return err
}
