// Package pipe makes builds and deployments idempotent: the verbs that the command line calls.
//
// Open a project, then call a verb on it:
//
//	p, err := pipe.Open(ctx, pipe.Options{Dir: "."})
//	plan, err := p.Plan(ctx, pipe.ReproOptions{})
//	result, err := p.Repro(ctx, pipe.ReproOptions{Jobs: 4})
//	err = p.Close()
//
// Each verb has a file of its own. It takes its locks, reads pipe.lock, has lower packages do
// the work, and returns an answer that encodes as JSON. Verbs that only look (Plan, Why,
// Status, Runs, Log, Show, Find, Get, Diff, Dag, Hash, Environments) take no lock on the
// workspace and may run beside a build; what they say is true of the moment at which they
// looked.
//
// There are two locks, always taken in this order: the workspace's, so that one pipe at a time
// writes outputs and pipe.lock, and the cache's, which everyone shares who uses objects and gc
// holds alone.
//
// A Project is not for several verbs at once. Nothing here prints: what goes on is told
// through Options.Emit, and errors carry a kind, a place and a next step; see Describe.
package pipe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Options say which project is opened and with what. The zero value opens the
// project that the current directory lies in.
type Options struct {
	Dir     string            // in or below the project; "" is the current directory
	Environ []string          // as os.Environ, which nil stands for
	Remote  string            // a remote's name in pipe.yaml, or a URL or directory; "": PIPE_REMOTE, else the first
	Env     string            // the environment; "" is "default"
	NoWait  bool              // fail with kind busy when another process holds a lock
	Emit    func(event.Event) // called from one goroutine at a time; nil: events are dropped
	Prompt  bool              // git may ask for a password on the terminal when it fetches a source
	Meter   *event.Meter      // counts the bytes of transfers while they go; nil: nobody looks
	Now     func() time.Time  // nil: time.Now
	// Program is the file of the pipe command, of this version. A deployment's command runs below
	// a second process of it, which ends the command when this process ends in any way. "": when
	// this process is killed, the command works on.
	Program string

	root string // of the project, when it is known
	name string // of the project among several: its directory
}

// Project is an open project: pipe.yaml, pipe.lock, the workspace, cache and remote. Opening
// touches no network. Close it. A second verb on the same Project reads pipe.lock anew, but
// not pipe.yaml.
type Project struct {
	opt      Options
	envAsked bool // somebody has asked for opt.Env
	root     string
	yaml     []byte // pipe.yaml
	spec     *spec.Project
	set      []spec.Setting           // values of params for this run alone
	unseen   map[string]error         // stages whose commands would not see them
	instead  map[repopath.Path][]byte // files that an import is going to write, as they will be
	varsMu   sync.Mutex
	vars     *variables    // of its env files, when they were read; see withEnv
	repo     *gitlog.Repo  // nil outside git
	lockAt   repopath.Path // pipe.lock relative to git's root
	work     *worktree.Work
	inputs   *inputs.Reader
	top      *local.Top // the repository around the project; nil: no stage reads anything there
	cache    *disk.Store
	emitMu   sync.Mutex
	remote   store.Remote // opened when first asked for
	alone    bool         // go without the remote
	home     store.Remote // that keeps the environments, likewise
	proof    proof        // of home
	owned    []owned      // the other remotes that outputs name, opened when first asked for
	env      []string
	// Why the workspace cannot be written, if a verb that took its lock found that out.
	readOnly error
	modeless bool          // the file system does not keep executable bits
	beside   []*Project    // others of the repository that are open
	opened   []*Project    // those of them that this one opened, and closes
	planned  []StageResult // what the last plan of it among several has decided
	changed  []string      // stages that an earlier step of the verb has changed
	assumed  bool          // what would be deployed is live already: no command runs
	said     bool          // which blocks of the lock do not count: once is enough
	jobOnce  sync.Once
	jobRun   ci.Run        // what the CI system says; see job
	built    string        // the commit that CI builds; empty: HEAD
	sealed   *release.Head // the commit after it, which has only another pipe.lock; nil or empty: there is none
}

