//go:build !windows

package gitlog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// TestMain is CommitFile or Publish in a process of its own, for a test that kills it.
func TestMain(m *testing.M) {
	dir := os.Getenv("COMMIT_IN")
	if dir == "" {
		os.Exit(m.Run())
	}
	r, err := gitlog.Open(dir, gitlog.Options{})
	switch {
	case err != nil:
	case os.Getenv("PUBLISH") != "":
		var done *gitlog.Published
		if done, err = r.Publish(context.Background(), toPublish()); err == nil && done.Refused != nil {
			err = errors.New(done.Refused.Text)
		}
	default:
		_, _, err = r.CommitFile(context.Background(), "sub/pipe.lock", []byte("new"), "lock")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// killer stands for git: its KILL_AT-th call kills the process that called it, or
// that one's group, before or after git has done its work.
const killer = `#!/bin/sh
n=$(($(cat "$KILL_DIR/n") + 1))
echo $n >"$KILL_DIR/n"
[ $n = "$KILL_AT" ] && [ $KILL_WHEN = before ] && echo "$*" >"$KILL_DIR/killed" && kill -s KILL -- $KILL_SIGN$PPID
"$REAL_GIT" "$@"
rc=$?
[ $n = "$KILL_AT" ] && touch "$KILL_DIR/ended"
[ $n = "$KILL_AT" ] && [ $KILL_WHEN = after ] && echo "$*" >"$KILL_DIR/killed" && kill -s KILL -- $KILL_SIGN$PPID
exit $rc
`

// commitAndDie runs CommitFile and kills it at the n-th call of git. It returns,
// after all processes have ended, whether there was such a call.
func (s *sandbox) commitAndDie(n int, when, sign string) bool {
	s.tb.Helper()
	bin := filepath.Join(s.tmp, "bin")
	s.write("../bin/n", "0")
	s.write("../bin/git", killer)
	git, err := exec.LookPath("git")
	if err = errors.Join(err, os.Chmod(filepath.Join(bin, "git"), 0o777)); err != nil {
		s.tb.Fatal(err)
	}
	alive, all, err := os.Pipe() // every process of the call has the writing end
	if err != nil {
		s.tb.Fatal(err)
	}
	defer alive.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(s.with("COMMIT_IN="+s.dir, "TMPDIR="+s.tmp, "REAL_GIT="+git, "KILL_DIR="+bin, fmt.Sprint("KILL_AT=", n), "KILL_WHEN="+when, "KILL_SIGN="+sign).env,
		"PATH="+bin+":"+os.Getenv("PATH"))
	cmd.ExtraFiles = []*os.File{all}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	all.Close()
	if _, err := io.ReadAll(alive); err != nil {
		s.tb.Fatal(err)
	}
	call, none := os.ReadFile(filepath.Join(bin, "killed"))
	if _, err := os.Stat(filepath.Join(bin, "ended")); err != nil && strings.Contains(string(call), "update-ref") {
		s.tb.Errorf("a git that holds a lock died with pipe: %s", call)
	}
	if died := cmd.ProcessState.ExitCode() == -1; died != (none == nil) || none != nil && err != nil {
		s.tb.Fatal(string(call), err, string(out))
	}
	return none == nil
}

// TestAKillAnywhereLeavesAGitThatWorks kills CommitFile, alone and with its
// process group, before and after each of its calls of git. make soak tries all
// kinds of kill in both repositories; else each kind has one.
func TestAKillAnywhereLeavesAGitThatWorks(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for who, sign := range map[string]string{"alone": "", "group": "-"} {
			for _, born := range []bool{true, false} {
				if one := (when == "before") == (who == "alone"); born != one && os.Getenv("PIPE_SOAK") == "" {
					continue
				}
				t.Run(fmt.Sprintf("%s %s born %v", when, who, born), func(t *testing.T) {
					t.Parallel()
					n := 1
					for killAt(t, n, when, sign, born) {
						n++
					}
					if n < 10 {
						t.Errorf("only %d points", n)
					}
				})
			}
		}
	}
}

// killAt reports whether there was an n-th call.
func killAt(t *testing.T, n int, when, sign string, born bool) bool {
	s := newSandbox(t)
	if born {
		s.commit(1, "sub/pipe.lock", "old")
		s.commit(2, "dirty", "old")
	}
	s.write("staged", "staged")
	s.git("add", "staged")
	s.write("dirty", "dirty")
	s.write("sub/pipe.lock", "new")
	killed := s.commitAndDie(n, when, sign)
	err := filepath.WalkDir(filepath.Join(s.dir, ".git"), func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".lock") {
			t.Errorf("call %d: %s was left", n, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.git("fsck", "--strict", "--no-dangling")
	s.git("status")
	s.write("more", "more")
	s.git("add", "more")
	if _, _, err := s.open(s.dir).CommitFile(t.Context(), "sub/pipe.lock", []byte("new"), "lock"); err != nil {
		t.Fatalf("call %d: %v", n, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".git", "index?*")); len(left) > 0 {
		t.Errorf("call %d: %v stayed", n, left)
	}
	want := "A  more\nA  staged\n?? dirty"
	commits := "1"
	if born {
		want = " M dirty\nA  more\nA  staged"
		commits = "3"
	}
	if got := s.git("status", "--porcelain"); got != want {
		t.Errorf("call %d: status\n%s", n, got)
	}
	if got := s.git("rev-list", "--count", "HEAD"); got != commits {
		t.Errorf("call %d: %s commits", n, got)
	}
	if got := s.git("show", "HEAD:sub/pipe.lock"); got != "new" {
		t.Errorf("call %d: HEAD has %s", n, got)
	}
	return killed
}
