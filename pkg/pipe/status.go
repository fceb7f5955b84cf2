package pipe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Status is how the workspace stands against the lock and the environment.
type Status struct {
	Result             // what repro would do
	Outs   []OutStatus `json:"outs"`           // every recorded output
	Note   string      `json:"note,omitempty"` // why the environment could not be read, or a stage not be decided
	// Unpushed is what the remote lacks of what the lock names, when it was asked for.
	Unpushed []Fault `json:"unpushed,omitempty"`
}

// StatusOptions say what Status looks at. The zero value means all stages, and no remote.
type StatusOptions struct {
	Targets []string // stages or outs; with them, all that they need
	Remote  bool     // ask the remote for the records and outputs that the lock names
}

// Status compares the workspace with the lock, without the network but for the environment's
// state, and with Remote for what the lock names. It writes nothing but the stat index. When
// the environment cannot be read, or a rule refuses a stage's inputs, the rest is still answered
// beside the error, and Note says why.
func (p *Project) Status(ctx context.Context, opt StatusOptions) (*Status, error) {
	r, unread := p.run(ctx, ReproOptions{Targets: opt.Targets, NoPull: true, KeepGoing: true, ask: askNone}, nil, true)
	s := &Status{Outs: []OutStatus{}, Note: unreadNote(unread)}
	if r == nil || unread != nil && s.Note == "" {
		return nil, unread
	}
	s.Result = *r
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	files := p.lists(p.offline(), lock)
	for i := range s.Stages {
		if s.Stages[i].Files, err = files.changedFiles(ctx, &s.Stages[i]); err != nil {
			return nil, err
		}
	}
	for i := range lock.Stages {
		l := &lock.Stages[i]
		declared := p.spec.Stage(l.Name)
		if declared == nil {
			continue
		}
		for _, o := range l.Outs {
			st := OutStatus{Stage: l.Name, Path: string(o.Path), Hash: o.Digest, Input: declared.Input, State: "differs"}
			here, tree, err := p.work.Output(ctx, o.Path)
			switch {
			case errors.Is(err, worktree.ErrAbsent):
				st.State = "absent"
			case err != nil:
				return nil, err
			case here.Same(o):
				st.State = "same"
			default:
				if st.Files, st.Note, err = files.changedOut(ctx, l.Name, o, tree); err != nil {
					return nil, err
				}
			}
			// Any error counts as not there: status only reports.
			_, err = p.cache.Stat(ctx, object.Of(o))
			st.Cache = err == nil
			s.Outs = append(s.Outs, st)
		}
	}
	if opt.Remote {
		if s.Unpushed, err = p.unpushed(ctx, lock, opt.Targets); err != nil {
			return nil, err
		}
	}
	return s, unread
}

// unreadNote words an error that leaves the rest of the answer right: the environment is out of
// reach, not trusted, damaged, or written by a newer pipe, or a rule refuses a stage's inputs.
// Others give "".
func unreadNote(err error) string {
	var notes []string
	for _, e := range diag.All(err) {
		switch e.Kind {
		case diag.Network, diag.Auth, diag.Policy, diag.Integrity:
			note := e.Error()
			if e.Hint != "" {
				note += " (" + e.Hint + ")"
			}
			notes = append(notes, note)
		default:
			return ""
		}
	}
	return strings.Join(slices.Compact(notes), "; ") // each deploy stage has asked
}

// OutStatus is how one recorded out compares with what lies in the workspace.
type OutStatus struct {
	Stage string        `json:"stage"`           // that makes it
	Path  string        `json:"path"`            // relative to the project
	Hash  digest.Digest `json:"hash"`            // as recorded
	Input bool          `json:"input,omitempty"` // pipe add keeps it; no stage makes it
	State string        `json:"state"`           // same, absent, differs
	Cache bool          `json:"cache"`           // its bytes are in the cache
	// Files are those in which a directory that differs is another one than was recorded.
	Files []lockfile.Change `json:"files,omitempty"`
	Note  string            `json:"note,omitempty"` // why they cannot be listed
}
