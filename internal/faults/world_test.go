//go:build linux && amd64

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/s3server"
)

// patience ends a run that would else hang; no test depends on how long it is.
const patience = 2 * time.Minute

// world is a directory with all that a verb touches: work, a git repository; remote, a
// directory unless it is on S3; live, what the deploy stage
// writes; home.
type world struct {
	t   *testing.T
	dir string
	s3  *s3server.Server // nil: the remote is a directory
}

func newWorld(t *testing.T, dir string, server *s3server.Server) *world {
	t.Helper()
	w := &world{t, dir, server}
	for _, d := range []string{"work", "live", "home", "tmp"} {
		must(t, os.MkdirAll(w.path(d), 0o755))
	}
	must(t, os.MkdirAll(w.store(), 0o755))
	return w
}

// store is where the remote's files are.
func (w *world) store() string {
	if w.s3 == nil {
		return w.path("remote")
	}
	return filepath.Join(w.s3.Dir, w.s3.Bucket, filepath.Base(w.dir))
}

// copy makes the same world in another place, times and all.
func (w *world) copy(t *testing.T, dir string) *world {
	t.Helper()
	c := &world{t, dir, w.s3}
	for from, to := range map[string]string{w.dir: c.dir, w.store(): c.store()} {
		must(t, os.MkdirAll(to, 0o755))
		if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
	}
	return c
}

// quickDir is a temporary directory, in memory where there is enough.
func quickDir(t *testing.T) string {
	const memory, enough = "/dev/shm", 1 << 30
	var s syscall.Statfs_t
	if syscall.Statfs(memory, &s) != nil || uint64(s.Bavail)*uint64(s.Bsize) < enough {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "pipe-test-*")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func (w *world) path(names ...string) string {
	return filepath.Join(append([]string{w.dir}, names...)...)
}

func (w *world) write(name, text string) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.path("work", name), []byte(text), 0o666))
}

func (w *world) remove(names ...string) {
	w.t.Helper()
	for _, name := range names {
		must(w.t, os.RemoveAll(w.path("work", name)))
	}
}

// result is how a program ended, and what it said on both streams.
type result struct {
	args []string
	code int
	text string
}

func (r *result) String() string {
	return fmt.Sprintf("%s: exit code %d\n%s", strings.Join(r.args, " "), r.code, r.text)
}

// command prepares a program that runs in work, with little of an environment.
func (w *world) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.path("work")
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.path("home"), "TMPDIR=" + w.path("tmp"), "USER=test", "NO_COLOR=1", "LIVE=" + w.path("live", "log"),
		"GIT_CONFIG_NOSYSTEM=1", "GOMAXPROCS=1", // calls come in nearly the same order each time
		"PIPE_LEASE_TTL=1s",
	}, w.access()...)
	return cmd
}

// access is what pipe needs to reach the remote.
func (w *world) access() []string {
	if w.s3 == nil {
		return nil
	}
	return w.s3.Env()
}

// remote is the remote as pipe.yaml names it: the same for every world on a directory.
func (w *world) remote() string {
	if w.s3 == nil {
		return "../remote"
	}
	return "s3://" + w.s3.Bucket + "/" + filepath.Base(w.dir)
}

// execute runs a command by some means. Its streams are a file: with pipes, a run
// would be over only when the children that it left behind have ended.
func (w *world) execute(name string, args []string, run func(*exec.Cmd)) *result {
	w.t.Helper()
	said, err := os.CreateTemp("", "pipe-faults-*") // not a part of the world
	must(w.t, err)
	defer os.Remove(said.Name())
	defer said.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := w.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = said, said
	run(cmd)
	text, err := os.ReadFile(said.Name())
	must(w.t, err)
	r := &result{append([]string{filepath.Base(name)}, args...), cmd.ProcessState.ExitCode(), string(text)}
	if ctx.Err() != nil {
		w.t.Fatalf("it hangs: %s", r)
	}
	return r
}

// program is the pipe that TestMain has built.
func program() string { return os.Getenv("PIPE_FAULTS_PROGRAM") }

func (w *world) run(name string, args ...string) *result {
	w.t.Helper()
	return w.execute(name, args, func(cmd *exec.Cmd) {
		if err := cmd.Run(); cmd.ProcessState == nil {
			w.t.Fatal(err)
		}
	})
}

func (w *world) pipe(args ...string) *result {
	w.t.Helper()
	return w.run(program(), args...)
}

// trapped runs pipe with a trap; gone waits for what it left behind.
func (w *world) trapped(tr *trap, args ...string) (r *result, gone func()) {
	w.t.Helper()
	r = w.execute(program(), args, func(cmd *exec.Cmd) { gone = tr.run(w.t, cmd) })
	return r, gone
}

// do runs what must succeed while a world is built.
func (w *world) do(commands ...string) {
	w.t.Helper()
	for _, c := range commands {
		name, args := strings.Fields(c)[0], strings.Fields(c)[1:]
		if name == "pipe" {
			name = program()
		}
		if r := w.run(name, args...); r.code != 0 {
			w.t.Fatal(r)
		}
	}
}

// settle ends a scenario.
func (w *world) settle(s *scenario) {
	w.t.Helper()
	if s.settle != "" {
		w.do("pipe " + s.settle)
	}
}
