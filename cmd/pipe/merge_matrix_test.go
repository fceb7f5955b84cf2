//go:build !windows

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// tree is what a branch has: of each stage the content of its source, "" for a stage that is not there.
type tree map[string]string

// with is a tree with changes.
func (t tree) with(changes tree) tree {
	out := maps.Clone(t)
	maps.Copy(out, changes)
	return out
}

// mergeCase is what two people do to one lock. Where both changed a stage, the merged tree takes it of one.
type mergeCase struct {
	name               string
	base, ours, theirs tree
}

var six = tree{"m0": "1", "m1": "1", "m2": "1", "m3": "1", "m4": "1", "m5": "1"}

var mergeCases = []mergeCase{
	{"neighbours", six, tree{"m2": "2"}, tree{"m3": "2"}},
	{"far apart", six, tree{"m0": "2"}, tree{"m5": "2"}},
	{"both add at the end", six, tree{"z1": "1"}, tree{"z2": "1"}},
	{"both add in one place", six, tree{"m2a": "1"}, tree{"m2b": "1"}},
	{"both add several", six, tree{"m2a": "1", "z1": "1"}, tree{"a": "1", "m2b": "1", "z2": "1", "z3": "1"}},
	{"both add the same", six, tree{"n": "1"}, tree{"n": "1"}},
	{"both add one stage", six, tree{"n": "1"}, tree{"n": "2"}},
	{"changed and deleted", six, tree{"m2": "2"}, tree{"m2": ""}},
	{"deleted and changed beside it", six, tree{"m2": ""}, tree{"m3": "2", "m1": "2"}},
	{"neighbours deleted", six, tree{"m2": ""}, tree{"m3": ""}},
	{"both delete one", six, tree{"m2": ""}, tree{"m2": ""}},
	{"both change it to the same", six, tree{"m2": "2"}, tree{"m2": "2"}},
	{"both change it", six, tree{"m2": "2"}, tree{"m2": "3"}},
	{"both change all", six, tree{"m0": "2", "m1": "2", "m2": "2", "m3": "2"}, tree{"m0": "3", "m1": "3", "m2": "3", "m3": "3", "m4": "3"}},
	{"the first stages", tree{}, tree{"a": "1", "b": "1"}, tree{"b": "2", "c": "1"}},
	// Each is made from the one before it.
	{"both change a chain", tree{"c0": "1", "c1": "1", "c2": "1", "c3": "1"}, tree{"c0": "2", "c1": "2", "c2": "2", "c3": "2"}, tree{"c0": "3", "c1": "3", "c2": "3", "c3": "3"}},
}

// mergeWay is how git joins the branches; its last command may stop with conflicts.
type mergeWay struct {
	name  string
	union bool // .gitattributes says so
	do    func(g *gitPlace)
}

var mergeWays = []mergeWay{
	{"merge by union", true, func(g *gitPlace) { g.may("merge", "-q", "--no-edit", "theirs") }},
	{"merge", false, func(g *gitPlace) { g.may("merge", "-q", "--no-edit", "theirs") }},
	{"merge diff3", false, func(g *gitPlace) { g.may("-c", "merge.conflictStyle=diff3", "merge", "-q", "--no-edit", "theirs") }},
	{"rebase by union", true, func(g *gitPlace) { g.git("checkout", "-q", "theirs"); g.may("rebase", "-q", "ours") }},
	{"rebase", false, func(g *gitPlace) { g.git("checkout", "-q", "theirs"); g.may("rebase", "-q", "ours") }},
	{"cherry-pick by union", true, func(g *gitPlace) { g.may("cherry-pick", "theirs") }},
	{"cherry-pick", false, func(g *gitPlace) { g.may("cherry-pick", "theirs") }},
	{"stash pop", false, func(g *gitPlace) {
		g.git("checkout", "-q", "theirs")
		g.git("reset", "-q", "--soft", "base")
		g.git("stash", "-q")
		g.git("checkout", "-q", "ours")
		g.may("stash", "pop", "-q")
	}},
}

// gitPlace is a place in a git repository.
type gitPlace struct{ *place }

