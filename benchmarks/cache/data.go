package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// query is one question of a stream; the answer to every question of its intent serves it.
type query struct {
	text   string
	intent string
}

// pair is two questions and whether one answer serves both.
type pair struct {
	a, b string
	same bool
}

// clinc reads validation and test queries of CLINC150: 7,500 questions of 150 intents.
func clinc(dir string) ([]query, error) {
	data, err := os.ReadFile(filepath.Join(dir, "clinc", "data_full.json"))
	if err != nil {
		return nil, fmt.Errorf("read CLINC150: %w", err)
	}
	var set struct {
		Val  [][2]string `json:"val"`
		Test [][2]string `json:"test"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read CLINC150: %w", err)
	}
	var all []query
	for _, q := range append(set.Val, set.Test...) {
		all = append(all, query{q[0], q[1]})
	}
	return all, nil
}

// banking reads BANKING77: 13,083 questions of 77 intents.
func banking(dir string) ([]query, error) {
	var all []query
	for _, name := range []string{"train.csv", "test.csv"} {
		rows, err := table(filepath.Join(dir, "banking77", name), ',')
		if err != nil {
			return nil, fmt.Errorf("read BANKING77: %w", err)
		}
		for _, row := range rows[1:] {
			all = append(all, query{row[0], row[1]})
		}
	}
	return all, nil
}

// kmemo reads the near-miss corpus.
func kmemo(dir string) ([]pair, error) {
	data, err := os.ReadFile(filepath.Join(dir, "kmemo", "near-miss-corpus.json"))
	if err != nil {
		return nil, fmt.Errorf("read the near-miss corpus: %w", err)
	}
	var set struct {
		Pairs []struct {
			A           string `json:"a"`
			B           string `json:"b"`
			ShouldMatch bool   `json:"shouldMatch"`
		} `json:"pairs"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read the near-miss corpus: %w", err)
	}
	var all []pair
	for _, p := range set.Pairs {
		all = append(all, pair{p.A, p.B, p.ShouldMatch})
	}
	return all, nil
}

// pairFile reads labelled pairs from a table with a header, .csv or .tsv: columns question1 (or a, sentence1, text1),
// question2 (or b, sentence2, text2) and is_duplicate (or same, label), in any order.
func pairFile(path string) ([]pair, error) {
	comma := ','
	if filepath.Ext(path) == ".tsv" {
		comma = '\t'
	}
	rows, err := table(path, comma)
	if err != nil {
		return nil, fmt.Errorf("read pairs: %w", err)
	}
	column := func(names ...string) int {
		for i, h := range rows[0] {
			for _, n := range names {
				if strings.EqualFold(strings.TrimSpace(h), n) {
					return i
				}
			}
		}
		return -1
	}
	a := column("question1", "a", "sentence1", "text1")
	b := column("question2", "b", "sentence2", "text2")
	same := column("is_duplicate", "same", "label", "duplicate")
	if a < 0 || b < 0 || same < 0 {
		return nil, fmt.Errorf("read pairs: %s: its header %q does not name two questions and a label", path, rows[0])
	}
	var all []pair
	for n, row := range rows[1:] {
		if len(row) <= max(a, b, same) {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(row[same])) {
		case "1", "true", "yes", "same":
			all = append(all, pair{row[a], row[b], true})
		case "0", "false", "no", "different":
			all = append(all, pair{row[a], row[b], false})
		default:
			return nil, fmt.Errorf("read pairs: %s: row %d: %q is no label", path, n+2, row[same])
		}
	}
	return all, nil
}

var errNoRows = errors.New("no rows")

// table reads a file of separated values, header included. Quotes may be missing, as they are in files of tabs.
func table(path string, comma rune) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	r := csv.NewReader(f)
	r.Comma, r.FieldsPerRecord = comma, -1
	r.LazyQuotes = comma == '\t'
	var rows [][]string
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s: %w", path, errNoRows)
	}
	return rows, nil
}
