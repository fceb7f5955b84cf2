package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	return d.Recv == nil || ast.IsExported(receiver(d))
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

// TestEveryFieldOfAPublicTypeIsDocumented: one comment may stand over several
// names of one line, but not over several lines.
func TestEveryFieldOfAPublicTypeIsDocumented(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !strings.HasPrefix(f.pkg, "pkg/") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if bare := bareFields(s.Type); s.Name.IsExported() && bare > 0 {
				t.Errorf("%s: exported fields or methods of %s without a comment: %d", f.fset.Position(s.Pos()), s.Name.Name, bare)
			}
			return false
		})
	}
}

// bareFields counts a struct's exported fields, or an interface's methods, without a comment.
func bareFields(e ast.Expr) int {
	n := 0
	ast.Inspect(e, func(e ast.Node) bool {
		f, ok := e.(*ast.FieldList)
		if !ok {
			_, fn := e.(*ast.FuncType)
			return !fn
		}
		for _, f := range f.List {
			if len(f.Names) > 0 && exportedField(f) && f.Doc == nil && f.Comment == nil {
				n++
			}
		}
		return true
	})
	return n
}