func (g *gitPlace) run(args ...string) (string, error) {
	c := exec.CommandContext(g.t.Context(), "git", args...)
	c.Dir, c.Env = g.dir, append(os.Environ(), g.env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

func (g *gitPlace) git(args ...string) string {
	g.t.Helper()
	out, err := g.run(args...)
	if err != nil {
		g.t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

// may is git for what may end with conflicts.
func (g *gitPlace) may(args ...string) { _, _ = g.run(args...) }

// put writes the sources and pipe.yaml of a tree.
func (g *gitPlace) put(t tree) {
	g.t.Helper()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "remote: %q\nstages:\n", g.path("..", "remote"))
	names := slices.Sorted(maps.Keys(t))
	if len(names) == 0 {
		yaml.WriteString("  {}\n")
	}
	for _, name := range names {
		if t[name] == "" {
			must(g.t, os.RemoveAll(g.path(name+".src")))
			continue
		}
		g.write(name+".src", t[name])
		deps := name + ".src"
		if before := fmt.Sprintf("c%c", name[len(name)-1]-1); name[0] == 'c' && t[before] != "" {
			deps += ", " + before + ".out"
		}
		fmt.Fprintf(&yaml, "  %s: {cmd: 'cat %s.src > %s.out; echo %s >> %s', deps: [%s], outs: [%s.out]}\n", name, name, name, name, g.path("..", "builds"), deps, name)
	}
	g.write("pipe.yaml", yaml.String())
}

// newMerge makes a repository with the branches base, ours and theirs, each of which is built and pushed.
func newMerge(t *testing.T, c mergeCase, union bool) *gitPlace {
	home := newPlace(t,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.invalid",
		"GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.invalid", "GIT_EDITOR=true")
	g := home.clone("origin")
	must(t, os.Mkdir(g.dir, 0o777))
	home.write("builds", "")
	g.git("init", "-q", "-b", "base")
	g.write(".gitignore", "/.pipe/\n*.out\n")
	if union {
		g.write(".gitattributes", "pipe.lock merge=union text eol=lf linguist-generated diff=pipe\n")
	}
	for _, b := range []struct {
		name string
		tree tree
	}{{"base", c.base}, {"ours", c.base.with(c.ours)}, {"theirs", c.base.with(c.theirs)}} {
		if b.name != "base" {
			g.git("checkout", "-q", "-b", b.name, "base")
		}
		g.put(b.tree)
		g.pipe("repro", "--push")
		g.git("add", "-A")
		g.git("commit", "-q", "-m", b.name)
	}
	return g
}

// clone is a place beside others of the same test.
func (p *place) clone(name string) *gitPlace {
	return &gitPlace{&place{p.t, p.path(name), p.env}}
}

// builds returns how often a stage ran.
func (g *gitPlace) builds() int { return strings.Count(g.read("..", "builds"), "\n") }

// joined is a fresh clone of g in which the branches were joined, and the sources resolved.
func (g *gitPlace) joined(t *testing.T, name string, way mergeWay, merged tree) *gitPlace {
	t.Helper()
	home := &place{t, g.path(".."), g.env}
	home.t = t
	w := home.clone(name)
	c := exec.CommandContext(t.Context(), "git", "clone", "-q", "--no-hardlinks", "-b", "ours", g.dir, w.dir)
	c.Env = append(os.Environ(), g.env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.git("fetch", "-q", "origin", "base:base", "theirs:theirs")
	way.do(w)
	w.put(merged)
	return w
}

// TestNoMergeOfGitsCostsABuild is the merge matrix: whatever both sides did to pipe.lock, and however git
// joined them, pipe repro finds everything built, with pipe lock resolve or without it.
func TestNoMergeOfGitsCostsABuild(t *testing.T) {
	for _, c := range mergeCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, union := range []bool{true, false} {
				g := newMerge(t, c, union)
				built := g.builds()
				for i, way := range mergeWays {
					if way.union != union {
						continue
					}
					for side, last := range [][2]tree{{c.theirs, c.ours}, {c.ours, c.theirs}} {
						merged := c.base.with(last[0]).with(last[1])
						if side == 1 && maps.Equal(merged, c.base.with(c.theirs).with(c.ours)) {
							continue // they changed no stage in two ways
						}
						about := fmt.Sprintf("%s, then %s", way.name, []string{"ours", "theirs"}[side])
						w := g.joined(t, fmt.Sprintf("%d-%d", i, side), way, merged)
						w.settles(about, merged)
						w.pipe("repro")
						if n := g.builds(); n != built {
							t.Fatalf("%s: %d builds after pipe lock resolve\n%s", about, n-built, w.read("pipe.lock"))
						}
						w.pipe("lock", "check")
						w = g.joined(t, fmt.Sprintf("%d-%d-alone", i, side), way, merged)
						w.pipe("repro")
						if n := g.builds(); n != built {
							t.Fatalf("%s: %d builds", about, n-built)
						}
						w.pipe("lock", "check")
					}
				}
			}
		})
	}
}

// settles runs pipe lock resolve, and checks what it leaves.
func (g *gitPlace) settles(about string, merged tree) {
	g.t.Helper()
	before := g.read("pipe.lock")
	said := g.pipe("lock", "resolve")
	c := g.start("lock", "check")
	if code := g.end(c); code != 0 {
		g.t.Fatalf("%s: pipe lock check says %d\n%s\n%s\nbefore\n%s\nafter\n%s", about, code, &c.out, said, before, g.read("pipe.lock"))
	}
	if left := g.git("ls-files", "-u", "--", "pipe.lock"); left != "" {
		g.t.Fatalf("%s: still unmerged: %s", about, left)
	}
	for name, content := range merged {
		if has := strings.Contains(g.read("pipe.lock"), "  # begin "+name+"\n"); has != (content != "") {
			g.t.Fatalf("%s: %s is in pipe.lock: %v\n%s", about, name, has, said)
		}
	}
	if again := g.pipe("lock", "resolve"); !strings.HasPrefix(again, "nothing to resolve") {
		g.t.Fatalf("%s: the second time pipe lock resolve says %s", about, again)
	}
}
