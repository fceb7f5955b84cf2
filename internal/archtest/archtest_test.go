// Package archtest holds the house to its rules.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pipe-build/pipe/"

// floors: imports go down a floor, never sideways. A package that is not here
// has no place in the house.
var floors = map[string]int{
	"pkg/digest": 0, "internal/diag": 0, "internal/dag": 0, "internal/par": 0, "internal/atomicfile": 0, "pkg/repopath": 0, "internal/canon": 0,
	"internal/yamldoc": 1, "pkg/artifact": 1, "internal/statindex": 1,
	"pkg/lockfile": 2, "pkg/event": 2, "internal/object": 2, "internal/spec": 2, "internal/params": 2,
	"internal/store": 3, "internal/action": 3, "internal/shell": 3, "internal/gitlog": 3, "internal/view": 3,
	"internal/store/disk": 4, "internal/store/s3": 4, "internal/store/mem": 4, "internal/store/storetest": 4, "internal/worktree": 4, "internal/lease": 4,
	"internal/inputs": 5, "internal/aside": 5, "internal/transfer": 5, "internal/history": 5, "internal/sweep": 5, "internal/release": 5,
	"internal/engine": 6, "pkg/pipe": 7, "internal/cli": 8, "cmd/pipe": 9,
	// Beside the house: tests and their tools.
	"internal/archtest": 10, "internal/s3server": 4, "internal/bench": 10,
}

// sideways are the exceptions, each with its reason.
var sideways = map[string]string{}

// doors: one third-party module, one package that opens it.
var doors = map[string][]string{
	"github.com/zeebo/blake3":           {"pkg/digest"},
	"golang.org/x/sync":                 {"internal/par"},
	"github.com/bmatcuk/doublestar":     {"pkg/repopath"},
	"gopkg.in/yaml.v3":                  {"internal/yamldoc"},
	"github.com/BurntSushi/toml":        {"internal/params"},
	"golang.org/x/text":                 {"internal/object"},
	"github.com/go-git":                 {"internal/gitlog"},
	"github.com/aws":                    {"internal/store/s3"},
	"github.com/spf13":                  {"internal/cli"},
	"golang.org/x/term":                 {"cmd/pipe"},
	"golang.org/x/sys":                  {"internal/atomicfile", "internal/store/disk", "internal/statindex"}, // system calls, each its own
	"github.com/rogpeppe/go-internal":   {},                                                                   // tests only
	"pgregory.net/rapid":                {},                                                                   // tests only
	"github.com/johannesboyne/gofakes3": {},                                                                   // tests only
}

type file struct {
	pkg, path string
	test      bool
	ast       *ast.File
	fset      *token.FileSet
}

func sources(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []file
	for _, top := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || d.Name() == "tools") {
				return fs.SkipDir
			}
			if !strings.HasSuffix(path, ".go") {
				return nil
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, filepath.Dir(path))
			out = append(out, file{filepath.ToSlash(rel), path, strings.HasSuffix(path, "_test.go"), f, fset})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 50 {
		t.Fatalf("found only %d files: the walk is wrong", len(out))
	}
	return out
}

func imports(f file) []string {
	var out []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestImportsGoDownAFloor(t *testing.T) {
	for _, f := range sources(t) {
		from, ok := floors[f.pkg]
		if !ok {
			t.Errorf("%s: package %s has no floor", f.path, f.pkg)
			continue
		}
		if f.test {
			continue
		}
		for _, p := range imports(f) {
			to, ours := strings.CutPrefix(p, module)
			if !ours || sideways[f.pkg+" -> "+to] != "" {
				continue
			}
			floor, ok := floors[to]
			if !ok || floor >= from {
				t.Errorf("%s (floor %d) imports %s (floor %d)", f.path, from, to, floor)
			}
		}
	}
}

func TestEachThirdPartyModuleHasOneDoor(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, p := range imports(f) {
			if strings.HasPrefix(p, module) || !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				continue
			}
			if !allowed(p, f.pkg) {
				t.Errorf("%s: %s is no door to %s", f.path, f.pkg, p)
			}
		}
	}
}

