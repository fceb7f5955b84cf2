package starter

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// packageJSON is what matters of a package.json.
type packageJSON struct {
	Name            string            `json:"name"`
	Version         string            `json:"version"`
	PackageManager  string            `json:"packageManager"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]any    `json:"dependencies"`
	DevDependencies map[string]any    `json:"devDependencies"`
	Optional        map[string]any    `json:"optionalDependencies"`
	Workspaces      any               `json:"workspaces"`
	Main            string            `json:"main"`
	Module          string            `json:"module"`
	Types           string            `json:"types"`
	Bin             any               `json:"bin"`
	Files           []string          `json:"files"`
}

// node proposes for a package.json.
func (t *Tree) node() (*part, error) {
	b, err := t.Read("package.json")
	if err != nil {
		return nil, absentIsNil(err)
	}
	p := &part{Found: Found{File: "package.json"}, suffix: "node"}
	var pkg packageJSON
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &pkg); err != nil {
		p.Why = "not used: it cannot be read (" + err.Error() + ")"
		return p, nil
	}
	m := t.manager(&pkg)
	install, run := "", m.name+" run "
	if len(pkg.Dependencies)+len(pkg.DevDependencies)+len(pkg.Optional) > 0 || pkg.Workspaces != nil {
		install = m.install
	}
	var checks []string
	for _, s := range []string{"lint", "typecheck", "type-check", "test"} {
		// npm init writes a test that only fails.
		if text := pkg.Scripts[s]; text != "" && !strings.Contains(text, "no test specified") {
			checks = append(checks, run+s)
		}
	}
	junk, err := t.junk("node_modules", "coverage")
	if err != nil {
		return nil, err
	}
	if len(checks) > 0 {
		p.check = func(at place) string {
			return stage(checkNote, at.name,
				"check: true",
				script(append([]string{install}, checks...)...),
				`env: [{CI: "true"}]      # tests run once, instead of watching`,
				"deps:"+list(slices.Concat([]string{item("**"), not("*.md"), not(".git*")}, junk, at.made)),
				"mutex: node_modules      # one stage at a time installs packages")
		}
	}
	if err := t.nodeBuild(&pkg, p, install, run, junk); err != nil {
		return nil, err
	}
	if p.check == nil && p.build == nil {
		p.Why = "not used: it has no script named build or test, and no name and version to pack"
	}
	return p, nil
}

// nodeBuild says what is built: what the script build writes, or else a package.
func (t *Tree) nodeBuild(pkg *packageJSON, p *part, install, run string, junk []string) error {
	deps := slices.Concat([]string{item("**"), not("*.md"), not(".git*")}, junk)
	cmds, dir, known := []string{run + "build"}, "", true
	if pkg.Scripts["build"] != "" {
		dir, known = t.nodeOutput(pkg)
	} else {
		var err error
		dir, err = t.free("dist", "pack")
		// Without a list of files, .npmignore alone decides, and does not know .pipe.
		if err != nil || pkg.Name == "" || pkg.Version == "" || len(pkg.Files) == 0 && t.has(".npmignore") {
			return err
		}
		cmds = []string{"rm -rf " + dir + " && mkdir " + dir, "npm pack --pack-destination " + dir}
		deps = slices.Concat([]string{item("**"), not(".git*")}, junk) // a README is packed, too
		if pkg.Scripts["prepare"] == "" && pkg.Scripts["prepack"] == "" {
			install = "" // nothing runs, so nothing is needed
		}
	}
	tracked, err := t.Tracked(dir)
	if err != nil {
		return err
	}
	p.makes, p.outs = []string{dir + "/"}, []string{item(dir + "/")}
	out := p.outs[0]
	if tracked { // git keeps the bytes, so pipe need not
		out = "{path: " + out + ", cache: false}"
	}
	outs := "outs:" + list([]string{out})
	if !known {
		outs += "            # correct this if the build writes elsewhere"
	}
	env := t.env("NODE_OPTIONS", "NPM_CONFIG_REGISTRY")
	p.build = func(at place) string {
		return stage(buildNote, at.name,
			script(append([]string{install}, cmds...)...),
			env,
			"deps:"+list(slices.Concat(deps, at.made)),
			outs,
			"mutex: node_modules")
	}
	return nil
}

// manager is a package manager.
type manager struct{ name, install string }

// manager says which package manager the project uses: the one that package.json names, or
// else the one whose lockfile is there.
func (t *Tree) manager(pkg *packageJSON) manager {
	name, version, _ := strings.Cut(pkg.PackageManager, "@")
	for _, l := range [][2]string{
		{"pnpm", "pnpm-lock.yaml"}, {"yarn", "yarn.lock"}, {"bun", "bun.lock"}, {"bun", "bun.lockb"},
	} {
		if name == "" && t.has(l[1]) && !t.has("package-lock.json") {
			name = l[0]
		}
	}
	switch name {
	case "pnpm":
		return manager{name, "pnpm install --frozen-lockfile"}
	case "bun":
		return manager{name, "bun install --frozen-lockfile"}
	case "yarn":
		if t.has(".yarnrc.yml") || version != "" && !strings.HasPrefix(version, "1.") {
			return manager{name, "yarn install --immutable"}
		}
		return manager{name, "yarn install --frozen-lockfile"}
	}
	for _, lock := range t.there("package-lock.json", "npm-shrinkwrap.json") {
		// npm ci deletes node_modules, also when it is as it should be.
		return manager{"npm", "[ node_modules/.package-lock.json -nt " + lock + " ] || npm ci"}
	}
	return manager{"npm", "[ -d node_modules ] || npm install --no-package-lock"}
}

// outDir matches the directory that tsc writes to. A tsconfig.json has comments, so it cannot
// be read as JSON.
var outDir = regexp.MustCompile(`(?m)^[^/\n]*"outDir"\s*:\s*"([^"]+)"`)

// nodeOutput says what the script build creates, and whether that is more than a guess.
func (t *Tree) nodeOutput(pkg *packageJSON) (dir string, known bool) {
	for _, f := range [][2]string{
		{"next", ".next"},
		{"nuxt", ".output"},
		{"react-scripts", "build"},
		{"@sveltejs/kit", "build"},
		{"@docusaurus/core", "build"},
		{"gatsby", "public"},
		{"vite", "dist"},
		{"astro", "dist"},
		{"@angular/core", "dist"},
		{"parcel", "dist"},
		{"webpack", "dist"},
	} {
		if pkg.Dependencies[f[0]] != nil || pkg.DevDependencies[f[0]] != nil {
			return f[1], true
		}
	}
	entries := []string{pkg.Main, pkg.Module, pkg.Types}
	switch bin := pkg.Bin.(type) {
	case string:
		entries = append(entries, bin)
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(bin)) {
			s, _ := bin[name].(string)
			entries = append(entries, s)
		}
	}
	for _, e := range append(entries, pkg.Files...) {
		first, _, below := strings.Cut(strings.TrimSuffix(path.Clean(e), "/**"), "/")
		if slices.Contains([]string{"dist", "lib", "build", "out", "esm", "cjs"}, first) && (below || !strings.Contains(first, ".")) {
			return first, true
		}
	}
	if b, err := t.Read("tsconfig.json"); err == nil {
		if m := outDir.FindSubmatch(b); m != nil {
			if dir := path.Clean(string(m[1])); dir != "." && !strings.HasPrefix(dir, "..") && !path.IsAbs(dir) && !strings.ContainsAny(dir, "$*?[{") {
				return dir, true
			}
		}
	}
	return "dist", false
}
