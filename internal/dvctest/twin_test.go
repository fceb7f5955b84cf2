//go:build unix

package dvctest

import (
	"cmp"
	"io/fs"
	"maps"
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
	in    string // the directory where repro is called
	args  string // of repro: the same words for both
	runs  string // the stages that run, as names or patterns, and "error" when it fails; stamp runs always and counts only if it is named
	pipe  string // those that pipe runs, when they are others on purpose: "none" when none do
	why   string // the purpose
	left  string // why pipe leaves other files than DVC, when it does
	again string // what the next repro of pipe runs, when it is not stamp
}

// none stands for no stage at all.
const none = "none"

func TestPipeRunsWhatDVCRuns(t *testing.T) {
	base := begun(t, "testdata/twin")
	base.works("add", "data/raw.csv", "data/images")
	base.works("repro")
	base.works("freeze", "docs")
	base.twins(slices.Concat(fileCases(), paramCases(), stageCases(), itemCases(), outCases(), targetCases()))
}

func TestPipeRunsWhatDVCRunsInManyDirectories(t *testing.T) {
	base := begun(t, "testdata/mono")
	base.works("add", "VERSION")
	base.works("repro", "-P")
	base.twins(monoCases())
}

// twins imports a project that DVC has made, and tries each case in two copies.
func (p project) twins(cases []twin) {
	p.t.Helper()
	p.sh("git add -A; git commit -qm 'As DVC left it'")
	known := p.ran()
	p.imports()
	for _, c := range cases {
		p.t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, p := p.copyOf(t, "dvc.yaml"), p.copyOf(t, "pipe.yaml")
			dvc, pipe := c.try(d, project.dvc), c.try(p, project.pipe)
			if want := stages(c.runs, known); !slices.Equal(dvc, want) {
				t.Errorf("dvc runs %s, not %s", dvc, want)
			}
			want := dvc
			if c.pipe != "" {
				want = stages(c.pipe, known)
			}
			if !slices.Equal(pipe, want) {
				t.Errorf("pipe runs %s, not %s", pipe, want)
			}
			if (c.why != "") != !slices.Equal(pipe, dvc) {
				t.Errorf("a case says why if and only if pipe differs: %q", c.why)
			}
			// After a failure, pipe puts the outputs back that DVC has deleted.
			if c.why == "" && !slices.Contains(dvc, "error") {
				c.compare(t, d.files(), p.files())
			}
			if c.args == "" || c.args == "-P" {
				c.once(p, slices.DeleteFunc(stages(cmp.Or(c.again, "stamp"), known), func(s string) bool { return !slices.Contains(known, s) }))
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
	args := append([]string{"--cd", cmp.Or(c.in, "."), "repro"}, strings.Fields(c.args)...)
	if p.file == "pipe.yaml" {
		args = inPipe(args)
	}
	out, code := tool(p, args...)
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

// inPipe returns what pipe calls the flags of DVC.
func inPipe(args []string) (same []string) {
	for _, a := range args {
		switch a {
		case "--glob": // a target with a star is a pattern
		case "-P": // the stages of all directories are one project
		case "--dry":
			same = append(same, "--dry-run")
		case "--cd":
			same = append(same, "-C")
		default:
			same = append(same, strings.Replace(a, "dvc.yaml:", "", 1))
		}
	}
	return same
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

// compare compares the files that the two tools have left.
func (c twin) compare(t *testing.T, dvc, pipe map[string]string) {
	t.Helper()
	same := maps.Equal(dvc, pipe)
	if same && c.left != "" {
		t.Errorf("pipe leaves the same files as DVC: not %q", c.left)
	}
	if same || c.left != "" {
		return
	}
	for name, text := range pipe {
		if was, ok := dvc[name]; !ok || was != text {
			t.Errorf("%s has %q, with DVC %q", name, text, was)
		}
	}
	for name := range dvc {
		if _, ok := pipe[name]; !ok {
			t.Errorf("%s is only there with DVC", name)
		}
	}
}

// once runs pipe again: what has run does not run once more.
func (c twin) once(p project, again []string) {
	p.t.Helper()
	out, code := p.pipe("repro")
	if ran := p.ran(); code != 0 || !slices.Equal(ran, again) {
		p.t.Errorf("exit code %d, and pipe repro runs %s once more, not %s: %s", code, ran, again, out)
	}
}

// files returns what the user sees of a project: each file's bytes or a symlink's target, but not what a tool writes for itself.
func (p project) files() map[string]string {
	p.t.Helper()
	own := []string{".dvc", ".pipe", ".git", ".gitignore", ".gitattributes", "dvc.yaml", "dvc.lock", ".dvcignore", ".pipeignore", "pipe.yaml", "pipe.lock"}
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
