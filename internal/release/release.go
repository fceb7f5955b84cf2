// Package release keeps environments: what is live, and what is being deployed.
package release

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Schema is the number of the state's form that this version reads and writes.
const Schema = 1

// State is one environment, the only mutable object of a project: JSON at
// env/NAME/state in the remote.
type State struct {
	Schema int              `json:"schema"`
	Seq    uint64           `json:"seq"` // grows with every write
	Stages map[string]Stage `json:"stages"`
	// Extra holds fields of later versions (lease, hold, queue), which are kept.
	Extra map[string]json.RawMessage `json:"-"`
}

// Stage is a deploy stage in an environment.
type Stage struct {
	Status     string            `json:"status"` // ok, failed, deploying, unknown
	Key        digest.Key        `json:"key"`
	Deployment string            `json:"deployment"` // unlike any other; the command sees it
	By         string            `json:"by,omitempty"`
	At         time.Time         `json:"at"`
	Commit     string            `json:"commit,omitempty"`
	Closure    digest.Digest     `json:"closure"`             // tree of all files that the command got
	Contested  bool              `json:"contested,omitempty"` // another command worked on the target meanwhile
	Deps       []artifact.Input  `json:"deps"`
	Artifacts  []artifact.Output `json:"artifacts,omitempty"` // stages' outs among them
	// Extra holds fields of later versions, which are kept while another stage is written.
	Extra map[string]json.RawMessage `json:"-"`
}

// stageFields is Stage without its methods.
type stageFields Stage

// MarshalJSON implements json.Marshaler.
func (s Stage) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(stageFields(s))
	if err != nil || len(s.Extra) == 0 {
		return b, err
	}
	m := maps.Clone(s.Extra)
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stage) UnmarshalJSON(b []byte) error {
	var f stageFields
	if err := errors.Join(json.Unmarshal(b, &f), json.Unmarshal(b, &f.Extra)); err != nil {
		return err
	}
	for _, k := range []string{"status", "key", "deployment", "by", "at", "commit", "closure", "deps", "artifacts"} {
		delete(f.Extra, k)
	}
	*s = Stage(f)
	return nil
}

