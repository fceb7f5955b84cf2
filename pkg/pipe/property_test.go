package pipe_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// checks bounds how many graphs are tried to n, or PIPE_SOAK times as many, unless
// the command line says how many.
func checks(t *testing.T, n int) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if given {
		return
	}
	if k, err := strconv.Atoi(os.Getenv("PIPE_SOAK")); err == nil {
		n *= k
	}
	old := flag.Lookup("rapid.checks").Value.String()
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", old) })
}

// graph is a random project: its pipe.yaml, its sources, and what every stage's
// outs must hold, which a model of the commands says.
type graph struct {
	yaml    string
	sources map[string]string
	stages  []node
}

type node struct {
	name string
	deps []string
	outs []string // an out that ends in / is a directory with the files a and b
}

// A stage's command writes the same to all its outs: its name, then every file
// of every dep, by its name and in the order of names.
const script = `{ echo NAME; for d in DEPS; do find $d -type f | LC_ALL=C sort | while read f; do echo "$f:"; cat $f; done; done; } > TMP
`

// someGraph draws a project of 1 to 12 stages. Sources lie in src/ and src/sub/.
// Outs lie in gen/, a directory that a dep may name as a whole once its stages
// are all drawn, and outside.
func someGraph(t *rapid.T) *graph {
	g := &graph{sources: map[string]string{}}
	for i := range rapid.IntRange(1, 5).Draw(t, "sources") {
		dir := rapid.SampledFrom([]string{"src", "src/sub"}).Draw(t, "in")
		g.sources[fmt.Sprintf("%s/%d", dir, i)] = word(t)
	}
	g.sources["src/always"] = "x"
	choice := []string{"src"}
	for name := range g.sources {
		choice = append(choice, name)
	}
	slices.Sort(choice)
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range rapid.IntRange(1, 12).Draw(t, "stages") {
		n := node{name: fmt.Sprintf("s%d", i)}
		n.deps = rapid.SliceOfNDistinct(rapid.SampledFrom(choice), 1, min(4, len(choice)), rapid.ID[string]).Draw(t, "deps")
		slices.Sort(n.deps)
		// The group is a directory that holds the outs of a few stages, and
		// which a later stage depends on.
		group := fmt.Sprintf("gen/g%d", i/3)
		for k := range rapid.IntRange(1, 2).Draw(t, "outs") {
			out := fmt.Sprintf("%s/s%d.%d", rapid.SampledFrom([]string{group, "top"}).Draw(t, "below"), i, k)
			if rapid.Bool().Draw(t, "dir") {
				choice = append(choice, out+"/a", out+"/sub")
				out += "/"
			}
			n.outs = append(n.outs, out)
			choice = append(choice, strings.TrimSuffix(out, "/"))
		}
		g.stages = append(g.stages, n)
		if i%3 == 2 && g.uses(group) {
			choice = append(choice, group)
		}
		n.write(&b)
	}
	g.yaml = b.String()
	return g
}

// uses reports whether a stage has an out in the directory.
func (g *graph) uses(dir string) bool {
	for _, n := range g.stages {
		for _, o := range n.outs {
			if strings.HasPrefix(o, dir+"/") {
				return true
			}
		}
	}
	return false
}

func (n *node) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %s:\n    deps: [%s]\n    outs: [%s]\n    cmd: |\n", n.name, strings.Join(n.deps, ", "), strings.Join(n.outs, ", "))
	for _, o := range n.outs {
		to := o
		if strings.HasSuffix(o, "/") {
			fmt.Fprintf(b, "      mkdir -p %ssub\n", o)
			to = o + "a"
		}
		b.WriteString("      " + strings.NewReplacer("NAME", n.name, "DEPS", strings.Join(n.deps, " "), "TMP", to).Replace(script))
		if strings.HasSuffix(o, "/") {
			fmt.Fprintf(b, "      wc -c < %s > %ssub/b\n", to, o)
		}
	}
}

func word(t *rapid.T) string { return rapid.StringMatching(`[a-z]{0,6}`).Draw(t, "text") }

// outFiles returns all files below the outs, by name.
func (g *graph) outFiles(t *rapid.T, dir string) map[string]string {
	files := map[string]string{}
	for _, top := range []string{"gen", "top"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			files[strings.TrimPrefix(path, dir)] = string(b)
			return err
		})
		must(t, err)
	}
	return files
}

// expected says what the files of all outs must be: the commands, run by hand.
func (g *graph) expected() map[string]string {
	all := map[string]string{}
	for name, text := range g.sources {
		all["/"+name] = text
	}
	for _, n := range g.stages {
		var b strings.Builder
		fmt.Fprintln(&b, n.name)
		for _, d := range n.deps {
			var names []string
			for f := range all {
				if f == "/"+d || strings.HasPrefix(f, "/"+d+"/") {
					names = append(names, strings.TrimPrefix(f, "/"))
				}
			}
			slices.Sort(names)
			for _, f := range names {
				b.WriteString(f + ":\n" + all["/"+f])
			}
		}
		for _, o := range n.outs {
			if strings.HasSuffix(o, "/") {
				all["/"+o+"a"] = b.String()
				all["/"+o+"sub/b"] = fmt.Sprintln(b.Len())
			} else {
				all["/"+o] = b.String()
			}
		}
	}
	for name := range g.sources {
		delete(all, "/"+name)
	}
	return all
}

// lay writes pipe.yaml and the sources.
func (g *graph) lay(t *rapid.T, dir string) {
	must(t, os.MkdirAll(dir, 0o777))
	must(t, os.WriteFile(filepath.Join(dir, "pipe.yaml"), []byte(g.yaml), 0o666))
	for name, text := range g.sources {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o777))
		must(t, os.WriteFile(path, []byte(text), 0o666))
	}
}

