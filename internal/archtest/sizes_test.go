package archtest

import (
	"go/ast"
	"testing"
)

const (
	maxFunc = 60  // lines: a screen
	maxFile = 400 // lines
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, f := range sources(t) {
		if n := f.fset.File(f.ast.FileStart).LineCount(); n > maxFile {
			t.Errorf("%s has %d lines", f.path, n)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunc {
				t.Errorf("%s: %s has %d lines", f.fset.Position(fn.Pos()), funcName(fn), n)
			}
		}
	}
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
