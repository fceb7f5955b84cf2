// Package archtest holds the house to its rules.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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

// moduleName matches the names that the Go command takes into a module, see
// golang.org/x/mod/module.CheckFilePath.
var moduleName = regexp.MustCompile(`^[\pL0-9!#$%&()+,\-.=@\[\]^_{}~ ]+$`)

// TestGoInstallTakesEveryName: one file with a name that the Go command does not take, or two
// that differ in case alone, and nobody can go install the module.
func TestGoInstallTakesEveryName(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (rel == ".git" || rel == "bin" || rel == "demo" || d.Name() == ".pipe") {
			return fs.SkipDir
		}
		folded := strings.ToLower(rel)
		if other := seen[folded]; other != "" || !moduleName.MatchString(d.Name()) || strings.HasSuffix(d.Name(), ".") {
			t.Errorf("%s: the Go command does not take this name (beside %q)", rel, other)
		}
		seen[folded] = rel
		return nil
	})
	if err != nil || len(seen) < 300 {
		t.Fatal(len(seen), err)
	}
}
