package archtest

import (
	"go/ast"
	"go/token"
	"path/filepath"
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

// openers may open what is not a regular file: git's settings are the user's own and
// may be /dev/null, /proc does not hang, and tools of developers read what they made.
const openers = " internal/atomicfile internal/atomicfile/powercut internal/ignore internal/process internal/s3server internal/bench internal/archtest "

// TestFilesAreOpenedThroughAtomicfile: os.Open waits for ever where a named pipe lies.
func TestFilesAreOpenedThroughAtomicfile(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || strings.Contains(openers, " "+f.pkg+" ") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Open" || s.Sel.Name == "ReadFile") {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" {
					t.Errorf("%s: os.%s", f.fset.Position(n.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestPeoplesTextGoesThroughOneDoor: view.Print escapes what comes from outside, and what goes
// past it reaches the terminal as it is. cli hands its writers on and wraps them; it prints
// nothing itself.
func TestPeoplesTextGoesThroughOneDoor(t *testing.T) {
	for _, f := range sources(t) {
		door := filepath.Base(f.path) == "print.go" && f.pkg == "internal/view"
		if f.test || door || f.pkg != "internal/view" && f.pkg != "internal/cli" && f.pkg != "cmd/pipe" && !strings.HasPrefix(f.pkg, "pkg/") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := s.X.(*ast.Ident)
			prints := x != nil && (x.Name == "fmt" && strings.Contains(s.Sel.Name, "rint") && s.Sel.Name[0] != 'S' ||
				x.Name == "io" && (s.Sel.Name == "WriteString" || strings.HasPrefix(s.Sel.Name, "Copy")))
			if prints || strings.HasPrefix(s.Sel.Name, "Print") && (x == nil || x.Name == "c") {
				t.Errorf("%s: %s goes past view.Print", f.fset.Position(n.Pos()), s.Sel.Name)
			}
			return true
		})
	}
}

// rooms work below the project's root, in directories that they hold open.
const rooms = " internal/worktree internal/aside internal/local "

// TestTheWorkspaceIsChangedThroughItsRoot: between two calls of package os with one path,
// a directory on the way may be swapped for a symlink that leads anywhere.
func TestTheWorkspaceIsChangedThroughItsRoot(t *testing.T) {
	looks := " Lstat Stat SameFile Getpid " // no bytes come from them
	for _, f := range sources(t) {
		if f.test || !strings.Contains(rooms, " "+f.pkg+" ") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				s, _ := call.Fun.(*ast.SelectorExpr)
				if s != nil && !strings.Contains(looks, " "+s.Sel.Name+" ") {
					if x, ok := s.X.(*ast.Ident); ok && (x.Name == "os" && s.Sel.Name != "FileMode" || x.Name == "atomicfile" && s.Sel.Name == "Write") {
						t.Errorf("%s: %s.%s", f.fset.Position(n.Pos()), x.Name, s.Sel.Name)
					}
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
		if x, ok := v.Type.(*ast.SelectorExpr); ok && x.Sel.Name == "FS" { // embed.FS, which only reads
			continue
		}
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
