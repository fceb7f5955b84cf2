// Package release keeps environments: what is live, and what is being deployed.
//
// An environment has one mutable document, its State, changed by compare-and-swap and held by a
// lease while a deployment goes on. All else never changes once it is written: releases, which
// say what was deployed and are named by their content; the history of deployments; and the
// index of commits.
//
// What holds at every moment:
//
//   - Whether a stage is live is said by the state alone: "ok" with the very key.
//   - Nobody deploys without the lease, and whoever may take it over waits until the command of
//     the one before must be dead (package lease, and the keeper in package shell).
//   - What is decided about a deployment is decided on the very bytes that the write which
//     begins it replaces.
//   - The entry of the history comes before the write that ends a deployment, so that none is
//     missing; the state holds the newest one in any case.
package release

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Options say which environment is meant and how to deploy to it. Those who only
// read need Project and Name alone.
type Options struct {
	Project string // as pipe.yaml names it; empty: the cells belong to one workspace
	Name    string
	Now     func() time.Time
	Stamp   object.Stamp  // who deploys
	Run     string        // what deploys: a URL of the CI's run, else host and process
	TTL     time.Duration // of the lease; 0: the usual one
	// Probe proves that the cells honour conditional writes, without which two
	// runs could both believe that they deploy. It is asked before a
	// deployment, unless it has passed in the last 30 days. nil: the cells are this
	// workspace's own.
	Probe func(context.Context) error
	Say   func(text string)
	// Lister finds the project's other environments; nil: the store cannot list.
	Lister store.Lister
	Create bool // Begin may make an environment that does not exist
	// Older reports whether commit a is an ancestor of b, and whether that is known.
	Older func(ctx context.Context, a, b string) (older, known bool, err error)
}

// Default is the environment of those who name none. It needs no permission to be made.
const Default = "default"

// TTL is how long a lease lasts without a beat, unless somebody says otherwise.
const TTL = 120 * time.Second

// Environment is one named place to deploy to. The value is safe for many goroutines.
type Environment struct {
	cells store.Cells
	opt   Options
	doc   *lease.Doc

	mu     sync.Mutex
	noted  bool
	recent *State // as this process has last read or written it
}

// Open returns the environment that o names; it need not exist.
func Open(cells store.Cells, o Options) (*Environment, error) {
	if !spec.IsEnvironment(o.Name) {
		return nil, diag.New(diag.Usage, "%q is not a valid environment name; use lower-case letters, digits, '.', '_' and '-'", o.Name).
			Hinted("pipe repro --env staging")
	}
	if o.TTL == 0 {
		o.TTL = TTL
	}
	e := &Environment{cells: cells, opt: o}
	e.doc = lease.Open(cells, e.cell())
	return e, nil
}

// Name returns the environment's name.
func (e *Environment) Name() string { return e.opt.Name }

// base is what the paths of all that belongs to a project begin with.
func base(project string) string {
	if project == "" {
		return ""
	}
	return "projects/" + project + "/"
}

// root is the path of all environments of a project.
func root(project string) string { return base(project) + "env" }

func (e *Environment) cell() string { return root(e.opt.Project) + "/" + e.opt.Name + "/state" }

func (e *Environment) now() time.Time { return e.opt.Now().UTC().Truncate(time.Second) }

// Read returns the state; one that was never written is empty.
func (e *Environment) Read(ctx context.Context) (*State, error) {
	seen, err := e.doc.Read(ctx)
	if err != nil {
		return nil, err
	}
	s, err := e.parse(seen.Value)
	if err == nil {
		e.remember(s)
	}
	return s, err
}

func (e *Environment) remember(s *State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recent = s
}

// recalled returns the state as this process has last read or written it; nil: it has not. It may be
// another one by now, and a write may have failed.
func (e *Environment) recalled() *State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.recent
}

// lately returns the state as it was recently.
func (e *Environment) lately(ctx context.Context) (*State, error) {
	if s := e.recalled(); s != nil {
		return s, nil
	}
	return e.Read(ctx)
}

// Exists reports whether somebody has written the state.
func (s *State) Exists() bool { return !s.absent }

