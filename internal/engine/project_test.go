package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// project is one machine's workspace and cache, with an engine over them. Machines
// that share a remote are made by clone.
type project struct {
	t      testing.TB
	yaml   string
	files  map[string]string
	work   *worktree.Work
	cache  *cache
	remote *remote // nil: there is none
	runner *runner
	lock   *lockfile.File
	saved  []string // what was written to pipe.lock, one after the other
	engine *engine.Engine
	result *engine.Result // of the last run

	mu     sync.Mutex
	events []event.Event
	says   map[string]string // what commands among the deps print; others are not run
	asked  []action.Question
}

// open returns a project with a remote of its own. The files' contents are their names.
func open(t testing.TB, yaml string, files ...string) *project {
	t.Helper()
	p := &project{t: t, yaml: yaml, files: map[string]string{}, remote: newRemote()}
	for _, f := range files {
		p.files[f] = f
	}
	p.start()
	return p
}

// alone returns a project without a remote.
func alone(t testing.TB, yaml string, files ...string) *project {
	t.Helper()
	p := open(t, yaml, files...)
	p.remote = nil
	p.start()
	return p
}

// clone is the same project, never built, on another machine.
func (p *project) clone() *project {
	p.t.Helper()
	q := &project{t: p.t, yaml: p.yaml, files: p.files, remote: p.remote}
	q.start()
	return q
}

func (p *project) start() {
	p.t.Helper()
	root := p.t.TempDir()
	p.lock = &lockfile.File{}
	var err error
	p.work, err = worktree.Open(root, worktree.Options{Workers: 2})
	must(p.t, err)
	must(p.t, p.work.Prepare())
	p.cache = newCache(filepath.Join(root, worktree.Dir, "cache"))
	carrier := &transfer.Carrier{Cache: p.cache, Workers: 2}
	cells := store.Cells(p.cache.Store)
	p.engine = &engine.Engine{
		At: repopath.Root,
		Publisher: engine.Publisher{
			Workspace: &local.Workspace{Work: p.work, Inputs: inputs.New(p.work, ignore.NoRepoRules()), Cache: p.cache, Carrier: carrier, Note: func(stage, text string) {
				p.emit(event.Event{Type: event.Note, Stage: stage, Text: text})
			}},
			Stamp: object.Stamp{By: "ann", Version: "test"},
		},
		Environ: []string{"PATH=/bin", "CREDENTIAL=from outside"}, Platform: "plan9/arm",
		Ask: p.ask, Now: clock, Emit: p.emit,
		SaveLock: func(l *lockfile.File) error {
			p.saved = append(p.saved, string(l.Encode()))
			return nil
		},
	}
	if p.remote != nil {
		carrier.Remote, p.engine.Records, p.engine.Remote, cells = p.remote, p.remote, p.remote, p.remote
	}
	p.engine.Env = environment(p.t, cells)
	p.runner = &runner{cache: p.cache.Store, carrier: carrier}
	p.engine.Runner = p.runner
	p.engine.Deployer = &deploy.Deployer{
		Env: p.engine.Env, Carrier: carrier, Stamp: p.engine.Stamp, Now: clock, Emit: p.emit,
	}
	p.declare(p.yaml)
	for name, content := range p.files {
		p.write(name, content)
	}
}

// environment keeps what is live in cells.
func environment(t testing.TB, cells store.Cells) *release.Environment {
	t.Helper()
	e, err := release.Open(cells, release.Options{
		Project: "shop", Name: "default", Now: clock, Say: func(string) {},
		Probe: func(context.Context) error { return nil },
	})
	must(t, err)
	return e
}

// copyOf is the lock as another machine has it from git.
func copyOf(l *lockfile.File) *lockfile.File { return &lockfile.File{Stages: slices.Clone(l.Stages)} }

// declare replaces pipe.yaml.
func (p *project) declare(yaml string) {
	p.t.Helper()
	s, err := spec.Parse(spec.FileName, []byte(yaml))
	must(p.t, err)
	p.yaml, p.engine.Project, p.engine.Graph = yaml, s, s.Edges()
}

// ask answers the commands among the deps with what says has for them.
func (p *project) ask(_ context.Context, q action.Question) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	out, ok := p.says[q.Cmd]
	if !ok {
		return nil, action.ErrNotAsked
	}
	return []byte(out), nil
}

func (p *project) emit(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
}

func (p *project) path(name string) string { return p.work.OS(repopath.Path(name)) }

func (p *project) write(name, content string) {
	p.t.Helper()
	must(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o777))
	must(p.t, os.WriteFile(p.path(name), []byte(content), 0o666))
}

func (p *project) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(p.path(name))
	must(p.t, err)
	return string(b)
}