// Environment is one named place to deploy to. The value is safe for many goroutines.
type Environment struct {
	cells store.Cells
	name  string
	now   func() time.Time
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Open returns the environment of the name; it need not exist.
func Open(cells store.Cells, name string, now func() time.Time) (*Environment, error) {
	if !nameForm.MatchString(name) || strings.HasSuffix(name, ".lock") {
		return nil, diag.New(diag.Usage, "%q is no name for an environment: lower-case letters, digits, ., _ and -", name).
			Hinted("pipe repro --env staging")
	}
	return &Environment{cells: cells, name: name, now: now}, nil
}

// Name returns the environment's name.
func (e *Environment) Name() string { return e.name }

func (e *Environment) cell() string { return "env/" + e.name + "/state" }

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

func (e *Environment) parse(b []byte) (*State, error) {
	s := &State{Schema: Schema, Stages: map[string]Stage{}}
	if b == nil {
		return s, nil
	}
	s.Schema = 0 // as it stands there, not as we would write it
	err := json.Unmarshal(b, s)
	if err == nil && s.Schema != Schema {
		err = fmt.Errorf("schema %d; this pipe reads %d", s.Schema, Schema)
	}
	if err == nil {
		err = json.Unmarshal(b, &s.Extra)
	}
	if err != nil {
		return nil, diag.New(diag.Integrity, "the environment's state cannot be read: %w", err).At(e.cell()).
			Hinted("take a newer pipe, or look at the object in the remote")
	}
	for _, k := range []string{"schema", "seq", "stages"} {
		delete(s.Extra, k)
	}
	if s.Stages == nil {
		s.Stages = map[string]Stage{}
	}
	return s, nil
}

func (s *State) encode() ([]byte, error) {
	m := map[string]any{"schema": s.Schema, "seq": s.Seq, "stages": s.Stages}
	for k, v := range s.Extra {
		m[k] = v
	}
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// mutate writes what change makes of the state.
func (e *Environment) mutate(ctx context.Context, change func(*State) error) error {
	return lease.Mutate(ctx, e.cells, e.cell(), func(old []byte) ([]byte, error) {
		s, err := e.parse(old)
		if err != nil {
			return nil, err
		}
		if err := change(s); err != nil {
			return nil, err
		}
		s.Seq++
		return s.encode()
	})
}

// Live returns what the environment says of a deploy stage now. A "deploying"
// that another run wrote counts as unknown: whether that run is alive cannot be
// told yet.
func (e *Environment) Live(ctx context.Context, stage string) (action.Live, error) {
	live := action.Live{Env: e.name}
	s, err := e.Read(ctx)
	if err != nil {
		return live, err
	}
	st, ok := s.Stages[stage]
	if !ok {
		return live, nil
	}
	live.Status, live.Key = st.Status, st.Key
	if live.Status == action.StatusDeploying {
		live.Status = action.StatusUnknown
	}
	live.Deps = st.Deps
	return live, nil
}

// ErrLive says that the very version that was to be deployed is live by now:
// another run was faster.
var ErrLive = errors.New("live already")

// Begin writes that the stage is being deployed and returns the deployment's
// name. d's Status, Deployment and At are set here. It decides once more, in the
// same write: when the version is live by now it fails with ErrLive, unless again
// is set, and changes nothing.
func (e *Environment) Begin(ctx context.Context, stage string, d Stage, again bool) (string, error) {
	d.Status, d.Deployment, d.At = action.StatusDeploying, rand.Text(), e.now().UTC().Truncate(time.Second)
	return d.Deployment, e.mutate(ctx, func(s *State) error {
		if old := s.Stages[stage]; !again && old.Status == action.StatusOK && old.Key == d.Key {
			return ErrLive
		}
		s.Stages[stage] = d
		return nil
	})
}

// errTheirs ends a write that is not ours to make.
var errTheirs = errors.New("another deployment of the same version")

// End writes how the deployment ended. When another run began meanwhile, two
// commands have worked on the target at once. If both deployed the same version
// and well, nothing is lost; else what is live is not known, and the environment
// says so, whichever of them ends last: an error of kind Busy.
func (e *Environment) End(ctx context.Context, stage, deployment string, key digest.Key, ok bool) error {
	var busy error
	err := e.mutate(ctx, func(s *State) error {
		d := s.Stages[stage]
		busy = nil
		switch {
		case d.Deployment != deployment && ok && d.Key == key && (d.Status == action.StatusOK || d.Status == action.StatusDeploying):
			return errTheirs
		case d.Deployment != deployment:
			busy = e.contested(stage, d)
			d.Contested = true
			if d.Status != action.StatusDeploying {
				d.Status = action.StatusUnknown
			}
		case d.Contested:
			busy = e.contested(stage, d)
			d.Status, d.Contested = action.StatusUnknown, false
		case ok:
			d.Status = action.StatusOK
		default:
			d.Status = action.StatusFailed
		}
		d.At = e.now().UTC().Truncate(time.Second)
		s.Stages[stage] = d
		return nil
	})
	if errors.Is(err, errTheirs) {
		return nil
	}
	return errors.Join(err, busy)
}

func (e *Environment) contested(stage string, d Stage) error {
	return diag.New(diag.Busy, "%s: another run (%s) deployed at the same time; what is live is not known", stage, d.By).
		At(e.cell()).Hinted("run pipe repro again: it deploys")
}

// Names calls f for each environment that the store has.
func Names(ctx context.Context, l store.Lister, f func(name string) error) error {
	return l.Names(ctx, "env", func(cell string) error {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(cell, "env/"), "/state"); ok && nameForm.MatchString(name) {
			return f(name)
		}
		return nil
	})
}
