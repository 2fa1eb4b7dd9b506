// Package house_test holds the house rules that no linter knows: who may import whom (imports_test.go), and what a file
// may not contain. A rule stands here, rather than in a document, because here it cannot be forgotten.
package house_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../.."

// maxLines is how long a file written by hand may be. Tests may be longer: they are read one function at a time.
const maxLines = 600

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		doc := f.ast.Doc.Text()
		name := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			name = "Command "
		}
		if doc != "" && !strings.HasPrefix(doc, name) {
			t.Errorf("%s: the comment on the package must begin with %q", f.path, name)
		}
		documented[f.pkg] = documented[f.pkg] || doc != ""
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s says nowhere what it is for: it needs a comment on its package clause", pkg)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range goFiles(t) {
		if n := bytes.Count(f.text, []byte("\n")); n > maxLines && !f.test && !ast.IsGenerated(f.ast) {
			t.Errorf("%s has %d lines, more than %d: it holds more than one thing", f.path, n, maxLines)
		}
	}
}

func TestFilesAreFormatted(t *testing.T) {
	for _, f := range goFiles(t) {
		if out, err := format.Source(f.text); err != nil || !bytes.Equal(out, f.text) {
			t.Errorf("%s is not formatted: run make fmt", f.path)
		}
	}
}

// A test that waits for a while is slow or flaky, mostly both, and a test that may be skipped is one that nobody runs.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch call := on.Name + "." + sel.Sel.Name; call {
			case "time.Sleep":
				t.Errorf("%s: %s: wait for what the test is waiting for; in a synctest bubble, on a timer", f.at(n), call)
			case "t.Skip", "t.Skipf", "t.SkipNow", "b.Skip", "b.Skipf", "b.SkipNow", "f.Skip", "f.Skipf", "f.SkipNow",
				"tb.Skip", "tb.Skipf", "tb.SkipNow", "testing.Short":
				t.Errorf("%s: %s: a test runs or does not exist", f.at(n), call)
			}
			return true
		})
	}
}

// Package variables are tables and errors: set where they are declared and never again. What changes belongs to a value
// that somebody owns.
func TestPackageVariablesNeverChange(t *testing.T) {
	byPackage := map[string][]*goFile{}
	for _, f := range goFiles(t) {
		if !f.test {
			byPackage[f.pkg] = append(byPackage[f.pkg], f)
		}
	}
	for pkg, files := range byPackage {
		scope, uses := check(pkg, files)
		for _, f := range files {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				for _, target := range written(n) {
					switch v := uses[target].(type) {
					case *types.Var:
						if v.Parent() == scope {
							t.Errorf("%s: package variable %s is changed", f.at(n), target.Name)
						}
					case *types.PkgName:
						t.Errorf("%s: a variable of package %s is changed", f.at(n), target.Name)
					}
				}
				return true
			})
		}
	}
}

// check resolves the names of a package: those of its own, which do not need what it imports.
func check(pkg string, files []*goFile) (*types.Scope, map[*ast.Ident]types.Object) {
	uses := map[*ast.Ident]types.Object{}
	cfg := types.Config{Importer: nothing{}, Error: func(error) {}}
	parsed := make([]*ast.File, 0, len(files))
	for _, f := range files {
		parsed = append(parsed, f.ast)
	}
	p, _ := cfg.Check(pkg, fset, parsed, &types.Info{Uses: uses}) // it always fails: the imports are missing
	return p.Scope(), uses
}

// nothing imports nothing.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }

// written is what a statement or expression changes, or lets others change: the variables at the root of x = …, x[i] = …,
// x.f++, &x, delete(x, …), clear(x) and copy(x, …).
func written(n ast.Node) []*ast.Ident {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			targets = n.Lhs
		}
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			targets = []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			targets = []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear", "copy"}, f.Name) {
			targets = n.Args[:1]
		}
	}
	var idents []*ast.Ident
	for _, x := range targets {
		if id := base(x); id != nil {
			idents = append(idents, id)
		}
	}
	return idents
}

// base is the variable that an expression is a part of, nil if there is none.
func base(x ast.Expr) *ast.Ident {
	for {
		switch y := x.(type) {
		case *ast.Ident:
			return y
		case *ast.SelectorExpr:
			x = y.X
		case *ast.IndexExpr:
			x = y.X
		case *ast.SliceExpr:
			x = y.X
		case *ast.StarExpr:
			x = y.X
		case *ast.ParenExpr:
			x = y.X
		default:
			return nil
		}
	}
}

// What is committed works on other machines.
func TestFilesNameNoMachine(t *testing.T) {
	place := regexp.MustCompile(`(^|[^\w.])/(wor[k]/|hom[e]/[a-z]|User[s]/\w)`)
	resolved := regexp.MustCompile(`"resolved": "([^"]*)"`)
	for _, f := range files(t) {
		for i, line := range bytes.Split(f.text, []byte("\n")) {
			if m := place.Find(line); m != nil {
				t.Errorf("%s:%d: %s…: a path of somebody's machine", f.path, i+1, m)
			}
		}
		if path.Base(f.path) == "package-lock.json" {
			for _, m := range resolved.FindAllSubmatch(f.text, -1) {
				if !bytes.HasPrefix(m[1], []byte("https://registry.npmjs.org/")) {
					t.Errorf("%s: %s: somebody's mirror", f.path, m[1])
				}
			}
		}
	}
}

// The image is built with the version of Go that go.mod asks for.
func TestOneVersionOfGo(t *testing.T) {
	version := func(file, pattern string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s: nothing fits %s", file, pattern)
		}
		return string(m[1])
	}
	want := version("go.mod", `(?m)^go (\S+)$`)
	if got := version("Dockerfile", `FROM .*golang:([0-9.]+)`); got != want {
		t.Errorf("Dockerfile builds with Go %s, go.mod asks for %s", got, want)
	}
}

// file is a file of the project.
type file struct {
	path string // from the root, with slashes
	text []byte
}

// goFile is a Go file of the project.
type goFile struct {
	file
	pkg  string // the folder, from the root
	test bool
	ast  *ast.File
}

var fset = token.NewFileSet()

// at is where a node stands.
func (f *goFile) at(n ast.Node) string {
	return f.path + ":" + strconv.Itoa(fset.Position(n.Pos()).Line)
}

// imports is what the file imports.
func (f *goFile) imports() []string {
	paths := make([]string, len(f.ast.Imports))
	for i, spec := range f.ast.Imports {
		paths[i], _ = strconv.Unquote(spec.Path.Value) // the parser has checked it
	}
	return paths
}

// goFiles reads all Go files, for every platform, without those in testdata.
func goFiles(t *testing.T) []*goFile {
	t.Helper()
	var found []*goFile
	for _, f := range files(t) {
		if path.Ext(f.path) != ".go" || strings.Contains("/"+f.path, "/testdata/") {
			continue
		}
		tree, err := parser.ParseFile(fset, f.path, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		found = append(found, &goFile{
			file: f, pkg: path.Dir(f.path), test: strings.HasSuffix(f.path, "_test.go"), ast: tree,
		})
	}
	if len(found) == 0 {
		t.Fatal("no Go file found")
	}
	return found
}

// files reads the whole project, without what is made or fetched: the folders that .gitignore names.
func files(t *testing.T) []file {
	t.Helper()
	var found []file
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".venv", "node_modules", "__pycache__", ".idea", ".vscode":
				return fs.SkipDir
			}
			if name == "bin" || name == "data" || name == "benchmarks/out" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		found = append(found, file{name, text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
