//go:build unix

package dvctest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

// suite is what all tests share.
type suite struct {
	dir     string
	program string // the pipe that TestMain has built
	dvc     *Server
	s3      *s3server.Server
}

var shared = &suite{}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(shared.run(m))
}

func (s *suite) run(m *testing.M) int {
	if err := s.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(s.dir)
	defer s.dvc.Stop()
	defer s.s3.Stop()
	return m.Run()
}

func (s *suite) start() (err error) {
	if s.dir, err = os.MkdirTemp("", "pipe-dvc-*"); err != nil {
		return err
	}
	s.program = filepath.Join(s.dir, "pipe")
	if out, err := exec.Command("go", "build", "-o", s.program, "../../cmd/pipe").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	if s.s3, err = s3server.StartMain(context.Background(), s.dir, s3server.Options{}); err != nil {
		return err
	}
	s.dvc, err = Start(context.Background(), s.dir, s.quiet(s.dir)...)
	return err
}

// quiet is the environment of every command: nobody's settings count. The endpoint of the S3 server is in DVC's
// configuration, and no AWS file is where they are looked for.
func (s *suite) quiet(home string) []string {
	env := slices.DeleteFunc(s.s3.Env(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_ENDPOINT") || strings.HasSuffix(v, os.DevNull)
	})
	return append(
		env, "HOME="+home, "USER=test", "NO_COLOR=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.invalid", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.invalid",
	)
}

// project is a directory with a dvc.yaml, a pipe.yaml or both. Its commands write the names of their stages to a
// file beside it.
type project struct {
	t    *testing.T
	at   string
	file string // where its stages are: dvc.yaml or pipe.yaml
}

// copyOf copies a project with all that lies beside it. Times of files stay, as in a project that nobody has touched.
func (p project) copyOf(t *testing.T, file string) project {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", filepath.Dir(p.at), to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return project{t: t, at: filepath.Join(to, filepath.Base(p.at)), file: file}
}

// begun returns a new repository of DVC with the files of a directory.
func begun(t *testing.T, from string) project {
	t.Helper()
	p := project{t: t, at: filepath.Join(t.TempDir(), "project"), file: "dvc.yaml"}
	if err := os.CopyFS(p.at, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	p.sh("git init -q -b main")
	p.works("init", "-q")
	return p
}

// dvc runs DVC, and returns what it printed and its exit code.
func (p project) dvc(args ...string) (string, int) {
	p.t.Helper()
	r, err := shared.dvc.Run(p.t.Context(), p.at, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Output, r.Code
}

// pipe runs pipe, and returns what it printed and its exit code.
func (p project) pipe(args ...string) (string, int) {
	p.t.Helper()
	return p.exec(shared.program, args...)
}

// sh runs a shell script, which must succeed.
func (p project) sh(script string) {
	p.t.Helper()
	if out, code := p.exec("/bin/sh", "-euc", script); code != 0 {
		p.t.Fatalf("%s: exit code %d: %s", script, code, out)
	}
}

func (p project) exec(program string, args ...string) (string, int) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), program, args...)
	cmd.Dir = p.at
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, shared.quiet(filepath.Dir(p.at))...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// ran returns the stages whose commands have run since the last call, in the order of their names.
func (p project) ran() []string {
	p.t.Helper()
	trace := filepath.Join(filepath.Dir(p.at), "trace")
	b, err := os.ReadFile(trace)
	if err == nil {
		err = os.Remove(trace)
	}
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return slices.Sorted(strings.FieldsSeq(string(b)))
}