func allowed(path, pkg string) bool {
	for mod, pkgs := range doors {
		if path == mod || strings.HasPrefix(path, mod+"/") {
			for _, p := range pkgs {
				if p == pkg {
					return true
				}
			}
		}
	}
	return false
}

// TestOnlyMainExits also keeps contexts coming from main, and goroutines in
// par and shell.
func TestOnlyMainExits(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.pkg == "internal/s3server" || f.pkg == "internal/bench" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				if f.pkg != "internal/par" && f.pkg != "internal/shell" {
					t.Errorf("%s: a goroutine outside par and shell", f.fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok || f.pkg == "cmd/pipe" {
					return true
				}
				switch name := x.Name + "." + n.Sel.Name; name {
				case "os.Exit", "context.Background", "context.TODO", "log.Fatal", "log.Fatalf":
					t.Errorf("%s: %s outside main", f.fset.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

func TestNoPackageVariablesAndNoInit(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: init", f.fset.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					checkVars(t, f, d)
				}
			}
		}
	}
}

// checkVars allows error values, and tables and patterns that nothing changes.
func checkVars(t *testing.T, f file, d *ast.GenDecl) {
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		for i, n := range v.Names {
			isError := strings.HasPrefix(strings.ToLower(n.Name), "err")
			if n.Name == "_" || isError || i < len(v.Values) && constant(v.Values[i]) {
				continue
			}
			t.Errorf("%s: package variable %s", f.fset.Position(n.Pos()), n.Name)
		}
	}
}

func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		if !ok {
			return false
		}
		switch x.Name + "." + s.Sel.Name {
		case "errors.New", "regexp.MustCompile", "strings.NewReplacer":
			return true
		}
	}
	return false
}

func TestEveryPackageHasAOneSentenceComment(t *testing.T) {
	docs := map[string]string{}
	for _, f := range sources(t) {
		if f.ast.Doc != nil && (!f.test || f.pkg == "internal/archtest") {
			docs[f.pkg] = f.ast.Doc.Text()
		}
	}
	for pkg := range floors {
		first, _, _ := strings.Cut(docs[pkg], "\n\n")
		first = strings.TrimSpace(first)
		if first == "" || !strings.HasSuffix(first, ".") && !strings.HasSuffix(first, ":") || strings.Contains(first, ". ") {
			if _, err := os.Stat(filepath.Join("..", "..", pkg)); err == nil {
				t.Errorf("%s: the package comment's first paragraph is %q, not one sentence", pkg, first)
			}
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !heapMethod(d.Name.Name) {
					t.Errorf("%s: %s has no comment", f.fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				checkDocs(t, f, d)
			}
		}
	}
}

// heapMethod names the methods that sort.Interface documents.
func heapMethod(name string) bool { return name == "Len" || name == "Less" || name == "Swap" }

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	if s, ok := e.(*ast.StarExpr); ok {
		e = s.X
	}
	if x, ok := e.(*ast.IndexExpr); ok {
		e = x.X
	}
	id, ok := e.(*ast.Ident)
	return ok && id.IsExported()
}

func checkDocs(t *testing.T, f file, d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				t.Errorf("%s: type %s has no comment", f.fset.Position(s.Pos()), s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				t.Errorf("%s: %s has no comment", f.fset.Position(s.Pos()), s.Names[0].Name)
			}
		}
	}
}

func TestTheTopLevelIsTheUsersList(t *testing.T) {
	want := " cmd internal pkg testdata examples go.mod go.sum Makefile README.md LICENSE bin demo " // bin and demo are made, not kept
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !strings.Contains(want, " "+e.Name()+" ") {
			t.Errorf("the top level holds %s", e.Name())
		}
	}
}