// change writes what f makes of the state. Leases of others that stand in it get older by it.
func (e *Environment) change(ctx context.Context, mine string, f func(lease.Seen, *State) error) (sent time.Time, err error) {
	return e.doc.Change(ctx, func(seen lease.Seen) ([]byte, error) { return e.next(seen, mine, f) })
}

// next returns the value that f makes of what was seen.
func (e *Environment) next(seen lease.Seen, mine string, f func(lease.Seen, *State) error) ([]byte, error) {
	s, err := e.parse(seen.Value)
	if err != nil {
		return nil, err
	}
	if err := e.writable(s); err != nil {
		return nil, err
	}
	lease.Age(seen, mine, s.leases()...)
	if err := f(seen, s); errors.Is(err, errKeep) {
		return seen.Value, nil
	} else if err != nil {
		return nil, err
	}
	s.Seq++
	b, err := s.encode()
	if err == nil {
		e.remember(s)
	}
	return b, err
}

// leases returns all that stands in the state and ages.
func (s *State) leases() (all []*lease.Lease) {
	if s.Lease != nil {
		all = append(all, s.Lease)
	}
	for i := range s.Next {
		all = append(all, &s.Next[i].Lease)
	}
	return all
}

// StageNow returns what the state says of a deploy stage now.
func (s *State) StageNow(stage string) action.Live {
	live := action.Live{Env: s.Env}
	if st, ok := s.Stages[stage]; ok {
		live.Status, live.Key, live.Deps, live.Asked, live.Commit, live.Values = st.now(), st.Key, st.Deps, st.Asked, st.Commit, st.Values
	}
	return live
}

func (e *Environment) mayCreate() bool { return e.opt.Create || e.opt.Name == Default }

// CheckExists fails with an error of kind usage where Begin would, because nobody has asked for
// a new environment. It is for those who want to know before they build; Begin decides.
func (e *Environment) CheckExists(ctx context.Context) error {
	if e.mayCreate() {
		return nil
	}
	s, err := e.Read(ctx)
	if err == nil && s.absent {
		err = e.unknown(ctx)
	}
	return err
}

// unknown says that nobody has deployed to the environment, and which name may be meant. A
// store that refuses to list gives no proposal; it does not cause another error.
func (e *Environment) unknown(ctx context.Context) error {
	const makes = "pipe env lists the environments; --create-env makes a new one"
	err := diag.New(diag.Usage, "no environment named %q", e.opt.Name).Hinted(makes)
	names, _ := Names(ctx, e.opt)
	if near := yamldoc.Nearest(e.opt.Name, names); near != "" && near != e.opt.Name {
		err = err.Hinted("did you mean %s? %s", near, makes)
	}
	return err
}

// SayLocal says once, where the environment is this workspace's own, that nobody else knows of it:
// what is decided by it holds for this workspace.
func (e *Environment) SayLocal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opt.Probe == nil && !e.noted {
		e.noted = true
		e.opt.Say("no remote: only this workspace knows what is deployed")
	}
}

// probeFor is how long a store's proof counts.
const probeFor = 30 * 24 * time.Hour

// dayForm is how the day of the proof stands in the state.
const dayForm = time.DateOnly

// probe proves that Begin can keep its promise, and returns the day to write into the state; ""
// when there is nothing to write.
func (e *Environment) probe(ctx context.Context, s *State) (day string, err error) {
	if e.opt.Probe == nil {
		return "", nil
	}
	now := e.now()
	// A day that lies ahead is a mistake of somebody's clock, and proves nothing.
	if at, err := time.Parse(dayForm, s.Probed); err == nil && now.Sub(at) < probeFor && now.After(at) {
		return "", nil
	}
	err = e.opt.Probe(ctx)
	if diag.Is(err, diag.Policy) {
		err = diag.New(diag.Policy, "not deployed: the remote does not support conditional writes: %w", err).
			Hinted("use a remote that passes pipe remote probe")
	}
	return now.Format(dayForm), err
}

// errKeep ends a change that leaves everything as it is.
var errKeep = errors.New("nothing to change")

// errAbsent ends a write that would make an environment out of a typing error.
var errAbsent = errors.New("no such environment")
