//go:build linux && amd64

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pipe-build/pipe/internal/s3server"
)

// TestMain builds the program once; in a process that is to be trapped it is the shim.
func TestMain(m *testing.M) {
	if os.Getenv(shimEnv) != "" {
		fmt.Fprintln(os.Stderr, shim()) // it returns only when it failed
		os.Exit(1)
	}
	os.Exit(tests(m))
}

func tests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pipe-faults-*")
	if err == nil {
		defer os.RemoveAll(dir)
		program := filepath.Join(dir, "pipe")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "../../cmd/pipe").CombinedOutput(); err == nil {
			err = os.Setenv("PIPE_FAULTS_PROGRAM", program)
		}
		_, _ = os.Stderr.Write(out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// points returns how far apart the points of a sweep are that are tried: a stride,
// so that a sample is spread over the whole run and the same each time.
func points(sample int, all int) int {
	if os.Getenv("PIPE_SOAK") != "" {
		return 1
	}
	return max(1, all/sample)
}

// Promise 8.
func TestKill(t *testing.T) {
	changes := func(c *call) bool { return c.changes() }
	kills := []fault{{name: "pipe", counts: changes}, {name: "crash", counts: changes, crash: true}}
	sweep(t, nil, scenarios(), 8, kills)
	if os.Getenv("PIPE_SOAK") != "" {
		server := s3server.Start(t, s3server.Options{})
		t.Run("s3", func(t *testing.T) { sweep(t, server, onS3(), 8, kills) })
	}
}

// An error of the file system is said or makes no difference; it is never taken for
// an answer.
func TestErrno(t *testing.T) {
	// That git cannot remove its own lock is git's to say.
	ours := func(f func(*call) bool) func(*call) bool {
		return func(c *call) bool { return (c.prog == "pipe" || c.prog == "git" && c.kind != 'd') && f(c) }
	}
	makes := ours(func(c *call) bool { return c.kind == 'w' || c.kind == 'o' && c.flags&unix.O_CREAT != 0 })
	byPath := func(c *call) bool { return c.where != "" && c.where[0] != 'f' }
	sweep(t, nil, scenarios(), 3, []fault{
		{name: "EIO", errno: unix.EIO, counts: ours(func(c *call) bool { return c.kind != 'p' })},
		{name: "ENOSPC", errno: unix.ENOSPC, counts: makes},
		{name: "full", errno: unix.ENOSPC, counts: makes, stays: true},
		{name: "EACCES", errno: unix.EACCES, counts: ours(byPath)},
		{name: "EROFS", errno: unix.EROFS, counts: ours(func(c *call) bool { return byPath(c) && c.changes() && c.kind != 'x' })},
		{name: "EMFILE", errno: unix.EMFILE, counts: ours(func(c *call) bool { return c.kind == 'o' || c.kind == 'p' })},
	})
}

// sweep tries all faults at the points of all scenarios: the whole of them, or a
// sample of that many for each fault of a scenario.
func sweep(t *testing.T, server *s3server.Server, all []*scenario, sample int, faults []fault) {
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			base := newWorld(t, quickDir(t), server)
			s.prepare(base)
			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) { strike(t, s, base, f, sample) })
			}
		})
	}
}

// strike tries one fault at the points of one scenario.
func strike(t *testing.T, s *scenario, base *world, f fault, sample int) {
	quiet := base.copy(t, quickDir(t))
	count := &trap{fault: f, dir: quiet.dir}
	r, gone := quiet.trapped(count, strings.Fields(s.verb)...)
	gone()
	if r.code != 0 {
		t.Fatalf("undisturbed: %s", r)
	}
	quiet.settle(s)
	want := quiet.state()
	t.Logf("%d points", count.n)
	stride := points(sample, count.n)
	for at := 1 + stride/2; at <= count.n; at += stride {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			w := base.copy(t, quickDir(t))
			w.point(&trap{fault: f, dir: w.dir, at: at}, s, want)
		})
	}
}

// point runs the verb with a fault, then without, and compares.
func (w *world) point(tr *trap, s *scenario, want *state) {
	r, gone := w.trapped(tr, strings.Fields(s.verb)...)
	if tr.hit == nil && tr.errno == 0 {
		w.t.Logf("the run was over at call %d", tr.n) // goroutines took another order
	}
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("struck at %v\nthe run: %s", tr.hit, r)
		}
	})
	if tr.errno != 0 {
		w.wantHonest(tr, r)
	} else if tr.hit != nil && r.code != -1 {
		w.t.Errorf("pipe survived")
	}
	if tr.crash { // git leaves its locks then, whoever called it, and says which to remove
		w.do("find .git -name *.lock -delete")
	}
	_, err := os.Stat(w.path("work", "pipe.yaml"))
	made := err == nil
	if tr.errno == 0 || r.code != 0 {
		if made {
			w.wantTruth()
		}
		if !s.begins || !made {
			again := w.pipe(strings.Fields(s.verb)...)
			if again.code != 0 {
				w.t.Errorf("the next run needs a hand: %s", again)
			}
		}
	}
	gone()
	w.settle(s)
	w.compare(s, want)
}

// wantTruth checks what another machine may see before the next run: stores may have
// garbage, but name nothing that they lack. pipe.lock is out of the way, as it may name what
// is still to be pushed.
func (w *world) wantTruth() {
	lock, away := w.path("work", "pipe.lock"), w.path("pipe.lock.away")
	had := os.Rename(lock, away) == nil
	for _, verb := range []string{"verify", "verify --remote --all --read"} {
		if r := w.pipe(strings.Fields(verb)...); r.code != 0 {
			w.t.Errorf("before the next run: %s", r)
		}
	}
	if had {
		if err := os.Rename(away, lock); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, hashes := range w.recorded() {
		for _, hash := range hashes {
			there, err := filepath.Glob(filepath.Join(w.store(), "*", "blake3", hash[:2], hash))
			if err != nil || len(there) == 0 {
				w.t.Errorf("before the next run: record %s names %s, which the remote lacks", name, hash)
			}
		}
	}
}

// wantHonest checks what pipe says about an error: an exit code that it documents, and
// what could not be done to what. Absent is what "not exist" means, nothing else.
func (w *world) wantHonest(tr *trap, r *result) {
	if tr.hit == nil || r.code == 0 {
		return
	}
	if r.code < 0 || strings.Contains(r.text, "goroutine ") {
		w.t.Errorf("a crash")
	}
	if !tr.stays && strings.Contains(tr.hit.path, "/work/.pipe/runs") {
		w.t.Errorf("a run fails because its log cannot be kept")
	}
	for _, word := range []string{"no such", "does not exist", "missing", "absent", "not found"} {
		if tr.there && strings.Contains(r.text, word) {
			w.t.Errorf("%v is told as %q", tr.errno, word)
		}
	}
	if named := strings.ContainsAny(r.text, "/") || strings.Contains(r.text, "pipe.") || strings.Contains(r.text, filepath.Base(tr.hit.path)); !named && tr.hit.path != "" {
		w.t.Errorf("the message names no path")
	}
}
