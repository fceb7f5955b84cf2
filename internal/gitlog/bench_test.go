package gitlog_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// longHistory is a repository of n commits, every second of which changes pipe.lock.
func longHistory(tb testing.TB, n int) *sandbox {
	s := newSandbox(tb)
	var in bytes.Buffer
	mark := func(text string) { fmt.Fprintf(&in, "data %d\n%s\n", len(text), text) }
	for i := range n {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A U Thor <a@example.com> %d +0000\n", 1_600_000_000+60*i)
		mark(fmt.Sprintf("change %d", i))
		if i == 0 {
			for j := range 300 {
				fmt.Fprintf(&in, "M 100644 inline dir%02d/file%03d.txt\n", j%20, j)
				mark(fmt.Sprintf("file %d", j))
			}
		}
		fmt.Fprintf(&in, "M 100644 inline dir%02d/file%03d.txt\n", i%20, i%300)
		mark(fmt.Sprintf("change %d", i))
		if i%2 == 0 {
			in.WriteString("M 100644 inline pipe.lock\n")
			mark(lockText(i))
		}
	}
	s.run(&in, "fast-import", "--quiet")
	s.git("symbolic-ref", "HEAD", "refs/heads/main")
	return s
}

// lockText is like a lock of 30 stages, of which one changed.
func lockText(i int) string {
	var b bytes.Buffer
	for j := range 30 {
		seed := j
		if j == i%30 {
			seed = i + 100
		}
		fmt.Fprintf(&b, "stage%02d:\n  key: %064x\n  out: {path: dist/%d, hash: blake3:%064x}\n", j, seed*7919, j, seed*104729)
	}
	return b.String()
}

// BenchmarkVersions reads every version of a lock: 10,000 commits, 5,000 versions.
func BenchmarkVersions(b *testing.B) {
	s := longHistory(b, 10_000)
	run := func(b *testing.B) {
		for b.Loop() {
			n := 0
			_, err := s.open(s.dir).Versions(b.Context(), "pipe.lock", func(v *gitlog.Version) error {
				n++
				_, err := v.Data()
				return err
			})
			if err != nil || n != 5000 {
				b.Fatal(n, err)
			}
		}
	}
	b.Run("imported", run)
	s.git("gc", "-q")
	b.Run("repacked", run)
	b.Run("git", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command("sh", "-c", "git log --all --full-history --format=%H --raw --no-abbrev -- pipe.lock | "+
				"awk '/^:/{print $4}' | git cat-file --batch >"+filepath.Join(s.tmp, "out"))
			cmd.Dir, cmd.Env = s.dir, s.env
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatal(err, string(out))
			}
		}
	})
}

// BenchmarkCommitFile commits a lock into a repository of 100,000 files.
func BenchmarkCommitFile(b *testing.B) {
	s := newSandbox(b)
	var in bytes.Buffer
	in.WriteString("commit refs/heads/main\ncommitter A U Thor <a@example.com> 1600000000 +0000\ndata 0\n")
	for i := range 100_000 {
		fmt.Fprintf(&in, "M 100644 inline d%03d/file%d\ndata 2\nx\n", i%500, i)
	}
	s.run(&in, "fast-import", "--quiet")
	s.git("read-tree", "main")
	r := s.open(s.dir)
	i := 0
	for b.Loop() {
		i++
		if _, changed, err := r.CommitFile(b.Context(), "pipe.lock", fmt.Append(nil, i), "lock"); err != nil || !changed {
			b.Fatal(err)
		}
	}
}

// BenchmarkHead is what every command pays.
func BenchmarkHead(b *testing.B) {
	s := newSandbox(b)
	s.commit(1, "x", "x")
	for b.Loop() {
		if _, err := s.open(s.dir).Head(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
