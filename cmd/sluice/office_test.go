package main

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// stored loads a configuration of a script and opens its store.
func stored(ts *testscript.TestScript, file string) (*config.Config, store.Store) {
	cfg, err := loadUnresolved(ts.MkAbs(file))
	ts.Check(err)
	s, err := openStore(context.Background(), cfg, true)
	ts.Check(err)
	return cfg, s
}

// office FILE [stuck] begins the admin listener of a configuration, with its store, and sets OFFICE to its address. On a node that
// is stuck no change takes effect.
func office(ts *testscript.TestScript, _ bool, args []string) {
	cfg, s := stored(ts, args[0])
	tokens, err := desk.Tokens(cfg.Admin)
	ts.Check(err)
	o := admin.Options{
		Metrics: prometheus.NewRegistry(), Health: func() admin.Health { return admin.Health{Ready: true} },
		Tokens: tokens, Store: s, Files: desk.Files(func() *config.Config { return cfg }), Check: desk.Check, Mint: desk.Mint(config.Secret{}),
		Log: zap.NewNop(),
	}
	if len(args) > 1 {
		o.Apply = func(context.Context) error { return errors.New("stuck") }
	}
	server := admin.New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("OFFICE", l.Addr().String())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	ts.Defer(func() {
		ts.Check(server.Close())
		ts.Check(<-done)
		ts.Check(s.Close())
	})
}

// rows FILE TENANT COUNT DAY puts rows into the store of a configuration: of the key ci for the model demo, an hour apart from DAY on.
// DAY "now" is now, and the rows a second apart until then.
func rows(ts *testscript.TestScript, _ bool, args []string) {
	_, s := stored(ts, args[0])
	defer s.Close()
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	at, step := time.Now().Add(-time.Duration(n)*time.Second), time.Second
	if args[3] != "now" {
		at, err = time.Parse(time.DateOnly, args[3])
		ts.Check(err)
		step = time.Hour
	}
	var list []ledger.Row
	for i := range n {
		when := at.Add(time.Duration(i) * step)
		list = append(list, ledger.Row{
			ID: ledger.NewID(when), At: when, Node: "n1", Tenant: tenant.ID(args[1]), Key: "ci", Request: "req_1", Endpoint: "chat.completions",
			Asked: "demo", Model: "demo", Provider: "sim", Target: "=sim", Attempt: 1, Outcome: ledger.Complete, Status: 200, Total: time.Second,
			Usage: chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}, Cost: catalog.Cost{Picodollars: 1e9, Known: true}, Charge: 2e9,
		})
	}
	kept, err := s.Insert(context.Background(), list)
	ts.Check(err)
	if kept != n {
		ts.Fatalf("%d rows were kept of %d", kept, n)
	}
}

// spoil FILE STATEMENT changes the SQLite store of a configuration behind its back.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	cfg, err := loadUnresolved(ts.MkAbs(args[0]))
	ts.Check(err)
	db, err := sql.Open("sqlite", strings.TrimPrefix(cfg.Stores.Ledger, "sqlite:"))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}
