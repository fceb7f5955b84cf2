//go:build linux

package drill

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/creack/pty"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/internal/s3server"
)

// What is in the repository of a ciWorld. Its commands say what they do.
const (
	ciProject = `project: shop
remote: REMOTE
stages:
  build: {cmd: sh build.sh, deps: [src, build.sh], outs: [app]}
  ship: {deploy: true, cmd: sh ship.sh, deps: [app, ship.sh]}
environments: {prod: {auto: main}}
`
	ciBuild = "echo build $(cat src) >> DIR/built\ncp src app\n"
	ciShip  = "echo $(cat app) >> DIR/shipped\n"
)

// The tokens of a ciWorld.
const (
	writes = "ghs_writes"
	reads  = "ghs_reads"
)

// ciWorld is a world with a forge, whose jobs reach the remote through a proxy.
type ciWorld struct {
	*world
	proxy *s3server.Proxy
	forge *forge.Forge
	repo  *forge.Repo
	jobs  atomic.Int64
}

// newCI makes a forge with the repository acme/shop. Its first commit has the project, with other files or
// other texts in their place.
func newCI(t *testing.T, files map[string]string) *ciWorld {
	t.Helper()
	return newCIOf(t, forge.Kind{}, files)
}

// newCIOf is newCI with a repository of another kind.
func newCIOf(t *testing.T, kind forge.Kind, files map[string]string) *ciWorld {
	t.Helper()
	w, p := proxied(t, s3server.Unruly{})
	f := forge.Start(t, forge.Options{})
	c := &ciWorld{world: w, proxy: p, forge: f, repo: f.NewRepo("acme/shop", kind)}
	f.Allow(writes, forge.Token{Login: "github-actions[bot]", Contents: forge.Write, PullRequests: forge.Write})
	f.Allow(reads, forge.Token{Login: "github-actions[bot]", Contents: forge.Read, PullRequests: forge.Read})
	all := map[string]string{
		"pipe.yaml": ciProject, "build.sh": ciBuild, "ship.sh": ciShip, "src": "one\n", ".gitignore": "/.pipe/\n/app\n", ".gitattributes": "pipe.lock merge=union\n",
	}
	for name, text := range files {
		all[name] = text
	}
	c.merge("first", all)
	return c
}

// merge puts a commit with files on the default branch, as if somebody had merged it, and returns it.
func (c *ciWorld) merge(message string, files map[string]string) string {
	c.t.Helper()
	filled := map[string]string{}
	for name, text := range files {
		filled[name] = strings.NewReplacer("DIR", c.dir, "REMOTE", c.url).Replace(text)
	}
	return c.repo.Commit(c.repo.Default, message, filled)
}

// lock returns pipe.lock of a commit, "" when it has none.
func (c *ciWorld) lock(rev string) string {
	c.t.Helper()
	if c.repo.Git("ls-tree", "--name-only", rev, "pipe.lock") == "" {
		return ""
	}
	return c.repo.Git("show", rev+":pipe.lock")
}

// ciJob is a job that has checked out.
type ciJob struct {
	*forge.Job
	w *ciWorld
}

// job makes a job.
func (c *ciWorld) job(on forge.Trigger) *ciJob {
	c.t.Helper()
	j, err := c.repo.Job(c.t.Context(), c.beside(fmt.Sprintf("job-%d", c.jobs.Add(1))), on)
	must(c.t, err)
	return &ciJob{j, c}
}

// step makes a step that runs a script.
func (j *ciJob) step(script string, env ...string) *exec.Cmd {
	j.w.t.Helper()
	s, err := j.Step(j.w.t.Context(), script, append(slices.Clone(j.w.env), env...)...)
	must(j.w.t, err)
	s.Env = append(s.Env, "TMPDIR="+j.w.dir, "PATH="+filepath.Dir(shared.program)+":"+os.Getenv("PATH"))
	return s
}

// start starts a step.
func (j *ciJob) start(script string, env ...string) *process {
	j.w.t.Helper()
	return j.w.launch(j.step(script, env...))
}

// ci runs exec pipe ci with arguments, which must end with an exit code, and returns what it printed.
func (j *ciJob) ci(code int, args ...string) string {
	j.w.t.Helper()
	return j.w.ended(j.start("exec pipe ci "+strings.Join(args, " ")), code)
}

// ended waits for a step, which must end with an exit code, and returns what it printed.
func (c *ciWorld) ended(p *process, code int) string {
	c.t.Helper()
	if got := p.end(); got != code {
		c.t.Fatalf("exit code %d, not %d: %s", got, code, p)
	}
	p.gone()
	return p.String()
}

// startInTerminal starts a step on a terminal, as some CI systems do.
func (j *ciJob) startInTerminal(script string, env ...string) *process {
	t := j.w.t
	t.Helper()
	cmd := j.step(script, append(env, "TERM=xterm-256color")...)
	said, err := os.CreateTemp(j.w.dir, "said-*")
	must(t, err)
	rest, held, err := os.Pipe()
	must(t, err)
	defer held.Close()
	cmd.ExtraFiles = []*os.File{held}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	must(t, err)
	p := &process{Cmd: cmd, t: t, said: said.Name(), done: make(chan struct{}), rest: rest}
	t.Cleanup(func() {
		_ = p.killGroup()
		<-p.done
		_ = rest.Close()
	})
	go func() {
		_, _ = said.ReadFrom(tty) // EIO when the last process has closed it
		_ = p.Wait()
		_ = tty.Close()
		_ = said.Close()
		close(p.done)
	}()
	return p
}

// asking is what the forge and the remote were asked for, from a moment on.
type asking struct {
	c       *ciWorld
	git, s3 int
	pushes  int
}

// listen notes how much was asked so far.
func (c *ciWorld) listen() asking {
	return asking{c, len(c.forge.Log()), len(c.proxy.Log()), len(c.repo.Pushes())}
}

// ofForge returns what the forge was asked since.
func (a asking) ofForge() []string { return a.c.forge.Log()[a.git:] }

// ofRemote returns what the remote was asked since.
func (a asking) ofRemote() []string { return a.c.proxy.Log()[a.s3:] }

// pushed returns the pushes since.
func (a asking) pushed() []forge.Push { return a.c.repo.Pushes()[a.pushes:] }

// says checks that a text has some words.
func (c *ciWorld) says(text string, words ...string) {
	c.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			c.t.Errorf("it does not say %q: %s", w, text)
		}
	}
}

// logged checks what the commands have written into a file so far.
func (c *ciWorld) logged(name string, lines ...string) {
	c.t.Helper()
	want := ""
	if len(lines) > 0 {
		want = strings.Join(lines, "\n") + "\n"
	}
	if got := c.read(name); got != want {
		c.t.Errorf("%s is %q, not %q", name, got, want)
	}
}

// sound checks that the branch was never forced, and that the repository is whole.
func (c *ciWorld) sound() {
	c.t.Helper()
	c.repo.Git("fsck", "--full", "--strict")
	b, err := os.ReadFile(filepath.Join(c.repo.Dir, "logs", "refs", "heads", c.repo.Default))
	must(c.t, err)
	for line := range strings.Lines(string(b)) {
		old, rest, _ := strings.Cut(line, " ")
		now, _, _ := strings.Cut(rest, " ")
		if strings.Trim(old, "0") != "" && c.repo.Git("merge-base", old, now) != old {
			c.t.Errorf("forced: %s", line)
		}
	}
}

// write makes an empty file that the commands wait for.
func (c *ciWorld) write(name string) {
	c.t.Helper()
	must(c.t, os.WriteFile(c.beside(name), nil, 0o666))
}
