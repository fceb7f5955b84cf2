package pipe

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/worktree"
)

// environment opens an environment, to look at it or to deploy there. Only a shared
// environment is probed: on a disk of our own conditional writes are known to work.
func (p *Project) environment(ctx context.Context, name string, create bool) (*release.Environment, error) {
	cells, o, err := p.environments(ctx)
	if err != nil {
		return nil, err
	}
	o.Name, o.Now, o.Stamp, o.Run, o.Say, o.Create = name, p.opt.Now, p.stamp(ctx), p.runName(), p.note, create
	if o.TTL, err = p.leaseTTL(); err != nil {
		return nil, err
	}
	if o.Project == "" && o.TTL == 0 {
		o.TTL = localTTL
	}
	if o.Project != "" {
		o.Probe = func(ctx context.Context) error { return p.proof.of(ctx, p.home) }
	}
	o.Older = p.older
	return release.Open(cells, o)
}

// proof is that a remote honours conditional writes. One is enough for all environments that a run
// deploys to.
type proof struct {
	mu   sync.Mutex
	done bool
}

func (p *proof) of(ctx context.Context, r store.Remote) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil
	}
	err := r.Probe(ctx)
	p.done = err == nil
	return err
}

// environments returns where the project's environments live, and the options that all of them
// share. Without a remote they live in the workspace, and so they do when the project needs
// no name because it deploys nothing: those in the remote are then other projects'.
func (p *Project) environments(ctx context.Context) (store.Cells, release.Options, error) {
	o := release.Options{Name: p.opt.Env}
	home, err := p.stateRemote(ctx)
	if err == nil && home != nil {
		err = p.checkName(ctx)
	}
	if err != nil {
		return nil, o, err
	}
	if home == nil || p.spec.Name == "" {
		local := p.local()
		o.Lister = local
		return local, o, nil
	}
	o.Project = p.spec.Name
	o.Lister, _ = store.As[store.Lister](home)
	return home, o, nil
}

// stateRemote opens the remote that keeps the environments: the one that pipe.yaml names for it,
// else its first one, whatever --remote and PIPE_REMOTE say. What is live must not depend on who
// asks. nil: the project has none.
func (p *Project) stateRemote(ctx context.Context) (store.Remote, error) {
	if p.home != nil || len(p.spec.Remotes) == 0 {
		return p.home, nil
	}
	r := p.spec.Remotes[0]
	for _, o := range p.spec.Remotes {
		if o.Name == p.spec.StateRemote {
			r = o
		}
	}
	used, err := p.chosen()
	if err != nil {
		return nil, err
	}
	if used != nil && *used == r {
		p.home, err = p.openRemote(ctx)
		return p.home, err
	}
	p.home, err = p.openAs(ctx, r)
	return p.home, err
}

// local is where the workspace keeps its own environments.
func (p *Project) local() *disk.Store {
	return disk.OpenOn(p.work.Below(), filepath.Join(p.root, worktree.Dir))
}

// older reports whether commit a is an ancestor of b, and whether git knows.
func (p *Project) older(ctx context.Context, a, b string) (older, known bool, err error) {
	if p.repo == nil {
		return false, false, nil
	}
	return p.repo.Ancestor(ctx, a, b)
}

// runName names this run for people: the CI's page, else host and process.
func (p *Project) runName() string {
	host, _ := os.Hostname()
	return cmp.Or(p.job().URL, fmt.Sprintf("%s, process %d", host, os.Getpid()))
}

// localTTL is the time to live of leases in the workspace: a beat that goes to a disk is not late,
// and whoever has killed a deployment there waits for it to be over.
const localTTL = 30 * time.Second

// leaseTTL is how long a deployment's lease lasts without a beat: PIPE_LEASE_TTL, for tests and drills; 0: the
// usual time.
func (p *Project) leaseTTL() (time.Duration, error) {
	text := p.variable("PIPE_LEASE_TTL")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, diag.New(diag.Usage, "PIPE_LEASE_TTL=%s is not a duration of one second or more", text).Hinted("export PIPE_LEASE_TTL=2m")
	}
	return d, nil
}

// deployer deploys to an environment from this machine.
func (p *Project) deployer(ctx context.Context, env *release.Environment, h *local.Hold, jobs int, keepGoing bool) (*deploy.Deployer, error) {
	cells, o, err := p.environments(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	at := "limits/"
	if o.Project != "" {
		at = "projects/" + o.Project + "/" + at
		c.Remote = p.home // what goes live is where the environment is
	}
	d := &deploy.Deployer{
		Env: env, Runner: p.deploys(p.files(c), h), Carrier: c, Runs: p.runs(), Limits: deploy.Limits{Cells: cells, At: at, Most: map[string]int{}},
		Stamp: p.stamp(ctx), Environ: p.env, Jobs: jobs, KeepGoing: keepGoing, Now: p.opt.Now, Emit: p.emit,
	}
	for _, l := range p.spec.Limits {
		d.Limits.Most[l.Mutex] = l.Most
	}
	return d, nil
}
