// Package pipe makes builds and deployments idempotent: the verbs that the command line calls.
//
// Open a project, then call a verb on it:
//
//	p, err := pipe.Open(ctx, pipe.Options{Dir: "."})
//	plan, err := p.Plan(ctx, pipe.ReproOptions{})
//	result, err := p.Repro(ctx, pipe.ReproOptions{Jobs: 4})
//
// Errors carry a kind, a place and a next step; see Describe.
package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Version is the version of pipe, as records and doctor name it.
const Version = "0.1.0"

// Options say which project is opened and with what. The zero value opens the
// project that the current directory lies in.
type Options struct {
	Dir     string            // in or below the project; "" is the current directory
	Environ []string          // as os.Environ, which nil stands for
	Remote  string            // a remote's name in pipe.yaml, or a URL or directory; "": PIPE_REMOTE, else the first
	Env     string            // the environment; "" is "default"
	Emit    func(event.Event) // called from one goroutine at a time; nil: events are dropped
	Now     func() time.Time  // nil: time.Now
}

// Project is an open project: pipe.yaml, pipe.lock, the workspace, cache and
// remote. Opening touches no network. Close it.
type Project struct {
	opt     Options
	root    string
	spec    *spec.Project
	repo    *gitlog.Repo  // nil outside git
	lockAt  repopath.Path // pipe.lock relative to git's root
	work    *worktree.Work
	inputs  *inputs.Reader
	cache   *disk.Store
	emitMu  sync.Mutex
	remote  store.Remote // opened when first asked for
	carrier *transfer.Carrier
	env     []string
}

// Open reads pipe.yaml, found in dir or above it, and reports all its faults at once.
func Open(ctx context.Context, opt Options) (*Project, error) {
	p, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(p.path(spec.FileName))
	if err != nil {
		return nil, err
	}
	p.spec, err = spec.Parse(spec.FileName, data)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func open(_ context.Context, opt Options) (*Project, error) {
	if opt.Environ == nil {
		opt.Environ = os.Environ()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Env == "" {
		opt.Env = "default"
	}
	root, err := findRoot(opt.Dir)
	if err != nil {
		return nil, err
	}
	p := &Project{opt: opt, root: root, env: opt.Environ}
	rules, err := p.openGit()
	if err != nil {
		return nil, err
	}
	p.work = worktree.Open(root, worktree.Options{Workers: runtime.GOMAXPROCS(0), Note: p.note})
	p.inputs = inputs.New(p.work, rules)
	cache := filepath.Join(root, worktree.Dir, "cache")
	if dir, ok := shell.Getenv(p.env, "PIPE_CACHE"); ok && dir != "" {
		cache = dir
		if !filepath.IsAbs(dir) {
			cache = filepath.Join(root, dir)
		}
	}
	p.cache = disk.Open(cache)
	return p, nil
}

// openGit finds the repository and what it ignores.
func (p *Project) openGit() (*gitlog.Rules, error) {
	repo, err := gitlog.Open(p.root, gitlog.Options{Env: p.env})
	if errors.Is(err, gitlog.ErrNoRepo) {
		return gitlog.NoRepoRules(), nil
	}
	if err != nil {
		return nil, err
	}
	at, err := repo.Rel(filepath.Join(p.root, lockfile.FileName))
	if err != nil {
		return nil, err
	}
	p.repo, p.lockAt = repo, at
	return repo.Rules(at.Dir())
}

func findRoot(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for d := start; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, spec.FileName)); err == nil {
			return filepath.EvalSymlinks(d)
		}
		if d == filepath.Dir(d) {
			return "", diag.New(diag.Usage, "no %s here or in a directory above", spec.FileName).At(start).
				Hinted("pipe init writes a first one")
		}
	}
}

// Close writes the stat index and frees connections.
func (p *Project) Close() error {
	err := p.work.SaveIndex()
	if p.remote != nil {
		err = errors.Join(err, p.remote.Close())
	}
	return err
}

// Root returns the absolute directory that holds pipe.yaml.
func (p *Project) Root() string { return p.root }

func (p *Project) path(name string) string { return filepath.Join(p.root, name) }

func (p *Project) emit(e event.Event) {
	if p.opt.Emit == nil {
		return
	}
	e.Schema = event.Schema
	p.emitMu.Lock()
	defer p.emitMu.Unlock()
	p.opt.Emit(e)
}

func (p *Project) note(text string) { p.emit(event.Event{Type: event.Note, Text: text}) }

// here returns the absolute path of a name that the user wrote where pipe works.
func (p *Project) here(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	abs, err := filepath.Abs(filepath.Join(p.opt.Dir, name))
	if err != nil {
		return name
	}
	return abs
}

