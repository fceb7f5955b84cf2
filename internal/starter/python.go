package starter

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/shell"
)

// pythonData is for the template.
type pythonData struct {
	names
	Venv, TestEnv                          string
	Checks, Cmds, Env, TestDeps, BuildDeps []string
	Outs                                   []string
}

// The tables of a pyproject.toml that matter. Their contents do not, so lines are enough.
var (
	buildSystem = regexp.MustCompile(`(?m)^\s*\[build-system\]|^\s*\[tool\.poetry\]`)
	pytest      = regexp.MustCompile(`(?m)\bpytest\b`)
	pyName      = regexp.MustCompile(`(?m)^\s*name\s*=\s*["']([A-Za-z0-9._-]+)["']`)
)

// python proposes for a pyproject.toml.
func (t *Tree) python() (*part, error) {
	b, err := t.Read("pyproject.toml")
	if err != nil {
		return nil, absentIsNil(err)
	}
	p := &part{Found: Found{File: "pyproject.toml"}, template: "python", suffix: "python"}
	code, tests := t.pythonDirs()
	d := pythonData{TestEnv: `{PYTHONDONTWRITEBYTECODE: "1"}`, Env: t.set("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")}
	dist := "dist"
	if t.has("package.json") {
		dist = "dist-python" // the other one may be what Node.js builds
	}
	run, wheel := t.pythonTool(dist)
	if venvs := t.there(".venv/bin/python", "venv/bin/python"); run == "" && len(venvs) > 0 {
		d.Venv, _, _ = strings.Cut(venvs[0], "/")
	}
	junk, err := t.junk("__pycache__", "*.egg-info")
	if err != nil {
		return nil, err
	}
	setup := files(t.there("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "uv.lock", "poetry.lock", "pdm.lock")...)
	d.Checks = t.pythonChecks(run, string(b), code, tests)
	d.TestDeps = slices.Concat(setup, files(t.there("pytest.ini", "tox.ini")...), files(code...), files(tests...), junk)
	if slices.Contains(code, "src/") {
		d.TestEnv += ", {PYTHONPATH: src}"
	}
	texts := files(t.there("README.md", "README.rst", "README.txt", "README", "LICENSE", "LICENSE.txt", "LICENSE.md")...)
	d.BuildDeps = slices.Concat(setup, texts, files(code...), junk)
	tracked, err := t.Tracked(dist)
	if err != nil {
		return nil, err
	}
	switch {
	case tracked || len(code) == 0:
	case buildSystem.Match(b):
		d.Cmds, p.makes = []string{"rm -rf " + dist, wheel}, []string{dist + "/"}
	default:
		name := "app"
		if m := pyName.FindSubmatch(b); m != nil {
			name = string(m[1])
		}
		zip := dist + "/" + name + ".zip"
		words := []string{"mkdir -p " + dist + " && python3 -m zipfile -c", zip}
		for _, c := range code {
			words = append(words, shell.Word(strings.TrimSuffix(c, "/")))
		}
		d.Cmds, p.makes = []string{strings.Join(words, " ")}, []string{zip}
	}
	p.test, p.outs = len(d.Checks) > 0, files(p.makes...)
	d.Outs = p.outs
	if len(d.Checks)+len(d.Cmds) == 0 {
		return &part{Found: Found{File: p.File, Why: "not used: there is no Python code beside it"}}, nil
	}
	p.data = func(s stages) any { d.names = s.names; return d }
	return p, nil
}

// pythonTool returns how commands are run in the project's environment, and what packs it into
// a directory.
func (t *Tree) pythonTool(dist string) (run, wheel string) {
	switch {
	case t.has("uv.lock"):
		return "uv run ", "uv build --out-dir " + dist
	case t.has("poetry.lock"):
		return "poetry run ", "poetry build --output " + dist
	case t.has("pdm.lock"):
		return "pdm run ", "pdm build --dest " + dist
	}
	return "", "python3 -m pip wheel --no-deps --wheel-dir " + dist + " ."
}

// notCode are directories whose Python files are not the program.
var notCode = []string{"docs", "doc", "examples", "scripts", "tools", "build", "dist", "benchmarks"}

// pythonDirs returns where the code and the tests are: src, other directories, or files at the
// root.
func (t *Tree) pythonDirs() (code, tests []string) {
	for _, f := range t.Files {
		dir, rest, below := strings.Cut(f, "/")
		switch {
		case !below && strings.HasPrefix(f, "test_") && path.Ext(f) == ".py", f == "conftest.py":
			tests = append(tests, f)
		case !below && path.Ext(f) == ".py" && f != "setup.py":
			code = append(code, f)
		case !below:
		case dir == "tests" || dir == "test":
			tests = append(tests, dir+"/")
		case slices.Contains(notCode, dir) || path.Ext(f) != ".py":
		case dir == "src" || !strings.Contains(rest, "/"):
			code = append(code, dir+"/")
		}
	}
	return slices.Compact(code), slices.Compact(tests)
}

// pythonChecks returns the commands of the check: pytest where the project speaks of it, or
// else unittest, or where there are no tests, the compiler.
func (t *Tree) pythonChecks(run, pyproject string, code, tests []string) []string {
	python := run + "python3 -m "
	if run != "" {
		python = run + "python -m "
	}
	speaksOfIt := func(name string) bool {
		b, err := t.Read(name)
		return err == nil && pytest.Match(b)
	}
	var words []string
	for _, c := range code {
		words = append(words, shell.Word(strings.TrimSuffix(c, "/")))
	}
	switch {
	case pytest.MatchString(pyproject), t.has("pytest.ini"), slices.Contains(tests, "conftest.py"),
		slices.ContainsFunc(t.Files, func(f string) bool { return strings.HasSuffix(f, ".py") && inTests(f, tests) && speaksOfIt(f) }):
		return []string{python + "pytest -p no:cacheprovider"}
	case slices.Contains(tests, "tests/"):
		return []string{python + "unittest discover -s tests -t " + top(t, "tests")}
	case slices.Contains(tests, "test/"):
		return []string{python + "unittest discover -s test -t " + top(t, "test")}
	case len(tests) > 0:
		return []string{python + "unittest"}
	case len(words) > 0:
		// Compiled files beside the sources would be packed with them.
		return []string{
			`export PYTHONPYCACHEPREFIX="$(mktemp -d)"`, python + "compileall -q " + strings.Join(words, " "), `rm -rf "$PYTHONPYCACHEPREFIX"`,
		}
	}
	return nil
}

// top is what unittest imports tests from: the root where they are a package.
func top(t *Tree, dir string) string {
	if t.has(dir + "/__init__.py") {
		return "."
	}
	return dir
}

// inTests reports whether a file is one of the tests, or below one.
func inTests(f string, tests []string) bool {
	return slices.ContainsFunc(tests, func(d string) bool { return f == d || strings.HasPrefix(f, d) && strings.HasSuffix(d, "/") })
}
