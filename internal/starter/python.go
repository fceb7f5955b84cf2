package starter

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/shell"
)

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
	p := &part{Found: Found{File: "pyproject.toml"}, suffix: "python"}
	code, tests := t.pythonDirs()
	dist := "dist"
	if t.has("package.json") {
		dist = "dist-python" // the other one may be what Node.js builds
	}
	run, wheel := t.pythonTool(dist)
	venv := ""
	if found := t.there(".venv/bin/python", "venv/bin/python"); run == "" && len(found) > 0 {
		venv = `PATH="$PWD/` + path.Dir(found[0]) + `:$PATH"`
	}
	junk, err := t.junk("__pycache__", "*.egg-info")
	if err != nil {
		return nil, err
	}
	setup := files(t.there("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "uv.lock", "poetry.lock", "pdm.lock")...)
	if checks := t.pythonChecks(run, string(b), code, tests); len(checks) > 0 {
		env := []string{`{PYTHONDONTWRITEBYTECODE: "1"}`}
		if slices.Contains(code, "src/") {
			env = append(env, "{PYTHONPATH: src}")
		}
		deps := slices.Concat(setup, files(t.there("pytest.ini", "tox.ini")...), files(code...), files(tests...), junk)
		p.check = func(at place) string {
			return stage(checkNote, at.name,
				"check: true",
				script(append([]string{venv}, checks...)...),
				"env: "+flow(env),
				"deps:"+list(deps))
		}
	}
	cmds, err := t.pythonBuild(p, code, dist, wheel, string(b))
	if err != nil {
		return nil, err
	}
	texts := files(t.there("README.md", "README.rst", "README.txt", "README", "LICENSE", "LICENSE.txt", "LICENSE.md")...)
	if deps := slices.Concat(setup, texts, files(code...), junk); len(cmds) > 0 {
		env := t.env("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
		p.build = func(at place) string {
			return stage(buildNote, at.name,
				script(append([]string{venv}, cmds...)...),
				env,
				"deps:"+list(deps),
				"outs:"+list(p.outs))
		}
	}
	if p.check == nil && p.build == nil {
		p.Why = "not used: there is no Python code beside it"
	}
	return p, nil
}

// pythonBuild says what is built, and how: a wheel where the project says how, or else an
// archive of the code.
func (t *Tree) pythonBuild(p *part, code []string, dist, wheel, pyproject string) (cmds []string, err error) {
	tracked, err := t.Tracked(dist)
	switch {
	case err != nil || tracked || len(code) == 0:
		return nil, err
	case buildSystem.MatchString(pyproject):
		cmds, p.makes = []string{"rm -rf " + dist, wheel}, []string{dist + "/"}
	default:
		name := "app"
		if m := pyName.FindStringSubmatch(pyproject); m != nil {
			name = m[1]
		}
		zip := dist + "/" + name + ".zip"
		words := []string{"mkdir -p " + dist + " && python3 -m zipfile -c", zip}
		for _, c := range code {
			words = append(words, shell.Word(strings.TrimSuffix(c, "/")))
		}
		cmds, p.makes = []string{strings.Join(words, " ")}, []string{zip}
	}
	p.outs = files(p.makes...)
	return cmds, nil
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
