//go:build linux

package drill

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/s3server"
)

var seed = flag.Uint64("seed", rand.Uint64(), "of the moments and histories")

// suite is what all tests share.
type suite struct {
	program string // the pipe that TestMain has built
	server  *s3server.Server
	worlds  atomic.Int64
}

var shared = &suite{}

func TestMain(m *testing.M) {
	flag.Parse()
	// They wait for leases most of the time.
	_ = flag.Set("test.parallel", fmt.Sprint(count(40, 16)))
	os.Exit(shared.run(m))
}

func (s *suite) run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pipe-drill-*")
	if err == nil {
		defer os.RemoveAll(dir)
		s.program = filepath.Join(dir, "pipe")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", s.program, "../../cmd/pipe").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err == nil {
		s.server, err = s3server.StartMain(context.Background(), dir, s3server.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.server.Stop()
	return m.Run()
}

// count returns how often something is tried: a sample, or all of it under make soak.
func count(sample, soak int) int {
	if os.Getenv("PIPE_SOAK") != "" {
		return soak
	}
	return sample
}

// random returns numbers that the seed and the test's name decide.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("-args -seed=%d", *seed)
		}
	})
	var name uint64
	for _, b := range []byte(t.Name()) {
		name = name*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(*seed, name))
}

const (
	// patience ends a run that would else hang; no drill depends on how long it is.
	patience = 3 * time.Minute
	// ttl is how long the leases live: a busy machine must beat within two thirds of it.
	ttl = 3 * time.Second
	// takeover is after how long a dead run's environment is taken over: ENVIRONMENTS 4.4.
	takeover = 20 * time.Second
)

// project deploys one file. Its command works for a while, or as long as it is stuck, as does a daemon of its
// own; both ignore signals, and the command says what it does.
const project = `project: shop
remote: REMOTE
stages:
  build: {cmd: cp src app, deps: [src], outs: [app]}
  ship: {deploy: true, cmd: sh deploy.sh, deps: [app, deploy.sh]}
environments: {prod: {}}
`

const script = `exec 9>> DIR/busy.$PIPE_ENV
flock -n 9 || echo $PIPE_DEPLOYMENT >> DIR/overlap
say() { echo $1 $PIPE_FENCE $PIPE_DEPLOYMENT $(date +%s%N) $(cat app) >> DIR/log; }
say begin
trap '' TERM HUP INT
mkdir DIR/works.$$
setsid sh -c "trap '' TERM HUP INT; while test -e DIR/works.$$; do sleep 0.02; done" &
sleep 0.1
echo $PIPE_DEPLOYMENT $(cat app) > DIR/live.$PIPE_ENV
sleep 0.1
while test -e DIR/stuck.$(cat app); do sleep 0.02; done
rmdir DIR/works.$$
wait
say end
`

// world is a remote, what is live, and clones of a project.
type world struct {
	t     *testing.T
	dir   string
	url   string // of the remote
	store string // where it keeps its files
	env   []string
}

// remotes runs a drill on each sort of remote.
func remotes(t *testing.T, f func(t *testing.T, w func(t *testing.T) *world)) {
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		f(t, onDirectory)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		f(t, onS3)
	})
}

func onDirectory(t *testing.T) *world {
	dir := quickDir(t)
	return &world{t: t, dir: dir, url: filepath.Join(dir, "remote"), store: filepath.Join(dir, "remote")}
}

func onS3(t *testing.T) *world {
	s, prefix := shared.server, fmt.Sprintf("w%d", shared.worlds.Add(1))
	return &world{
		t: t, dir: quickDir(t), url: "s3://" + s.Bucket + "/" + prefix, store: filepath.Join(s.Dir, s.Bucket, prefix), env: s.Env(),
	}
}

