package archtest

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

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
