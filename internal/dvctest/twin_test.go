//go:build unix

package dvctest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// twin is a change that is done to two copies of one project, in which nothing was left to do. Then DVC runs in one
// and pipe in the other, and the same stages must run.
type twin struct {
	name  string
	first change // done beforehand, and built
	do    change
	args  string // of repro: the same words for both
	runs  string // the stages that run, as names or patterns, and "error" when it fails; stamp runs always and counts only if it is named
	pipe  string // those that pipe runs, when they are others on purpose: "none" when none do
	why   string // the purpose
}

// none stands for no stage at all.
const none = "none"

// begin is the project in which nothing is left to do, for both tools.
func begin(t *testing.T) project {
	t.Helper()
	p := project{t: t, at: filepath.Join(t.TempDir(), "project"), file: "dvc.yaml"}
	if err := os.CopyFS(p.at, os.DirFS("testdata/twin")); err != nil {
		t.Fatal(err)
	}
	p.sh("git init -q -b main")
	for _, args := range []string{"init", "add data/raw.csv data/images", "repro", "freeze docs"} {
		if out, code := p.dvc(strings.Fields(args)...); code != 0 {
			t.Fatalf("dvc %s: exit code %d: %s", args, code, out)
		}
	}
	return p
}

func TestPipeRunsWhatDVCRuns(t *testing.T) {
	base := begin(t)
	all := base.ran()
	for _, c := range slices.Concat(fileCases(), paramCases(), stageCases(), itemCases(), outCases(), targetCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dvc := c.try(base.copyOf(t, "dvc.yaml"), project.dvc)
			if want := stages(c.runs, all); !slices.Equal(dvc, want) {
				t.Errorf("dvc runs %s, not %s", dvc, want)
			}
		})
	}
}

// try does the change, and returns what repro runs after that.
func (c twin) try(p project, tool func(p project, args ...string) (string, int)) []string {
	p.t.Helper()
	if c.first != nil {
		c.first(p)
		if out, code := tool(p, "repro"); code != 0 {
			p.t.Fatalf("%s: before the change: exit code %d: %s", p.file, code, out)
		}
		p.ran()
	}
	c.do(p)
	out, code := tool(p, append([]string{"repro"}, strings.Fields(c.args)...)...)
	p.t.Logf("%s: exit code %d: %s", p.file, code, out)
	ran := p.ran()
	if code != 0 {
		ran = append(ran, "error")
	}
	if !strings.Contains(c.runs, "stamp") {
		ran = slices.DeleteFunc(ran, func(s string) bool { return s == "stamp" })
	}
	return ran
}

// stages returns the names that the words of a case stand for, in order.
func stages(words string, known []string) (names []string) {
	for _, w := range strings.Fields(words) {
		n := len(names)
		for _, s := range known {
			if ok, _ := path.Match(w, s); ok {
				names = append(names, s)
			}
		}
		if len(names) == n && w != none {
			names = append(names, w)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		if (a == "error") != (b == "error") {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(names)
}

// files returns what the user sees of a project: each file's bytes or a symlink's target, but not what a tool writes for itself.
func (p project) files() map[string]string {
	p.t.Helper()
	own := []string{".dvc", ".pipe", ".git", ".gitignore", ".gitattributes", "dvc.yaml", "dvc.lock", "pipe.yaml", "pipe.lock"}
	found := map[string]string{}
	err := filepath.WalkDir(p.at, func(name string, d fs.DirEntry, err error) error {
		if err != nil || slices.Contains(own, d.Name()) || strings.HasSuffix(name, ".dvc") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		rel, _ := filepath.Rel(p.at, name)
		switch d.Type() {
		case 0:
			b, err := os.ReadFile(name)
			found[rel] = string(b)
			return err
		case fs.ModeSymlink:
			found[rel], err = os.Readlink(name)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}
