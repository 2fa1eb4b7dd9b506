package main

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/config/schema"
)

// The committed schemas are those of the structs, with the settings of all plugins. -update writes them anew.
func TestSchemaFiles(t *testing.T) {
	const module = "github.com/sluice-ai/sluice/"
	var sources []schema.Source
	structs := []any{&config.Config{}}
	for _, settings := range app.Prototypes() {
		structs = append(structs, settings)
	}
	for _, s := range structs {
		pkg := reflect.TypeOf(s).Elem().PkgPath()
		sources = append(sources, schema.Source{Package: pkg, Files: os.DirFS("../../" + strings.TrimPrefix(pkg, module))})
	}
	f := func(path string, text []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		committed, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(committed, text) {
			t.Errorf("%s is not what the structs say: run go test ./cmd/sluice -run TestSchemaFiles -update", path)
		}
	}
	gateway, err := schema.Gateway(app.Prototypes(), sources...)
	f("../../configs/schema/sluice.schema.json", gateway, err)
	tenant, err := schema.Tenant(sources...)
	f("../../configs/schema/tenant.schema.json", tenant, err)
}