// lock reads pipe.lock; one that is not there is empty.
func (p *Project) lock() (*lockfile.File, error) {
	data, err := os.ReadFile(p.path(lockfile.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return &lockfile.File{}, nil
	}
	if err != nil {
		return nil, err
	}
	return lockfile.Parse(lockfile.FileName, data)
}

// saveLock replaces pipe.lock, whole or not at all, unless it is the same.
func (p *Project) saveLock(l *lockfile.File) error {
	data := l.Encode()
	if old, err := os.ReadFile(p.path(lockfile.FileName)); err == nil && string(old) == string(data) {
		return nil
	}
	return atomicfile.Write(p.path(lockfile.FileName), data, 0o666, p.work.Tmp())
}

// chosen returns the remote that options, environment and pipe.yaml name; nil when there is none.
func (p *Project) chosen() (*spec.Remote, error) {
	want := p.opt.Remote
	if want == "" {
		want, _ = shell.Getenv(p.env, "PIPE_REMOTE")
	}
	var all []spec.Remote
	if p.spec != nil {
		all = p.spec.Remotes
	}
	if want == "" {
		if len(all) == 0 {
			return nil, nil
		}
		return &all[0], nil
	}
	for i := range all {
		if all[i].Name == want {
			return &all[i], nil
		}
	}
	if strings.HasPrefix(want, "s3://") {
		return &spec.Remote{Name: "given", URL: want}, nil
	}
	if strings.Contains(want, "://") {
		return nil, diag.New(diag.Usage, "%q is no remote: s3://BUCKET/PREFIX, or a directory", want).Hinted("pipe remote list")
	}
	if strings.ContainsAny(want, `/\`) || filepath.IsAbs(want) {
		return &spec.Remote{Name: "given", URL: p.here(want)}, nil
	}
	return nil, diag.New(diag.Usage, "no remote is called %q", want).At(spec.FileName).Hinted("pipe remote list")
}

// open the remote once; nil when the project has none. No network.
func (p *Project) openRemote(ctx context.Context) (store.Remote, error) {
	if p.remote != nil {
		return p.remote, nil
	}
	r, err := p.chosen()
	if err != nil || r == nil {
		return nil, err
	}
	p.remote, err = p.connect(ctx, r)
	return p.remote, err
}

func (p *Project) connect(ctx context.Context, r *spec.Remote) (store.Remote, error) {
	if strings.HasPrefix(r.URL, "s3://") {
		remote, err := s3.Open(ctx, s3.Config{
			URL: r.URL, Region: r.Region, Endpoint: r.Endpoint, Profile: r.Profile,
			PathStyle: r.PathStyle, SSE: r.SSE, SSEKey: r.SSEKey,
		})
		if err != nil {
			return nil, err
		}
		return remote, nil
	}
	dir := r.URL
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(p.root, filepath.FromSlash(dir))
	}
	return disk.Open(dir), nil
}

// needRemote is openRemote for verbs that make no sense without one.
func (p *Project) needRemote(ctx context.Context) (store.Remote, error) {
	r, err := p.openRemote(ctx)
	if err == nil && r == nil {
		err = diag.New(diag.Usage, "the project has no remote").At(spec.FileName).
			Hinted("pipe remote add main s3://BUCKET/PREFIX (or a directory)")
	}
	return r, err
}

// workers is how many requests go to a remote at once: what hides latency on S3
// (20 ms away, 64 workers are 2.5 times as fast as 24) only contends on a disk.
func (p *Project) workers() int {
	if _, ok := p.remote.(*disk.Store); ok || p.remote == nil {
		return 2 * runtime.GOMAXPROCS(0)
	}
	return 64
}

func (p *Project) carry(ctx context.Context) (*transfer.Carrier, error) {
	if p.carrier != nil {
		return p.carrier, nil
	}
	remote, err := p.openRemote(ctx)
	if err != nil {
		return nil, err
	}
	p.carrier = &transfer.Carrier{
		Cache: p.cache, Remote: remote, Workers: p.workers(),
		Moved: func(where string, n int64) { p.emit(event.Event{Type: event.Moved, Where: where, Bytes: n}) },
	}
	return p.carrier, nil
}

// environment opens the environment that the options name. Without a remote it
// lives in the workspace.
func (p *Project) environment(ctx context.Context) (*release.Environment, error) {
	remote, err := p.openRemote(ctx)
	if err != nil {
		return nil, err
	}
	var cells store.Cells = remote
	if remote == nil {
		cells = disk.Open(filepath.Join(p.root, worktree.Dir))
	}
	return release.Open(cells, p.opt.Env, p.opt.Now)
}

// commit returns HEAD's hash, "" where there is none.
func (p *Project) commit(ctx context.Context) string {
	if p.repo == nil {
		return ""
	}
	head, err := p.repo.Head(ctx)
	if err != nil {
		return ""
	}
	return head.Hash
}

func (p *Project) stamp(ctx context.Context) object.Stamp {
	host, _ := os.Hostname()
	user, _ := shell.Getenv(p.env, "USER")
	if actor, ok := shell.Getenv(p.env, "GITHUB_ACTOR"); ok {
		user = actor
	}
	by := host
	if user != "" {
		by = user + "@" + host
	}
	return object.Stamp{By: by, Commit: p.commit(ctx), Version: Version}
}
