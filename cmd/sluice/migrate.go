package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/store/tables"
)

func newMigrate() *cobra.Command {
	var path string
	var to int
	var dry bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Long: `Bring the schema of the store that the configuration names (stores.ledger) to the version that this sluice was
made for, or with --to to another that is newer than what is there. It never goes back: the sluice before works with a
newer schema, too. Gateways may run meanwhile.

PostgreSQL's schema is changed by this command alone. SQLite's is also brought up to date by the first gateway that
opens it, as a whole, after a copy was put beside it.

It prints the version that was there and the one that is: schema 1 -> 2.`,
		Example: `  sluice migrate --config configs/sluice.yaml
  sluice migrate --config configs/sluice.yaml --dry-run`,
		Args: cobra.NoArgs,
	}
	configFlag(c, &path)
	c.Flags().IntVar(&to, "to", 0, "`version` to stop at; 0: the newest")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if path == "" {
			return wrongUse("no configuration is named: use --config or SLUICE_CONFIG")
		}
		if to < 0 {
			return wrongUse("--to: %d is no version", to)
		}
		cfg, err := loadUnresolved(path)
		if err != nil {
			return err
		}
		if cfg.Stores.Ledger == config.None {
			return errors.New("the configuration has no store: stores.ledger is none")
		}
		return migrate(c, cfg, to, dry)
	}
	return c
}

func migrate(c *cobra.Command, cfg *config.Config, to int, dry bool) error {
	ctx := c.Context()
	have, want, err := versions(ctx, cfg)
	if err != nil {
		return err
	}
	goal := want
	_, file := strings.CutPrefix(cfg.Stores.Ledger, "sqlite:")
	switch {
	case to > want:
		return fmt.Errorf("there is no version %d; this sluice knows up to %d", to, want)
	case to > 0 && to < have:
		return fmt.Errorf("the schema is of version %d already, and does not go back to %d", have, to)
	case to > 0 && to < want && file:
		return fmt.Errorf("a SQLite file goes to version %d as a whole; leave out --to", want)
	case to > 0:
		goal = to
	}
	goal = max(goal, have)
	if dry {
		c.Printf("schema %d -> %d (nothing was done)\n", have, goal)
		return nil
	}
	s, err := openStore(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if goal > have {
		if err := s.Migrate(ctx, goal); err != nil {
			return err
		}
	}
	is, _, err := s.Version(ctx)
	if err != nil {
		return err
	}
	c.Printf("schema %d -> %d\n", have, is)
	return nil
}

// versions are that of the store's schema and the newest that is known; neither is changed. To open a SQLite file is to
// bring it up to date, so that one is read without the store, and the newest is that of a new one.
func versions(ctx context.Context, cfg *config.Config) (have, want int, err error) {
	path, file := strings.CutPrefix(cfg.Stores.Ledger, "sqlite:")
	if !file {
		s, err := openStore(ctx, cfg, false)
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = s.Close() }() // nothing was written
		return s.Version(ctx)
	}
	dir, err := os.MkdirTemp("", "sluice-schema")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh, err := sqlite.Open(ctx, filepath.Join(dir, "new.db"))
	if err != nil {
		return 0, 0, err
	}
	_, want, err = fresh.Version(ctx)
	if err = errors.Join(err, fresh.Close()); err != nil {
		return 0, 0, err
	}
	have, err = applied(ctx, filepath.Clean(path))
	return have, want, err
}

// applied is the version of the schema in a SQLite file; 0 if it is not there, or has none.
func applied(ctx context.Context, path string) (have int, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if path, err = filepath.Abs(path); err != nil {
		return 0, err
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "mode=ro"}
	db, err := sql.Open("sqlite", name.String()) // the driver of the store
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }() // nothing was written
	var there int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE name = $1", tables.Versions).Scan(&there); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if there == 0 {
		return 0, nil
	}
	err = db.QueryRowContext(ctx, tables.Applied).Scan(&have)
	return have, err
}