// run forgets earlier jobs and events and runs once. What it returns of the
// stages is "name:verb name:verb", in their order.
func (p *project) run(opt engine.Options) (verbs string, counts event.Counts, err error) {
	p.t.Helper()
	return p.runWithin(p.t.Context(), opt)
}

func (p *project) runWithin(ctx context.Context, opt engine.Options) (verbs string, counts event.Counts, err error) {
	p.t.Helper()
	p.runner.jobs, p.runner.settled, p.events = nil, nil, nil
	d := p.engine.Deployer
	d.Runs = p.engine.Runs
	d.Runner, d.Environ, d.Jobs, d.KeepGoing = p.engine.Runner, p.engine.Environ, max(opt.Jobs, 1), opt.KeepGoing
	r, err := p.engine.Run(ctx, p.lock, opt)
	p.result = r
	if r == nil {
		return "", counts, err
	}
	var all []string
	for _, o := range r.Stages {
		all = append(all, o.Stage.Name+":"+string(o.Verdict.Do))
	}
	return strings.Join(all, " "), r.Counts, err
}

// repro runs, which must succeed with these verbs.
func (p *project) repro(want string, opt engine.Options) {
	p.t.Helper()
	got, _, err := p.run(opt)
	must(p.t, err)
	if got != want {
		p.t.Fatalf("%s, want %s", got, want)
	}
}

// jobs names the stages whose commands ran, in their order.
func (p *project) jobs() string {
	var all []string
	for _, j := range p.runner.jobs {
		all = append(all, j.Stage.Name)
	}
	return strings.Join(all, " ")
}

// job returns the last job of the stage.
func (p *project) job(stage string) *action.Job {
	p.t.Helper()
	for i := len(p.runner.jobs) - 1; i >= 0; i-- {
		if p.runner.jobs[i].Stage.Name == stage {
			return p.runner.jobs[i]
		}
	}
	p.t.Fatalf("%s did not run", stage)
	return nil
}

// reasons returns the codes of the stage's verdict in the last run.
func (p *project) reasons(stage string) string {
	var codes []string
	for _, e := range p.events {
		if e.Type == event.Decided && e.Stage == stage {
			codes = nil
			for _, r := range e.Because {
				codes = append(codes, r.Code)
			}
		}
	}
	return strings.Join(codes, " ")
}

// told returns the texts of the last run's events of a type.
func (p *project) told(typ event.Type) string {
	var all []string
	for _, e := range p.events {
		if e.Type == typ {
			all = append(all, e.Text)
		}
	}
	return strings.Join(all, "\n")
}

// outcome returns what became of the stage in the last run.
func (p *project) outcome(stage string) engine.Outcome {
	p.t.Helper()
	for _, o := range p.result.Stages {
		if o.Stage.Name == stage {
			return o
		}
	}
	p.t.Fatalf("%s was not part of the run", stage)
	return engine.Outcome{}
}

// locked returns the lock's block of a stage.
func (p *project) locked(stage string) *lockfile.Stage {
	p.t.Helper()
	l := p.lock.Stage(stage)
	if l == nil {
		p.t.Fatalf("pipe.lock does not name %s", stage)
	}
	return l
}

func (p *project) id(stage string) object.RunID {
	p.t.Helper()
	l := p.locked(stage)
	return object.RunID{Key: l.Key, Generation: l.Generation}
}

// out returns the first out of a stage in the lock.
func (p *project) out(stage string) artifact.Output {
	p.t.Helper()
	return p.locked(stage).Outs[0]
}

// record returns the record in an index; nil when there is none.
func (p *project) record(ix store.Index, id object.RunID) *object.Record {
	p.t.Helper()
	rec, err := engine.Lookup(p.t.Context(), ix, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	must(p.t, err)
	return rec
}

// status says how a deploy stage stands in the environment.
func (p *project) status(stage string) string {
	p.t.Helper()
	env, err := p.engine.Env.Read(p.t.Context())
	must(p.t, err)
	return env.StageNow(stage).Status
}

// unlock takes the lease of a run away that could not give it up, as its time to live would.
func (p *project) unlock() {
	p.t.Helper()
	env, err := p.engine.Env.Read(p.t.Context())
	must(p.t, err)
	if env.Lease != nil {
		_, err = p.engine.Env.Unlock(p.t.Context(), env.Lease.Nonce)
		must(p.t, err)
	}
}

// has reports whether a store has an object.
func has(t testing.TB, s store.Store, ref object.Ref) bool {
	t.Helper()
	_, err := s.Stat(t.Context(), ref)
	if !errors.Is(err, store.ErrNotFound) {
		must(t, err)
	}
	return err == nil
}
