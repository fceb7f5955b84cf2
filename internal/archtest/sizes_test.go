package archtest

import (
	"go/ast"
	"strings"
	"testing"
)

const (
	maxFunc = 60  // lines: a screen
	maxFile = 400 // lines
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	found := map[string]int{}
	for _, f := range sources(t) {
		if n := f.fset.File(f.ast.FileStart).LineCount(); n > maxFile {
			found[f.name()] = n
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunc {
				found[f.name()+" "+funcName(fn)] = n
			}
		}
	}
	holdTo(t, "too long (lines)", tooLong, found)
}

// funcName is Recv.Name or Name.
func funcName(d *ast.FuncDecl) string {
	if r := receiver(d); r != "" {
		return r + "." + d.Name.Name
	}
	return d.Name.Name
}

// receiver is the name of the type that a method belongs to, "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	if s, ok := e.(*ast.StarExpr); ok {
		e = s.X
	}
	switch x := e.(type) {
	case *ast.IndexExpr:
		e = x.X
	case *ast.IndexListExpr:
		e = x.X
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return ""
	}
	return id.Name
}

// holdTo compares what breaks a rule with the list of what did when the rule came.
// The list may only shrink: nothing joins it, nothing on it grows, and what has
// been put right leaves it.
func holdTo(t *testing.T, rule string, list, found map[string]int) {
	t.Helper()
	for name, n := range found {
		bound, listed := list[name]
		switch {
		case !listed:
			t.Errorf("%s: %s: %d", name, rule, n)
		case n > bound:
			t.Errorf("%s: %s: %d, it was %d", name, rule, n, bound)
		}
	}
	for name := range list {
		if _, still := found[name]; !still {
			t.Errorf("%s: keeps the rule now (%s): delete it from debts_test.go", name, rule)
		}
	}
}

// name is the file's path from the repository's root.
func (f file) name() string {
	return f.pkg + "/" + f.path[strings.LastIndexAny(f.path, `/\`)+1:]
}
