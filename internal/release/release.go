// Package release keeps environments: what is live, and what is being deployed.
package release

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Options say which environment is meant and how to deploy to it. Those who only
// read need Project and Name alone.
type Options struct {
	Project string // as pipe.yaml names it; empty: the cells belong to one workspace
	Name    string
	Now     func() time.Time
	Stamp   object.Stamp // who deploys
	// Probe proves that the cells honour conditional writes, without which two
	// runs could both believe that they deploy. It is asked before the first
	// deployment, and not again once it has passed. nil: the cells are this
	// workspace's own, which Note is told once.
	Probe func(context.Context) error
	Note  func(text string)
	// Lister finds the project's other environments; nil: the store cannot list.
	Lister store.Lister
	Create bool // Begin may make an environment that does not exist
}

// Default is the environment of those who name none. It needs no permission to be made.
const Default = "default"

// Environment is one named place to deploy to. The value is safe for many goroutines.
type Environment struct {
	cells store.Cells
	opt   Options

	mu     sync.Mutex
	probed bool
}

// nameForm is what every store takes as part of a path, on every file system.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func isName(s string) bool { return nameForm.MatchString(s) && !strings.HasSuffix(s, ".lock") }

// Open returns the environment that o names; it need not exist.
func Open(cells store.Cells, o Options) (*Environment, error) {
	if !isName(o.Name) {
		return nil, diag.New(diag.Usage, "%q is not a valid environment name; use lower-case letters, digits, '.', '_' and '-'", o.Name).
			Hinted("pipe repro --env staging")
	}
	return &Environment{cells: cells, opt: o}, nil
}

// Name returns the environment's name.
func (e *Environment) Name() string { return e.opt.Name }

// root is the path of all environments of a project.
func root(project string) string {
	if project == "" {
		return "env"
	}
	return "projects/" + project + "/env"
}

func (e *Environment) cell() string { return root(e.opt.Project) + "/" + e.opt.Name + "/state" }

func (e *Environment) now() time.Time { return e.opt.Now().UTC().Truncate(time.Second) }