// proxied is a world whose pipe reaches the server through a proxy.
func proxied(t *testing.T, opt s3server.Unruly) (*world, *s3server.Proxy) {
	w, p := onS3(t), shared.server.Proxy(opt)
	t.Cleanup(p.Close)
	w.env = append(w.env, "AWS_ENDPOINT_URL_S3="+p.Endpoint)
	return w, p
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// beside returns the path of a file that the commands use.
func (w *world) beside(name string) string { return filepath.Join(w.dir, name) }

// read returns a file that the commands have written; "" when there is none.
func (w *world) read(name string) string {
	b, err := os.ReadFile(w.beside(name))
	if !errors.Is(err, os.ErrNotExist) {
		must(w.t, err)
	}
	return string(b)
}

// clone is a working directory of the project with its own cache.
type clone struct {
	*world
	at      string
	env     []string
	program string
}

// clone makes one.
func (w *world) clone(name string, env ...string) *clone {
	w.t.Helper()
	c := &clone{world: w, at: w.beside(name), env: env, program: shared.program}
	must(w.t, os.MkdirAll(c.at, 0o777))
	c.write("pipe.yaml", strings.ReplaceAll(project, "REMOTE", w.url))
	c.write("deploy.sh", strings.ReplaceAll(script, "DIR", w.dir))
	c.write("src", "one\n")
	return c
}

func (c *clone) write(name, text string) {
	c.t.Helper()
	must(c.t, os.WriteFile(filepath.Join(c.at, name), []byte(text), 0o666))
}

// until waits for something that another process does.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// state is what the drills read of an environment's state.
type state struct {
	N      uint64
	Epoch  uint64
	Lease  *struct{ Nonce string }
	Next   []json.RawMessage
	Stages map[string]struct {
		Status string
		N      uint64
		Commit string
	}
}

func (w *world) stateFile(env string) string {
	return filepath.Join(w.store, "projects", "shop", "env", env, "state")
}

// state reads an environment's state from the store's own files.
func (w *world) state(env string) (s state) {
	w.t.Helper()
	b, err := os.ReadFile(w.stateFile(env))
	if errors.Is(err, os.ErrNotExist) {
		return s
	}
	must(w.t, err)
	must(w.t, json.Unmarshal(b, &s))
	return s
}

// line is what a command has said.
type line struct {
	what       string // begin or end
	fence      uint64
	deployment string
	at         time.Time
	app        string
}

// lines returns what the commands have said, in order.
func (w *world) lines() (all []line) {
	w.t.Helper()
	for text := range strings.Lines(w.read("log")) {
		f := strings.Fields(text)
		if len(f) != 5 {
			w.t.Fatalf("a command said %q", text)
		}
		fence, err := strconv.ParseUint(f[1], 10, 64)
		must(w.t, err)
		at, err := strconv.ParseInt(f[3], 10, 64)
		must(w.t, err)
		all = append(all, line{f[0], fence, f[2], time.Unix(0, at), f[4]})
	}
	return all
}

// orderly checks that no two commands were at work at once, and that none spoke after the next
// one had begun.
func (w *world) orderly() {
	w.t.Helper()
	if text := w.read("overlap"); text != "" {
		w.t.Errorf("two commands at once: %s\n%s", text, w.read("log"))
	}
	var fence uint64
	for _, l := range w.lines() {
		if l.what == "begin" && l.fence <= fence || l.what == "end" && l.fence != fence {
			w.t.Errorf("out of order:\n%s", w.read("log"))
			return
		}
		fence = l.fence
	}
}

// settled checks that nobody holds the environment or waits for it, and that it says of a stage what
// is live: app.
func (w *world) settled(env, app string) {
	w.t.Helper()
	if s := w.state(env); len(s.Next) > 0 {
		w.t.Errorf("%d runs wait for %s", len(s.Next), env)
	}
	w.live(env, app)
}

// live is settled, but for those who wait.
func (w *world) live(env, app string) {
	w.t.Helper()
	s := w.state(env)
	st := s.Stages["ship"]
	if s.Lease != nil || st.Status != "ok" {
		w.t.Errorf("%s is not settled: %+v", env, s)
	}
	if got, want := w.read("live."+env), fmt.Sprintf("%s-%d %s\n", env, st.N, app); got != want {
		w.t.Errorf("live is %q, and the state says %q\n%s", got, want, w.read("log"))
	}
}
