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

// Schema is the table that says which migrations were applied: one row for each, with its number as version_id.
const Schema = "sluice_schema"

// Applied is the statement that finds the schema's version. The table Schema must be there.
const Applied = "SELECT COALESCE(MAX(version_id), 0) FROM " + Schema

// Newest is the version that migrations lead to. Their names begin with it: 00001_first.sql.
func Newest(migrations fs.FS) (int, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no migrations: %w", err)
	}
	number, _, _ := strings.Cut(names[len(names)-1], "_") // Glob sorts
	return strconv.Atoi(number)
}

// Migrate applies migrations up to a version, 0 for all. Each is a transaction of its own.
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, migrations fs.FS, to int, options ...goose.ProviderOption) error {
	newest, err := Newest(migrations)
	if err != nil {
		return err
	}
	if to < 0 || to > newest {
		return fmt.Errorf("%w: there is no version %d, the newest is %d", store.ErrInvalid, to, newest)
	}
	if to == 0 {
		to = newest
	}
	options = append(options, goose.WithTableName(Schema), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(dialect, db, migrations, options...)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, int64(to))
	return err
}