// Read returns the state; one that was never written is empty.
func (e *Environment) Read(ctx context.Context) (*State, error) {
	b, _, err := e.cells.Load(ctx, e.cell())
	if errors.Is(err, store.ErrNotFound) {
		b, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return e.parse(b)
}

// mutate writes what change makes of the state.
func (e *Environment) mutate(ctx context.Context, change func(*State) error) error {
	return mutate(ctx, e.cells, e.cell(), func(old []byte) ([]byte, error) {
		s, err := e.parse(old)
		if err != nil {
			return nil, err
		}
		if err := e.writable(s); err != nil {
			return nil, err
		}
		if err := change(s); err != nil {
			return nil, err
		}
		s.Seq++
		return s.encode()
	})
}

// Live returns what the environment says of a deploy stage now.
func (e *Environment) Live(ctx context.Context, stage string) (action.Live, error) {
	live := action.Live{Env: e.opt.Name}
	s, err := e.Read(ctx)
	if err != nil {
		return live, err
	}
	if st, ok := s.Stages[stage]; ok {
		live.Status, live.Key, live.Deps, live.Tools, live.Commit = st.now(), st.Key, st.Deps, st.Tools, st.Commit
	}
	return live, nil
}

// Deployment is what is being deployed.
type Deployment struct {
	Stage     string
	Key       digest.Key
	Closure   digest.Digest    // tree of all that the command sees; in cache and, unless Local, remote
	Dir       repopath.Path    // of the project in it, when its paths are from the top of the git repository; else empty
	Local     bool             // some of it must not leave this machine, so no other one can deploy it
	Deps      []artifact.Input // what the stage declares
	Tools     []artifact.Tool
	Artifacts []artifact.Output // outs of other stages among it
	Again     bool              // deploy although this version is live
}

// ErrLive says that the very version that was to be deployed is live by now:
// another run was faster.
var ErrLive = errors.New("already live")

// Begin writes that d is being deployed and returns the deployment's name. It
// decides once more, in the same write: when the version is live by now it fails
// with ErrLive, unless d.Again is set, and changes nothing; so it does with the error
// of Exists. No command may run when it fails.
func (e *Environment) Begin(ctx context.Context, d Deployment) (token string, err error) {
	if err := e.probe(ctx); err != nil {
		return "", err
	}
	st := Stage{
		Status: action.StatusDeploying, Key: d.Key, Deployment: rand.Text(), At: e.now(), By: e.opt.Stamp.By,
		Commit: e.opt.Stamp.Commit, Closure: d.Closure, Dir: d.Dir, Local: d.Local, Deps: d.Deps, Tools: d.Tools, Artifacts: d.Artifacts,
	}
	err = e.mutate(ctx, func(s *State) error {
		if s.absent && !e.mayCreate() {
			return errAbsent
		}
		if old := s.Stages[d.Stage]; !d.Again && old.Status == action.StatusOK && old.Key == d.Key {
			return ErrLive
		}
		s.Stages[d.Stage] = st
		return nil
	})
	if errors.Is(err, errAbsent) {
		err = e.unknown(ctx)
	}
	return st.Deployment, err
}

// errAbsent ends a write that would make an environment out of a typing error.
var errAbsent = errors.New("no such environment")

func (e *Environment) mayCreate() bool { return e.opt.Create || e.opt.Name == Default }

// Exists fails with an error of kind usage where Begin would, because nobody has asked for
// a new environment. It is for those who want to know before they build; Begin decides.
func (e *Environment) Exists(ctx context.Context) error {
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
	names, _ := names(ctx, e.opt)
	if near := yamldoc.Nearest(e.opt.Name, names); near != "" && near != e.opt.Name {
		err = err.Hinted("did you mean %s? %s", near, makes)
	}
	return err
}

// probe proves once that Begin can keep its promise.
func (e *Environment) probe(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.probed {
		return nil
	}
	if e.opt.Probe == nil {
		e.opt.Note("no remote: only this workspace knows of the deployment")
		e.probed = true
		return nil
	}
	err := e.opt.Probe(ctx)
	e.probed = err == nil
	if diag.Is(err, diag.Policy) {
		return diag.New(diag.Policy, "not deployed: the remote does not support conditional writes: %w", err).
			Hinted("use a remote that passes pipe remote probe")
	}
	return err
}

// errTheirs ends a write that is not ours to make.
var errTheirs = errors.New("another deployment of the same version")

// End writes how the deployment ended. When another run began meanwhile, two
// commands have worked on the target at once. If both deployed the same version
// and well, nothing is lost; else what is live is not known, and the environment
// says so, whichever of them ends last: an error of kind Busy.
func (e *Environment) End(ctx context.Context, d Deployment, token string, ok bool) error {
	var busy error
	err := e.mutate(ctx, func(s *State) error {
		st := s.Stages[d.Stage]
		busy = nil
		switch {
		case st.Deployment != token && ok && st.Key == d.Key && (st.Status == action.StatusOK || st.Status == action.StatusDeploying):
			return errTheirs
		case st.Deployment != token:
			busy = e.contested(d.Stage, st)
			st.Contested = true
			if st.Status != action.StatusDeploying {
				st.Status = action.StatusUnknown
			}
		case st.Contested:
			busy = e.contested(d.Stage, st)
			st.Status, st.Contested = action.StatusUnknown, false
		case ok:
			st.Status = action.StatusOK
		default:
			st.Status = action.StatusFailed
		}
		st.At = e.now()
		s.Stages[d.Stage] = st
		return nil
	})
	if errors.Is(err, errTheirs) {
		return nil
	}
	return errors.Join(err, busy)
}

func (e *Environment) contested(stage string, st Stage) error {
	return diag.New(diag.Busy, "%s: another run (%s) deployed at the same time; it is unknown which version is live", stage, st.By).
		At(e.cell()).Hinted("run pipe repro again")
}
