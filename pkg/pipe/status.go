package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Status is how the workspace stands against the lock and the environment.
type Status struct {
	Result             // what repro would do
	Outs   []OutStatus `json:"outs"`           // every recorded output
	Note   string      `json:"note,omitempty"` // why the environment could not be asked
	// Unpushed is what the remote lacks of what the lock names, when it was asked for.
	Unpushed []Fault `json:"unpushed,omitempty"`
}

// StatusOptions say what Status looks at. The zero value means all stages, and no remote.
type StatusOptions struct {
	Targets []string // stages or outs; with them, all that they need
	Remote  bool     // ask the remote for the records and outputs that the lock names
}

// Status compares the workspace with the lock, without the network but for the environment's
// state, and with Remote for what the lock names. It writes nothing but the stat index. When the environment cannot be asked the rest
// is still answered, and Note says why.
func (p *Project) Status(ctx context.Context, opt StatusOptions) (*Status, error) {
	r, err := p.Plan(ctx, ReproOptions{Targets: opt.Targets, NoPull: true})
	s := &Status{Outs: []OutStatus{}}
	// Without the environment (out of reach, or written by a newer pipe) the workspace can still be looked at.
	if r != nil && (diag.Is(err, diag.Network) || diag.Is(err, diag.Auth) || diag.Is(err, diag.Policy)) {
		s.Note, err = err.Error(), nil
	}
	if err != nil {
		return nil, err
	}
	s.Result = *r
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	for i := range lock.Stages {
		l := &lock.Stages[i]
		if p.spec.Stage(l.Name) == nil {
			continue
		}
		for _, o := range l.Outs {
			st := OutStatus{Stage: l.Name, Path: string(o.Path), Hash: o.Digest, State: "differs"}
			here, _, err := p.work.Output(ctx, o.Path)
			switch {
			case errors.Is(err, worktree.ErrAbsent):
				st.State = "absent"
			case err != nil:
				return nil, err
			case here.Same(o):
				st.State = "same"
			}
			// Any error counts as not there: status only reports.
			_, err = p.cache.Stat(ctx, object.Of(o))
			st.Cache = err == nil
			s.Outs = append(s.Outs, st)
		}
	}
	if opt.Remote {
		s.Unpushed, err = p.unpushed(ctx, lock, opt.Targets)
	}
	return s, err
}

// OutStatus is how one recorded out compares with what lies in the workspace.
type OutStatus struct {
	Stage string        `json:"stage"` // that makes it
	Path  string        `json:"path"`  // relative to the project
	Hash  digest.Digest `json:"hash"`  // as recorded
	State string        `json:"state"` // same, absent, differs
	Cache bool          `json:"cache"` // its bytes are in the cache
}
