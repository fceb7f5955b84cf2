package gitlog_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// sandbox is a repository that the git program made, cut off from the machine's configuration.
type sandbox struct {
	tb  testing.TB
	tmp string // for other clones and files
	dir string
	env []string
}

func newSandbox(tb testing.TB) *sandbox {
	tb.Helper()
	tmp := tb.TempDir()
	s := &sandbox{tb: tb, tmp: tmp, dir: filepath.Join(tmp, "repo"), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GIT_TEMPLATE_DIR=",
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C O Mitter", "GIT_COMMITTER_EMAIL=c@example.com",
	}}
	if err := os.Mkdir(s.dir, 0o777); err != nil {
		tb.Fatal(err)
	}
	s.git("init", "-q", "-b", "main")
	return s
}

// at is the same sandbox in another directory.
func (s *sandbox) at(dir string) *sandbox {
	t := *s
	t.dir = dir
	return &t
}

// with is the same sandbox with more variables.
func (s *sandbox) with(env ...string) *sandbox {
	t := *s
	t.env = append(append([]string{}, s.env...), env...)
	return &t
}

func (s *sandbox) run(in io.Reader, args ...string) string {
	s.tb.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.tb.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimRight(string(out), "\n")
}

func (s *sandbox) git(args ...string) string {
	s.tb.Helper()
	return s.run(nil, args...)
}

func (s *sandbox) write(name, text string) {
	s.tb.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		s.tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		s.tb.Fatal(err)
	}
}

// commit writes one file and commits it, the n-th minute of the repository's life.
func (s *sandbox) commit(n int, name, text string) string {
	s.tb.Helper()
	s.write(name, text)
	s.git("add", "-f", name)
	at := time.Unix(1_700_000_000+60*int64(n), 0).UTC().Format(time.RFC3339)
	s.with("GIT_AUTHOR_DATE="+at, "GIT_COMMITTER_DATE="+at).git("commit", "-q", "--allow-empty", "-m", "set "+name)
	return s.git("rev-parse", "HEAD")
}

func (s *sandbox) open(dir string) *gitlog.Repo {
	s.tb.Helper()
	r, err := gitlog.Open(dir, gitlog.Options{Env: s.env})
	if err != nil {
		s.tb.Fatal(err)
	}
	return r
}
