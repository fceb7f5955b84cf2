package starter

import (
	"bufio"
	"bytes"
	"go/build/constraint"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/shell"
)

// goFile is what matters of a .go file.
type goFile struct {
	pkg    string   // its package; empty: it is not built here
	embeds []string // patterns of //go:embed
}

// goModule is what a module's files say together.
type goModule struct {
	mains          []string // directories of package main
	deps, testDeps []string // embedded files and the like, as items
	nested         []string // exclusions of modules inside this one
	testdata       bool     // there are files for tests
	cgo            bool     // files of other languages
	code           bool     // there is any Go code
}

// golang proposes for a go.mod.
func (t *Tree) golang() (*part, error) {
	mod, err := t.Read("go.mod")
	if err != nil {
		return nil, absentIsNil(err)
	}
	m := t.goModule()
	if !m.code {
		return &part{Found: Found{File: "go.mod", Why: "not used: there is no Go code in the module"}}, nil
	}
	code := "**/*.go"
	if m.cgo {
		code = "**/*.{go,s,S,c,cc,cpp,cxx,h,hh,hpp,syso}"
	}
	common := append(files(t.there("go.mod", "go.sum", "go.work", "go.work.sum", "vendor/modules.txt")...), item(code))
	if !t.has("go.sum") {
		common[0] = item("go.*") // the first requirement makes it
	}
	env := t.env("CGO_ENABLED", "GOEXPERIMENT", "GOFLAGS", "GOINSECURE", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOTOOLCHAIN")
	dir, err := t.free("bin", "dist", "out")
	if err != nil {
		return nil, err
	}
	p := &part{Found: Found{File: "go.mod"}, suffix: "go"}
	var cmds []string
	for _, main := range m.mains {
		out := path.Join(dir, binary(mod, main, m.mains))
		cmds = append(cmds, scalar("go build -trimpath -buildvcs=false -o "+shell.Word(out)+" "+shell.Word(strings.TrimSuffix("./"+main, "/."))))
		p.makes = append(p.makes, out)
	}
	p.outs = files(p.makes...)
	p.check = func(at place) string {
		return stage(goCheckNote, at.name,
			"check: true",
			"cmd:"+block([]string{"go vet ./...", "go test ./..."}),
			"deps:"+list(slices.Concat(common, m.deps, m.testDeps, m.nested)),
			env)
	}
	p.build = func(at place) string {
		if len(cmds) == 0 {
			return comment("There is no package main here, so there is nothing to build.")
		}
		return stage(goBuildNote, at.name,
			"cmd:"+block(cmds),
			"platform: auto           # a binary is for one operating system and architecture",
			"deps:"+list(slices.Concat(common, []string{not("**/*_test.go")}, m.deps, m.nested)),
			env,
			"outs:"+list(p.outs))
	}
	return p, nil
}

// oddChars are those that an output's name need not have.
var oddChars = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// binary names what is built from a directory: by the directory, or at the root by the module.
// Where two would be the same, the whole path is in the name.
func binary(mod []byte, dir string, all []string) string {
	if dir == "." {
		_, rest, _ := bytes.Cut(append([]byte("\n"), mod...), []byte("\nmodule "))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		text, _, _ := strings.Cut(string(line), "//")
		name := strings.Trim(strings.TrimSpace(text), "\"`")
		base := path.Base(name)
		if v, ok := strings.CutPrefix(base, "v"); ok && path.Dir(name) != "." {
			if _, err := strconv.Atoi(v); err == nil {
				base = path.Base(path.Dir(name)) // the major version
			}
		}
		if base == "." || base == "/" {
			return "app"
		}
		return base
	}
	name := path.Base(dir)
	for _, other := range all {
		if other != dir && path.Base(other) == path.Base(dir) {
			name = strings.ReplaceAll(dir, "/", "-")
		}
	}
	return oddChars.ReplaceAllString(name, "-")
}

// goModule reads the module's files.
func (t *Tree) goModule() (m goModule) {
	var nested []string
	for _, f := range t.Files {
		if dir := path.Dir(f); dir != "." && path.Base(f) == "go.mod" {
			nested = append(nested, dir)
		}
	}
	for _, dir := range nested {
		if !slices.ContainsFunc(nested, func(n string) bool { return strings.HasPrefix(dir, n+"/") }) {
			m.nested = append(m.nested, not(literal(dir)+"/"))
		}
	}
	for _, f := range t.Files {
		if slices.ContainsFunc(nested, func(n string) bool { return strings.HasPrefix(f, n+"/") }) {
			continue
		}
		if strings.Contains("/"+f, "/testdata/") {
			m.testdata = true
			continue
		}
		m.cgo = m.cgo || slices.Contains([]string{".s", ".S", ".c", ".cc", ".cpp", ".cxx", ".syso"}, path.Ext(f))
		if path.Ext(f) != ".go" || passedOver(f) {
			continue
		}
		m.code = true
		b, err := t.Read(f)
		if err != nil {
			continue // a dangling symlink, say: the Go command reports it
		}
		m.add(f, parseGo(b))
	}
	m.mains = commands(m.mains)
	if m.testdata {
		m.testDeps = append(m.testDeps, item("**/testdata/**"))
	}
	return m
}

// add notes what a file says of the module.
func (m *goModule) add(name string, f goFile) {
	dir, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	if f.pkg == "main" && !test && !slices.Contains(m.mains, dir) && !strings.HasPrefix(name, "vendor/") {
		m.mains = append(m.mains, dir)
	}
	for _, e := range f.embeds {
		it := item(path.Join(literal(dir), e))
		if strings.ContainsAny(dir, "*?[{") && !strings.ContainsAny(e, "*?[{") {
			it = file(path.Join(dir, e))
		}
		switch {
		case strings.HasSuffix(e, ".go") || slices.Contains(m.deps, it) || slices.Contains(m.testDeps, it):
		case test:
			m.testDeps = append(m.testDeps, it)
		default:
			m.deps = append(m.deps, it)
		}
	}
}

// passedOver reports whether the Go command does not look at a file, see go help packages.
func passedOver(name string) bool {
	return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || strings.Contains(name, "/_") || strings.Contains(name, "/.")
}

// commands returns the directories of package main that are the product: those at the root and
// below cmd, if there are any. Elsewhere are examples and tools.
func commands(mains []string) []string {
	product := slices.DeleteFunc(slices.Clone(mains), func(d string) bool { return d != "." && !strings.HasPrefix(d, "cmd/") })
	if len(product) > 0 {
		return product
	}
	return mains
}

// parseGo reads a file as far as it matters, without a parser of the language: the lines before
// the package clause, and the lines of //go:embed.
func parseGo(b []byte) (f goFile) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	inComment := false
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if f.pkg != "" {
			if list, ok := strings.CutPrefix(line, "//go:embed "); ok {
				f.embeds = append(f.embeds, embedded(list)...)
			}
			continue
		}
		if inComment || strings.HasPrefix(line, "/*") {
			_, rest, ended := strings.Cut(line, "*/")
			if inComment = !ended; inComment {
				continue
			}
			line = strings.TrimSpace(rest)
		}
		if constraint.IsGoBuild(line) {
			if x, err := constraint.Parse(line); err == nil && !x.Eval(tag) {
				return goFile{}
			}
		}
		if name, ok := strings.CutPrefix(line, "package "); ok {
			f.pkg = strings.Fields(name + " ?")[0]
		}
	}
	return f
}

// tag reports whether a build here has a tag, as far as it matters for finding commands.
func tag(t string) bool {
	unix := runtime.GOOS != "windows"
	return t == runtime.GOOS || t == runtime.GOARCH || t == "gc" || t == "cgo" || t == "unix" && unix || strings.HasPrefix(t, "go1.")
}

// embedded splits the patterns of a //go:embed line, which may be quoted.
func embedded(list string) (patterns []string) {
	for list = strings.TrimSpace(list); list != ""; list = strings.TrimSpace(list) {
		word, rest, _ := strings.Cut(list, " ")
		if q, err := strconv.QuotedPrefix(list); err == nil {
			word, rest = q, list[len(q):]
			word, _ = strconv.Unquote(word)
		}
		patterns = append(patterns, strings.TrimPrefix(word, "all:"))
		list = rest
	}
	return patterns
}