// edit changes some of the sources.
func (g *graph) edit(t *rapid.T) {
	var names []string
	for name := range g.sources {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID[string]).Draw(t, "edits") {
		g.sources[name] = word(t)
	}
}

func must(t interface {
	Helper()
	Fatal(args ...any)
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// with opens the project in dir, with the remote beside it.
func with(t *rapid.T, dir, remote string, f func(ctx context.Context, p *pipe.Project)) {
	p, err := pipe.Open(t.Context(), pipe.Options{Dir: dir, Remote: remote})
	must(t, err)
	f(t.Context(), p)
	must(t, p.Close())
}

func repro(t *rapid.T, dir, remote string, jobs int) (r *pipe.Result) {
	with(t, dir, remote, func(ctx context.Context, p *pipe.Project) {
		var err error
		r, err = p.Repro(ctx, pipe.ReproOptions{Jobs: jobs})
		must(t, err)
	})
	return r
}

func lockOf(t *rapid.T, dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "pipe.lock"))
	must(t, err)
	return string(b)
}

func same(t *rapid.T, what string, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if g, ok := got[name]; !ok || g != text {
			t.Fatalf("%s: %s is %q (there: %v), not %q", what, name, g, ok, text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Fatalf("%s: %s is there, and no stage makes it", what, name)
		}
	}
}

// TestAnyGraph: whatever the stages and whatever changes, a second run does
// nothing, an incremental run is as good as a clean one, the number of jobs does
// not show, what was built before is not built again, and what was pushed comes
// back.
func TestAnyGraph(t *testing.T) {
	checks(t, 15)
	top := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		base, err := os.MkdirTemp(top, "graph-*")
		must(t, err)
		defer func() { _ = os.RemoveAll(base) }()
		w := &workspace{g: someGraph(t), dir: filepath.Join(base, "a"), remote: filepath.Join(base, "remote")}
		w.g.lay(t, w.dir)
		w.builds(t)
		first, lock, before := w.g.expected(), lockOf(t, w.dir), maps.Clone(w.g.sources)

		w.g.edit(t)
		w.g.lay(t, w.dir)
		w.buildsAsCleanly(t, base)
		changed := !maps.Equal(first, w.g.expected())

		w.g.sources = before
		w.g.lay(t, w.dir)
		r := repro(t, w.dir, w.remote, 8)
		if r.Counts.Ran != 0 || (r.Counts.Restored > 0) != changed {
			t.Fatalf("changed back: %+v", r.Counts)
		}
		same(t, "changed back", w.g.outFiles(t, w.dir), first)
		if lockOf(t, w.dir) != lock {
			t.Fatal("changed back: pipe.lock is another one")
		}
		w.pullsWhatItPushed(t, first)
	})
}

// workspace is a place where a graph is built, and its remote.
type workspace struct {
	g           *graph
	dir, remote string
}

// builds checks a first run, and that a second one does nothing.
func (w *workspace) builds(t *rapid.T) {
	repro(t, w.dir, w.remote, 8)
	same(t, "first run", w.g.outFiles(t, w.dir), w.g.expected())
	if r := repro(t, w.dir, w.remote, 8); r.Counts.Ran != 0 || r.Counts.Restored != 0 {
		t.Fatalf("the second run: %+v", r.Counts)
	}
}

// buildsAsCleanly checks a run after a change against one, without jobs, where nothing was before.
func (w *workspace) buildsAsCleanly(t *rapid.T, base string) {
	clean := filepath.Join(base, "clean")
	w.g.lay(t, clean)
	repro(t, w.dir, w.remote, 8)
	repro(t, clean, filepath.Join(base, "none"), 1)
	same(t, "clean run", w.g.outFiles(t, clean), w.g.expected())
	same(t, "incremental run", w.g.outFiles(t, w.dir), w.g.expected())
	if la, lc := lockOf(t, w.dir), lockOf(t, clean); la != lc {
		t.Fatalf("pipe.lock of -j 8, incremental, differs from that of -j 1, clean: %s", differing(la, lc))
	}
}

// pullsWhatItPushed pushes, deletes outs, perhaps the cache too, and pulls.
func (w *workspace) pullsWhatItPushed(t *rapid.T, want map[string]string) {
	with(t, w.dir, w.remote, func(ctx context.Context, p *pipe.Project) {
		_, err := p.Push(ctx, pipe.SyncOptions{})
		must(t, err)
	})
	for _, n := range w.g.stages {
		for _, o := range n.outs {
			if rapid.Bool().Draw(t, "delete") {
				must(t, os.RemoveAll(filepath.Join(w.dir, o)))
			}
		}
	}
	if rapid.Bool().Draw(t, "delete cache") {
		must(t, os.RemoveAll(filepath.Join(w.dir, ".pipe", "cache")))
	}
	with(t, w.dir, w.remote, func(ctx context.Context, p *pipe.Project) {
		_, err := p.Pull(ctx, pipe.SyncOptions{})
		must(t, err)
	})
	same(t, "pulled", w.g.outFiles(t, w.dir), want)
	if r := repro(t, w.dir, w.remote, 8); r.Counts.Ran != 0 || r.Counts.Restored != 0 {
		t.Fatalf("after the pull: %+v", r.Counts)
	}
}

// differing returns the lines of a that are not in b, and the other way round.
func differing(a, b string) string {
	var out strings.Builder
	inA, inB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, l := range inA {
		if !slices.Contains(inB, l) {
			out.WriteString("\n- " + l)
		}
	}
	for _, l := range inB {
		if !slices.Contains(inA, l) {
			out.WriteString("\n+ " + l)
		}
	}
	return out.String()
}
