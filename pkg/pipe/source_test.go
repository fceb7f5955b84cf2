package pipe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// sourced is a project with a source, whose repository has the branches main and hotfix.
type sourced struct {
	*testing.T
	root string
	env  []string
}

func newSourced(t *testing.T) *sourced {
	t.Helper()
	tmp := t.TempDir()
	s := &sourced{t, filepath.Join(tmp, "project"), []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "TMPDIR=" + tmp,
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
	}}
	s.write("pipe.yaml", "sources: {src/api: {git: ../api.git, ref: main}}\nstages:\n  build: {cmd: cp src/api/a out, deps: [src/api/], outs: [out]}\n")
	s.write(".gitignore", "/src/api/\n/out\n.pipe/\n")
	s.write("../api.git/a", "main\n")
	s.git("../api.git", "init", "-q", "-b", "main")
	s.git("../api.git", "add", ".")
	s.git("../api.git", "commit", "-q", "-m", "one")
	s.git("../api.git", "checkout", "-q", "-b", "hotfix/now")
	s.write("../api.git/a", "hotfix\n")
	s.git("../api.git", "commit", "-q", "-a", "-m", "two")
	s.git(".", "init", "-q", "-b", "main")
	return s
}

func (s *sourced) write(name, text string) {
	s.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		s.Fatal(err)
	}
}

func (s *sourced) git(dir string, args ...string) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "git", args...)
	cmd.Dir, cmd.Env = filepath.Join(s.root, dir), s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

func (s *sourced) read(name string) string {
	s.Helper()
	b, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// in opens the project for f, and returns what was noted.
func (s *sourced) in(f func(p *pipe.Project) error) (notes string, err error) {
	s.Helper()
	p, err := pipe.Open(s.Context(), pipe.Options{Dir: s.root, Environ: s.env, Emit: func(e event.Event) {
		if e.Type == event.Note {
			notes += e.Text + "\n"
		}
	}})
	if err != nil {
		s.Fatal(err)
	}
	err = f(p)
	if cerr := p.Close(); cerr != nil {
		s.Error(cerr)
	}
	return notes, err
}

func (s *sourced) repro(refs map[string]string) (string, error) {
	s.Helper()
	return s.in(func(p *pipe.Project) error {
		_, err := p.Repro(s.Context(), pipe.ReproOptions{Sources: refs})
		return err
	})
}

func TestARefForOneRunIsBuiltAndNotLocked(t *testing.T) {
	s := newSourced(t)
	if _, err := s.repro(nil); err != nil {
		t.Fatal(err)
	}
	lock := s.read("pipe.lock")
	for _, name := range []string{"src/api", "api", "src/api/"} {
		if _, err := s.repro(map[string]string{name: "hotfix/now"}); err != nil {
			t.Fatal(err)
		}
		if got := s.read("src/api/a") + s.read("out"); got != "hotfix\nhotfix\n" || s.read("pipe.lock") != lock {
			t.Errorf("%s: %q, lock\n%s", name, got, s.read("pipe.lock"))
		}
		// The other ref's files are no edit of anybody: the locked ones come back.
		notes, err := s.repro(nil)
		if got := s.read("src/api/a") + s.read("out"); err != nil || got != "main\nmain\n" || s.read("pipe.lock") != lock {
			t.Errorf("after %s: %q, %v", name, got, err)
		}
		if !strings.Contains(notes, "source src/api: checked out ") {
			t.Errorf("notes %q", notes)
		}
	}
	for name, refs := range map[string]map[string]string{"unknown": {"apj": "main"}, "option": {"api": "--upload-pack=x"}, "two": {"api": "main", "src/api": "hotfix/now"}, "empty": {"api": ""}} {
		if _, err := s.repro(refs); !diag.Is(err, diag.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.repro(map[string]string{"api": "nosuch"}); !diag.Is(err, diag.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestAPlanOfAnotherRefChangesNothing(t *testing.T) {
	s := newSourced(t)
	for _, refs := range []map[string]string{nil, {"api": "hotfix/now"}} {
		_, err := s.in(func(p *pipe.Project) error {
			r, err := p.Plan(t.Context(), pipe.ReproOptions{Sources: refs})
			if err == nil && (len(r.Stages) != 1 || r.Stages[0].Verb != event.Wait || !r.Pending) {
				t.Errorf("%+v", r)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if refs == nil {
			if _, err := os.Lstat(filepath.Join(s.root, "src")); err == nil {
				t.Error("a plan has fetched the source")
			}
			if _, err := s.repro(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := s.read("src/api/a"); got != "main\n" {
		t.Errorf("%q", got)
	}
}

func TestAnUpdateSaysWhatItHasDoneBesideAnError(t *testing.T) {
	s := newSourced(t)
	s.write("pipe.yaml", strings.Replace(s.read("pipe.yaml"), "sources: {", "sources: {b: {git: ../none}, ", 1))
	s.write(".gitignore", "/src/api/\n/b/\n")
	_, err := s.in(func(p *pipe.Project) error {
		moves, err := p.Update(t.Context(), []string{"api", "b"})
		if len(moves) != 1 || moves[0].Path != "src/api" || !moves[0].Changed {
			t.Errorf("%+v", moves)
		}
		return err
	})
	if !diag.Is(err, diag.Network) || !strings.Contains(s.read("pipe.lock"), "begin source:src/api") {
		t.Errorf("%v", err)
	}
}
