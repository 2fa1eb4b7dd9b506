package admin

import (
	"encoding/csv"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wantsCSV says whether a list is asked for as CSV: ?format=csv, or Accept: text/csv.
func (c *call) wantsCSV() (bool, error) {
	switch c.query.Get("format") {
	case "csv":
		return true, nil
	case "json":
		return false, nil
	case "":
	default:
		return false, &apiError{http.StatusBadRequest, "invalid_query", "format is json or csv."}
	}
	for part := range strings.SplitSeq(c.r.Header.Get("Accept"), ",") {
		if kind, _, err := mime.ParseMediaType(part); err == nil && kind == "text/csv" {
			return true, nil
		}
	}
	return false, nil
}

// table writes structs as CSV (RFC 4180): their JSON members are the columns.
type table struct {
	w       *csv.Writer
	columns []column
}

type column struct {
	name  string
	index []int
}

// newTable begins an answer in CSV of structs like v, under the name of a file.
func (c *call) newTable(v any, file string) (*table, error) {
	h := c.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusOK)
	t := &table{w: csv.NewWriter(c.w)}
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !f.Anonymous {
			t.columns = append(t.columns, column{name, f.Index})
			names = append(names, name)
		}
	}
	return t, t.w.Write(names)
}

// add writes a line.
func (t *table) add(v any) error {
	cells, value := make([]string, len(t.columns)), reflect.ValueOf(v)
	for i, c := range t.columns {
		cells[i] = cell(value.FieldByIndex(c.index))
	}
	return t.w.Write(cells)
}

// end sends what there is.
func (t *table) end() error {
	t.w.Flush()
	return t.w.Error()
}

// cell is a value as a cell. A text that a spreadsheet could take for a formula gets an apostrophe: whoever names a model or a
// user would otherwise have things worked out on the machine of who opens the file.
func cell(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if x == nil {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case []string:
		return Harmless(strings.Join(x, " "))
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	switch v.Kind() {
	case reflect.String:
		return Harmless(v.String())
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint8:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	return ""
}

// Harmless is a text as a cell of CSV that no spreadsheet takes for a formula.
func Harmless(text string) string {
	if first, n := utf8.DecodeRuneInString(text); n > 0 && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}