// Open reads pipe.yaml, found in dir or above it, and reports all its faults at once. The
// faults of remotes count even when another one is used, since the next call may use them.
func Open(ctx context.Context, opt Options) (*Project, error) {
	p, err := open(ctx, opt)
	if err == nil {
		err = p.read(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// read reads pipe.yaml.
func (p *Project) read(ctx context.Context) error {
	data, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if err != nil {
		return err
	}
	p.yaml = data
	p.spec, err = p.parse(data)
	if err == nil {
		for _, text := range p.spec.Notes {
			p.note(text)
		}
		p.recallSources()
		err = p.openTop(ctx)
	}
	if err == nil && len(p.spec.Remotes) > 0 {
		err = errors.Join(checkRemotes(p.spec.Remotes), p.checkName(ctx))
	}
	return err
}

// checkRemotes returns the faults of all URLs.
func checkRemotes(all []spec.Remote) (err error) {
	for _, r := range all {
		err = errors.Join(err, remote.Check(r))
	}
	return err
}

// withDefaults fills in what the zero value stands for.
func (o Options) withDefaults() Options {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Env == "" {
		o.Env = release.Default
	}
	return o
}

// open finds the project and its parts without reading pipe.yaml. A relative PIPE_CACHE lies
// below the root, so that it is the same directory wherever in the project pipe is called.
func open(ctx context.Context, opt Options) (*Project, error) {
	envAsked := opt.Env != ""
	opt = opt.withDefaults()
	root := opt.root
	if root == "" {
		var err error
		if root, err = findRoot(opt.Dir); err != nil {
			return nil, err
		}
	}
	p := &Project{opt: opt, envAsked: envAsked, root: root, env: opt.Environ}
	rules, err := p.openGit()
	if err != nil {
		return nil, err
	}
	exec, err := p.execBits(ctx, p.at())
	if err != nil {
		return nil, err
	}
	if p.modeless = exec != nil; p.modeless {
		exec = p.sourceBits(exec)
	}
	p.work, err = worktree.Open(root, worktree.Options{Workers: runtime.GOMAXPROCS(0), Note: p.note, Exec: exec})
	if err != nil {
		return nil, err
	}
	p.inputs = inputs.New(p.work, rules)
	if err := p.checkOwn(ctx); err != nil {
		return nil, err
	}
	cache, files := p.ownCache(), p.work.Below()
	if dir, ok := shell.Getenv(p.env, "PIPE_CACHE"); ok && dir != "" {
		cache = dir
		if !filepath.IsAbs(dir) {
			cache = filepath.Join(root, dir)
		}
		files = atomicfile.Files{} // with the symlinks that the user has there
	}
	p.cache = disk.OpenOn(files, cache)
	return p, nil
}

// cacheName is the cache's directory in pipe's own one.
const cacheName = "cache"

// ownCache is where the cache lies unless PIPE_CACHE says otherwise.
func (p *Project) ownCache() string { return filepath.Join(p.root, worktree.Dir, cacheName) }

// Close writes the stat index and frees connections. A stat index that was not written costs
// the next call the time to hash again, and nothing else.
func (p *Project) Close() error {
	var err error
	if p.top != nil {
		err = p.top.Work.Close() // its index goes into the workspace, which is closed after it
	}
	err = errors.Join(err, p.work.Close())
	for _, other := range p.opened {
		err = errors.Join(err, other.Close())
	}
	for _, r := range p.stores() {
		if r != nil {
			err = errors.Join(err, r.Close())
		}
	}
	return err
}

// Stages returns the names of all stages, in pipe.yaml's order.
func (p *Project) Stages() []string {
	names := make([]string, len(p.spec.Stages))
	for i := range names {
		names[i] = p.spec.Stages[i].Name
	}
	return names
}

// path returns where one of the project's own files lies.
func (p *Project) path(name string) string { return filepath.Join(p.root, name) }

// write replaces one of the project's own files, whole or not at all.
func (p *Project) write(name string, data []byte) error {
	return p.work.Files().Write(name, data, 0o666, worktree.Dir+"/"+worktree.Tmp)
}

// emit hands an event on, one at a time: workers call it at once, and Emit need not expect
// that.
func (p *Project) emit(e event.Event) {
	if p.opt.Emit == nil {
		return
	}
	e.Schema = event.Schema
	p.emitMu.Lock()
	defer p.emitMu.Unlock()
	p.opt.Emit(e)
}

// note tells the user something that does not stop the verb.
func (p *Project) note(text string) { p.emit(event.Event{Type: event.Note, Text: text}) }

// leftOut tells of a part of the past that cannot be read. What it would have said is not in the
// answer.
func (p *Project) leftOut(err error) { p.note("left out: " + err.Error()) }

// here returns the absolute path of a name that the user wrote where pipe works.
func (p *Project) here(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	dir, err := filepath.Abs(p.opt.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as the root is
	}
	if err != nil {
		return name
	}
	return filepath.Join(dir, name)
}

// typed returns a path as the user would write it where pipe works.
func (p *Project) typed(at repopath.Path) string {
	rel, err := filepath.Rel(p.here("."), p.work.OS(at))
	if err != nil {
		return string(at)
	}
	return filepath.ToSlash(rel)
}
