package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pkg is a package as go list shows it.
type pkg struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
	fset                    *token.FileSet
	importer                types.Importer
}

// mutant is one change of one file, and what became of it.
type mutant struct {
	File, What, KilledBy string // KilledBy is a package, "" for a survivor
	Line, Column         int
	Covered              bool // some test visits the place
	source, text         string
	begin, end           int // the bytes of source that text stands for
}

func (m *mutant) code() []byte { return []byte(m.source[:m.begin] + m.text + m.source[m.end:]) }

func load(patterns []string) ([]*pkg, error) {
	c := exec.Command("go", append([]string{"list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,DepOnly"}, patterns...)...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	wd, wdErr := os.Getwd()
	if err := errors.Join(err, wdErr); err != nil {
		return nil, err
	}
	var chosen []*pkg
	exports := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		p := &pkg{fset: token.NewFileSet()}
		if err := d.Decode(p); err != nil {
			return nil, err
		}
		p.importer = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
		exports[p.ImportPath] = p.Export
		if p.Dir, err = filepath.Rel(wd, p.Dir); !p.DepOnly {
			chosen = append(chosen, p)
		}
	}
	return chosen, err
}

// mutants returns the mutants that compile, at most o.sample.
func (p *pkg) mutants(o options) ([]*mutant, error) {
	var files []*ast.File
	sources := make([][]byte, len(p.GoFiles))
	for i, name := range p.GoFiles {
		b, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(p.fset, filepath.Join(p.Dir, name), b, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files, sources[i] = append(files, f), b
	}
	mk := &maker{fset: p.fset, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}}
	if _, err := (&types.Config{Importer: p.importer}).Check(p.ImportPath, p.fset, files, mk.info); err != nil {
		return nil, err
	}
	for i, f := range files {
		var err error
		if mk.keep, err = changedLines(o.changed, filepath.Join(p.Dir, p.GoFiles[i])); err != nil {
			return nil, err
		}
		mk.source = string(sources[i])
		ast.Inspect(f, mk.visit)
	}
	rand.New(rand.NewSource(1)).Shuffle(len(mk.out), func(i, j int) { mk.out[i], mk.out[j] = mk.out[j], mk.out[i] })
	var out []*mutant
	for _, m := range mk.out {
		if (o.sample == 0 || len(out) < o.sample) && p.compiles(files, m) {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b *mutant) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return out, nil
}

// compiles asks the type checker, which is much faster than the compiler.
func (p *pkg) compiles(files []*ast.File, m *mutant) bool {
	f, err := parser.ParseFile(p.fset, m.File, m.code(), parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	files = slices.Clone(files)
	files[slices.Index(p.GoFiles, filepath.Base(m.File))] = f
	_, err = (&types.Config{Importer: p.importer}).Check(p.ImportPath, p.fset, files, nil)
	return err == nil
}

// changedLines are those that git diff calls new; without a revision, all are.
func changedLines(rev, path string) (func(line int) bool, error) {
	if rev == "" {
		return func(int) bool { return true }, nil
	}
	out, err := exec.Command("git", "-C", filepath.Dir(path), "diff", "-U0", rev, "--", filepath.Base(path)).Output()
	lines := map[int]bool{}
	for l := range strings.Lines(string(out)) {
		var old string
		var first, n int
		if k, _ := fmt.Sscanf(l, "@@ -%s +%d,%d @@", &old, &first, &n); k == 2 {
			n = 1
		}
		for i := range n {
			lines[first+i] = true
		}
	}
	return func(line int) bool { return lines[line] }, err
}

// maker walks files and collects their mutants; whether they compile is asked later.
type maker struct {
	fset   *token.FileSet
	info   *types.Info
	source string
	keep   func(line int) bool
	out    []*mutant
}

// operator gives the others that may stand in an operator's place.
var operator = map[token.Token][]string{
	token.EQL: {"!="}, token.NEQ: {"=="}, token.LAND: {"||"}, token.LOR: {"&&"},
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"}, token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.ADD: {"-"}, token.SUB: {"+"}, token.MUL: {"/"}, token.QUO: {"*"},
}

func (k *maker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		k.put(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), operator[n.Op]...)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			k.put(n.OpPos, n.OpPos+1, "")
		}
	case *ast.IfStmt:
		k.force(n.Cond, "false && ", "true || ")
	case *ast.ForStmt:
		k.force(n.Cond, "false && ") // without an end it would only hang
	case *ast.CaseClause:
		for _, e := range n.List {
			k.force(e, "false && ")
		}
	case *ast.ExprStmt, *ast.DeferStmt, *ast.IncDecStmt, *ast.AssignStmt:
		k.put(n.Pos(), n.End(), "")
	case *ast.ReturnStmt:
		if i := len(n.Results) - 1; i >= 0 && k.isError(n.Results[i]) {
			k.put(n.Results[i].Pos(), n.End(), "nil")
		}
	case *ast.CallExpr:
		return k.call(n)
	case *ast.BasicLit: // file modes and masks are left alone
		if v, err := strconv.Atoi(n.Value); err == nil && (v == 0 || n.Value[0] != '0') {
			k.put(n.Pos(), n.End(), strconv.Itoa(v+1), strconv.Itoa(v-1))
		}
	case *ast.Ident:
		if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
			k.put(n.Pos(), n.End(), other)
		}
	case *ast.BranchStmt:
		if other := map[token.Token]string{token.BREAK: "continue", token.CONTINUE: "break"}[n.Tok]; other != "" {
			k.put(n.Pos(), n.Pos()+token.Pos(len(n.Tok.String())), other)
		}
	}
	return true
}

// call drops one of the errors that are joined; what make takes changes nothing but speed.
func (k *maker) call(n *ast.CallExpr) bool {
	if types.ExprString(n.Fun) == "errors.Join" {
		for _, a := range n.Args {
			k.put(a.Pos(), a.End(), "nil")
		}
	}
	return types.ExprString(n.Fun) != "make"
}

// isError and isBool report what an expression is; a comparison is an untyped bool.
func (k *maker) isError(e ast.Expr) bool {
	t := k.info.TypeOf(e)
	return t != nil && types.Identical(t, types.Universe.Lookup("error").Type())
}

func (k *maker) isBool(e ast.Expr) bool {
	b, ok := k.info.TypeOf(e).(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

// force makes a condition constant. What it names stays used, so that it compiles.
func (k *maker) force(cond ast.Expr, prefixes ...string) {
	if cond == nil || !k.isBool(cond) {
		return
	}
	b, e := k.fset.Position(cond.Pos()).Offset, k.fset.Position(cond.End()).Offset
	for _, p := range prefixes {
		k.put(cond.Pos(), cond.End(), p+"("+k.source[b:e]+")")
	}
}

// put adds a mutant for each text that may stand in place of the code from begin to end.
func (k *maker) put(begin, end token.Pos, texts ...string) {
	p, e := k.fset.Position(begin), k.fset.Position(end).Offset
	if !k.keep(p.Line) {
		return
	}
	for _, t := range texts {
		what := fmt.Sprintf("%q -> %q", k.source[p.Offset:e], t)
		if t == "" {
			what = fmt.Sprintf("removed %q", k.source[p.Offset:e])
		}
		k.out = append(k.out, &mutant{File: p.Filename, Line: p.Line, Column: p.Column, What: what, source: k.source, text: t, begin: p.Offset, end: e})
	}
}
