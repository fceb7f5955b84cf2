package deploy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is one machine that deploys to the environment in remote.
type place struct {
	t      *testing.T
	remote *broken
	d      *deploy.Deployer

	mu      sync.Mutex
	command func(ctx context.Context, job *action.Job) error // in place of the commands; nil: they go well
	ran     []string
	jobs    map[string]*action.Job
	events  []event.Event
}

// broken is a remote of which some writes go wrong.
type broken struct {
	*mem.Store
	mu  sync.Mutex
	put func(ref object.Ref) error
	op  func(name string) error
}

func (b *broken) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if b.put != nil {
		if err := b.put(ref); err != nil {
			return err
		}
	}
	return b.Store.Put(ctx, ref, src)
}

func (b *broken) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	b.mu.Lock()
	op := b.op
	b.mu.Unlock()
	if op != nil {
		if err := op(name); err != nil {
			return "", err
		}
	}
	return b.Store.Swap(ctx, name, old, value)
}

func (b *broken) fails(op func(name string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.op = op
}

func open(t *testing.T) *place {
	t.Helper()
	return at(t, &broken{Store: mem.New()})
}

// at is another machine.
func at(t *testing.T, remote *broken) *place {
	t.Helper()
	p := &place{t: t, remote: remote, jobs: map[string]*action.Job{}}
	env, err := release.Open(remote, release.Options{
		Project: "shop", Name: "staging", Now: time.Now, Stamp: object.Stamp{By: "ann"}, Run: "host:1", Create: true,
		Probe: func(context.Context) error { return nil }, Say: func(string) {},
		Older: func(context.Context, string, string) (bool, bool, error) { return false, false, nil },
	})
	must(t, err)
	p.d = &deploy.Deployer{
		Env: env, Runner: p, Carrier: &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: remote, Workers: 2}, Jobs: 4,
		Limits: deploy.Limits{Cells: remote, At: "projects/shop/limits/", Most: map[string]int{}}, Mutexes: &deploy.Mutexes{},
		Environ: []string{"PATH=/bin", "CREDENTIAL=x", "DECLARED=of the process", "PIPE_HASH_OLD=forged", "PIPE_ENV=forged"},
		Now:     time.Now, Emit: func(e event.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
		},
	}
	return p
}

// Run implements action.Runner.
func (p *place) Run(ctx context.Context, job *action.Job) (*action.Made, error) {
	p.mu.Lock()
	p.ran = append(p.ran, job.Stage.Name)
	p.jobs[job.Stage.Name] = job
	command := p.command
	p.mu.Unlock()
	if command != nil {
		if err := command(ctx, job); err != nil {
			return nil, err
		}
	}
	return &action.Made{Seconds: 2, Settle: func(bool) error { return nil }}, nil
}

// files puts a closure into the remote and describes it.
func (p *place) files(content string) (closure digest.Digest, size, n int64) {
	p.t.Helper()
	file := object.Ref{Digest: digest.Of([]byte(content))}
	tree := &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "deploy.sh", Digest: file.Digest, Size: int64(len(content))}}}
	must(p.t, p.remote.Store.Put(p.t.Context(), file, store.Bytes([]byte(content))))
	must(p.t, p.remote.Store.Put(p.t.Context(), object.Ref{Shelf: object.Trees, Digest: tree.Digest()}, store.Bytes(tree.Encode())))
	return tree.Digest(), int64(len(content)), 1
}

// work is a deployment of stages, each "name=version<need,need!mutex".
func (p *place) work(stages ...string) *deploy.Work {
	p.t.Helper()
	w := &deploy.Work{Values: map[string][]action.EnvValue{}, Base: map[string]*action.Job{}}
	w.Kind, w.Whole, w.Stages = release.KindDeploy, true, map[string]release.Aim{}
	w.Release = release.ID(digest.Of([]byte(strings.Join(stages, " "))))
	for _, text := range stages {
		text, mutex, _ := strings.Cut(text, "!")
		text, needs, some := strings.Cut(text, "<")
		name, version, _ := strings.Cut(text, "=")
		part := release.Part{Cmd: []string{"x"}, Shell: "sh", Wdir: ".", Mutex: mutex}
		part.Closure, part.Size, part.Files = p.files(version)
		if some {
			part.Needs = strings.Split(needs, ",")
		}
		w.Stages[name] = release.Aim{Part: part, Key: digest.Key(digest.Of([]byte(version)))}
	}
	return w
}

func (p *place) state() *release.State {
	p.t.Helper()
	st, err := p.d.Env.Read(p.t.Context())
	must(p.t, err)
	return st
}

// statuses are those of all stages, by name.
func (p *place) statuses() string {
	var all []string
	for name, st := range p.state().Stages {
		all = append(all, name+" "+st.Status)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// told are the texts of the events of a type.
func (p *place) told(typ event.Type) (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Type == typ {
			texts = append(texts, fmt.Sprintf("%s %s", e.Stage, e.Text))
		}
	}
	return texts
}
