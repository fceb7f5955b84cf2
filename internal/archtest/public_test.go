package archtest

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// TestPublicPackagesNameOnlyPublicTypes: a user of pkg/... cannot import internal/...,
// so a signature, an exported field or an exported type that names an internal type is
// of no use to them.
func TestPublicPackagesNameOnlyPublicTypes(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !strings.HasPrefix(f.pkg, "pkg/") {
			continue
		}
		inner := internalNames(f)
		for _, d := range f.ast.Decls {
			for _, name := range leaks(d, inner) {
				t.Errorf("%s: %s names an internal type", f.fset.Position(d.Pos()), name)
			}
		}
	}
}

// internalNames are the names under which a file imports internal packages.
func internalNames(f file) map[string]bool {
	out := map[string]bool{}
	for i, p := range imports(f) {
		if !strings.HasPrefix(p, module+"internal/") {
			continue
		}
		name := path.Base(p)
		if n := f.ast.Imports[i].Name; n != nil {
			name = n.Name
		}
		out[name] = true
	}
	return out
}

// leaks returns the exported things of a declaration that name an internal type.
func leaks(d ast.Decl, inner map[string]bool) (out []string) {
	note := func(name string, e ast.Node) {
		if namesOf(e, inner) > 0 {
			out = append(out, name)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) {
			note(funcName(d), d.Type)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					note(s.Name.Name, s)
				}
			case *ast.ValueSpec:
				noteValues(s, note)
			}
		}
	}
	return out
}

// noteValues looks at a value's type, or where none is written, at the value that gives it.
func noteValues(s *ast.ValueSpec, note func(string, ast.Node)) {
	for i, n := range s.Names {
		switch {
		case !n.IsExported():
		case s.Type != nil:
			note(n.Name, s.Type)
		case i < len(s.Values):
			note(n.Name, s.Values[i])
		}
	}
}

// namesOf counts the internal types in a signature, type or value. Unexported fields,
// and bodies of functions, are nobody else's business.
func namesOf(e ast.Node, inner map[string]bool) int {
	n := 0
	ast.Inspect(e, func(e ast.Node) bool {
		switch e := e.(type) {
		case *ast.BlockStmt:
			return false
		case *ast.StructType:
			for _, f := range e.Fields.List {
				if exportedField(f) {
					n += namesOf(f.Type, inner)
				}
			}
			return false
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok && inner[x.Name] {
				n++
			}
		}
		return true
	})
	return n
}

// exportedField reports whether other packages see a field; an embedded one goes by its type's name.
func exportedField(f *ast.Field) bool {
	for _, n := range f.Names {
		if n.IsExported() {
			return true
		}
	}
	if len(f.Names) > 0 {
		return false
	}
	e := f.Type
	if s, ok := e.(*ast.StarExpr); ok {
		e = s.X
	}
	switch x := e.(type) {
	case *ast.Ident:
		return x.IsExported()
	case *ast.SelectorExpr:
		return x.Sel.IsExported()
	}
	return true // a generic type: rather one too many
}
