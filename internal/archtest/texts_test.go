package archtest

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file again")

var (
	formatVerb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*[a-zA-Z]`)
	word       = regexp.MustCompile(`[A-Za-z]{2,}|\ba\b`)
)

// noReader are packages that print for nobody but developers, and workflow, whose texts stand whole in its golden files.
const noReader = " internal/archtest internal/atomicfile/powercut internal/bench internal/dvctest internal/forge internal/s3server internal/store/storetest internal/tool internal/workflow "

// TestTheTextsForPeopleAreInOneFile keeps every text that people may read in one
// file, where they can be read together: errors, hints, notes, reasons, help.
func TestTheTextsForPeopleAreInOneFile(t *testing.T) {
	byPkg := map[string][]string{}
	for _, f := range sources(t) {
		byPkg[f.pkg] = append(byPkg[f.pkg], textsOf(f)...)
	}
	var b strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(byPkg)) {
		texts := byPkg[pkg]
		slices.Sort(texts)
		if len(texts) > 0 {
			fmt.Fprintf(&b, "# %s\n\n%s\n\n", pkg, strings.Join(slices.Compact(texts), "\n"))
		}
	}
	path := filepath.Join("testdata", "texts.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || b.String() != string(want) {
		t.Errorf("texts changed (%v): run go test ./internal/archtest -run Texts -update and read the difference in %s", err, path)
	}
}

// textsOf returns the texts of a product file. The parts of a sum are one text.
func textsOf(f file) (texts []string) {
	if f.test || strings.Contains(noReader, " "+f.pkg+" ") {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.CallExpr:
			fn, ok := n.Fun.(*ast.Ident)
			return !ok || fn.Name != "panic"
		case *ast.BinaryExpr, *ast.BasicLit:
			text, ok := joined(n.(ast.Expr))
			if ok && isProse(text) {
				texts = append(texts, strings.ReplaceAll(strings.Trim(text, "\n"), "\n", "\n    "))
			}
			return !ok
		}
		return true
	})
	return texts
}

// joined returns a string literal, or a sum of some with {} for the other parts;
// false for what is not a string.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, lok := joined(e.X)
		right, rok := joined(e.Y)
		return left + right, e.Op == token.ADD && (lok || rok)
	}
	return "{}", false
}

// isProse reports whether a text has two words or more.
func isProse(text string) bool {
	return strings.Contains(text, " ") && len(word.FindAllString(formatVerb.ReplaceAllString(text, "%"), 2)) == 2
}

// strange returns the phrasings that read oddly: the lines of testdata/strange.txt, each a
// regular expression for whole words. "There is no remote" is not one.
func strange(t *testing.T) *regexp.Regexp {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "strange.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\b(` + strings.Join(strings.Fields(strings.ReplaceAll(string(b), " ", `\s`)), "|") + `)\b`)
}

func TestTextsForPeopleArePlainEnglish(t *testing.T) {
	odd := strange(t)
	for _, f := range sources(t) {
		for _, text := range textsOf(f) {
			plain := strings.ReplaceAll(strings.ToLower(text), "there is no ", "")
			if m := odd.FindString(plain); m != "" {
				t.Errorf("%s: %q reads oddly in %q", f.path, m, text)
			}
		}
	}
}
