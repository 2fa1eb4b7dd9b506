package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// result is the file of one test.
type result struct {
	Test     string    `json:"test"`
	Time     time.Time `json:"time"`
	Machine  machine   `json:"machine"`
	Gateway  string    `json:"gateway"` // the command
	Tenants  int       `json:"tenants"`
	Load     []string  `json:"load,omitempty"`  // flags of the load generator
	Model    string    `json:"model,omitempty"` // what the mock did
	Summary  []summary `json:"summary"`
	Problems []string  `json:"problems,omitempty"`
	Rows     []row     `json:"rows"`
}

// runAll runs the tests, prints the table and writes the files. It returns errShort if something was not good enough.
func runAll(ctx context.Context, b *bench, o options, out io.Writer) error {
	host, began := describeMachine(ctx), time.Now()
	var table []summary
	var problems []string
	for _, t := range o.tests {
		rows, err := b.run(ctx, t)
		if err != nil {
			return err
		}
		r := result{
			Test: t.name, Time: began.UTC().Truncate(time.Second), Machine: host, Gateway: shown(b), Tenants: o.tenants,
			Load: t.load, Model: t.model, Rows: rows,
		}
		for _, f := range t.figures {
			s := summarize(f, rows)
			r.Summary = append(r.Summary, s)
			if s.Over && o.limits {
				r.Problems = append(r.Problems, s.Figure+": limit exceeded ("+s.Limit+")")
			}
		}
		for _, row := range rows {
			if faults := row.faults(t); faults != "" {
				r.Problems = append(r.Problems, fmt.Sprintf("%s, round %d, %s: %s", t.name, row.Round, row.Subject, faults))
			}
		}
		if err := write(o.out, began, r); err != nil {
			return err
		}
		table = append(table, r.Summary...)
		problems = append(problems, r.Problems...)
	}
	if err := writeTable(out, table); err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintln(out, p)
	}
	if len(problems) > 0 {
		return errShort
	}
	return nil
}

// shown is the gateway's command without the path of the temporary folder.
func shown(b *bench) string {
	for _, s := range b.subjects {
		if s.name == gatewayName {
			return strings.ReplaceAll(strings.Join(s.command, " "), b.dir+string(filepath.Separator), "")
		}
	}
	return ""
}

// write writes the file of one test. A second run on the same day replaces it.
func write(dir string, day time.Time, r result) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, day.Format(time.DateOnly)+"-"+r.Test+".json")
	return os.WriteFile(path, append(text, '\n'), 0o600)
}
