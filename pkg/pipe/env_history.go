package pipe

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// History is the newest deployments to an environment.
type History struct {
	Env         string           `json:"env"`            // the environment
	Deployments []PastDeployment `json:"deployments"`    // the newest first
	More        bool             `json:"more,omitempty"` // there are older ones
}

// PastDeployment is one deployment in the history of an environment.
type PastDeployment struct {
	N        uint64      `json:"n"`                  // its number
	Env      string      `json:"env"`                // the environment
	Kind     string      `json:"kind"`               // deploy, promote, rollback or destroy
	Status   string      `json:"status"`             // ok, failed, stopped, unknown (its run died), or running
	Release  string      `json:"release,omitempty"`  // what was to be live
	From     string      `json:"from,omitempty"`     // the environment that it was promoted from
	Commit   string      `json:"commit,omitempty"`   // that made the release
	Dirty    bool        `json:"dirty,omitempty"`    // inputs were edited after that commit
	Override bool        `json:"override,omitempty"` // other sources or values than the commit's were asked for
	By       string      `json:"by,omitempty"`       // who started it
	Run      string      `json:"run,omitempty"`      // the CI's run, or host and process
	Version  string      `json:"version,omitempty"`  // of pipe
	At       time.Time   `json:"at"`                 // when it began
	Ended    time.Time   `json:"ended,omitzero"`     // when it ended; missing while it goes on
	Reason   string      `json:"reason,omitempty"`   // as --reason gave it
	Options  []string    `json:"options,omitempty"`  // what narrowed or overrode it, as on the command line
	Error    string      `json:"error,omitempty"`    // why it failed
	Stages   []PastStage `json:"stages"`             // sorted by name
}

// PastStage is what one deployment did about one stage.
type PastStage struct {
	Stage    string            `json:"stage"`              // its name
	Do       string            `json:"do"`                 // run; skip: it was live already; not: the deployment did not come to it
	Status   string            `json:"status,omitempty"`   // of the stage at the end; empty: it is not there
	Was      string            `json:"was,omitempty"`      // key of the version before
	Key      string            `json:"key,omitempty"`      // of the version that was to be live
	Commit   string            `json:"commit,omitempty"`   // that made the stage; empty: the deployment's
	Values   map[string]string `json:"values,omitempty"`   // of its variables, as pipe.yaml or --set gave them
	Outside  map[string]string `json:"outside,omitempty"`  // hashes of those that came from outside
	Seconds  float64           `json:"seconds,omitempty"`  // how long its commands took
	Attempts int               `json:"attempts,omitempty"` // of its commands; absent: one
	Exit     int               `json:"exit,omitempty"`     // exit code; -1: a signal ended it
	Error    string            `json:"error,omitempty"`    // why it failed
	Log      digest.Digest     `json:"log,omitzero"`       // of what its commands printed
	Output   string            `json:"output,omitempty"`   // that text, secrets masked; of one deployment alone
	Lost     string            `json:"lost,omitempty"`     // why Output is missing
}

// History returns the newest deployments to an environment, at most so many; the first may be one
// that goes on. Those that cannot be read are left out, and named by the error.
func (p *Project) History(ctx context.Context, name string, limit int) (*History, error) {
	e, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	n := int(min(uint64(max(limit, 0)), s.N))
	all, errs := make([]*release.Entry, n), make([]error, n)
	err = par.Each(ctx, n, p.workers(), func(ctx context.Context, i int) error {
		all[i], errs[i] = entryOf(ctx, e, s, s.N-uint64(i))
		return nil
	})
	if err != nil {
		return nil, err
	}
	h := &History{Env: name, Deployments: []PastDeployment{}, More: uint64(n) < s.N}
	for _, x := range all {
		if x != nil {
			h.Deployments = append(h.Deployments, pastOf(x))
		}
	}
	return h, errors.Join(errs...)
}

// entryOf returns deployment n. Of one that goes on it is what the state knows. One of the others
// that is not there was deleted.
func entryOf(ctx context.Context, e *release.Environment, s *release.Sight, n uint64) (*release.Entry, error) {
	x, err := e.Entry(ctx, s.State, n)
	if n == 0 || n > s.N || !diag.Is(err, diag.NotFound) {
		return x, err
	}
	if s.Lease != nil && s.Lease.N == n {
		return e.Running(s), nil
	}
	lost := diag.All(err)[0]
	return nil, diag.New(diag.Integrity, "the history of %s lacks deployment #%d", e.Name(), n).At(lost.Place).Hinted("pipe env history %s --verify", e.Name())
}

// pastOf is an entry as answers have it.
func pastOf(x *release.Entry) PastDeployment {
	d := PastDeployment{
		N: x.N, Env: x.Env, Kind: x.Kind, Status: x.Status, Release: idText(x.Release), From: x.From, Commit: x.Commit, Dirty: x.Dirty, Override: x.Override,
		By: x.By, Run: x.Run, Version: x.Version, At: x.At, Ended: x.Ended, Reason: x.Reason, Options: x.Options, Error: x.Error, Stages: []PastStage{},
	}
	text := func(k digest.Key) string {
		if k.IsZero() {
			return ""
		}
		return k.String()
	}
	for _, name := range slices.Sorted(maps.Keys(x.Stages)) {
		a := x.Stages[name]
		d.Stages = append(d.Stages, PastStage{
			Stage: name, Do: a.Do, Status: a.Status, Was: text(a.Was), Key: text(a.Key), Commit: a.Commit, Values: a.Values, Outside: a.Outside,
			Seconds: a.Seconds, Attempts: a.Attempts, Exit: a.Exit, Error: a.Error, Log: a.Log,
		})
	}
	return d
}

// PastDeployment returns deployment n of an environment, with what its commands printed.
func (p *Project) PastDeployment(ctx context.Context, name string, n uint64) (*PastDeployment, error) {
	e, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	x, err := entryOf(ctx, e, s, n)
	if err != nil {
		return nil, err
	}
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	if p.home != nil && p.spec.Name != "" {
		c.Remote = p.home // the logs are where the environment is
	}
	d := pastOf(x)
	for i := range d.Stages {
		st := &d.Stages[i]
		if st.Log.IsZero() {
			continue
		}
		b, err := c.Log(ctx, st.Log)
		switch {
		case errors.Is(err, store.ErrNotFound):
			st.Lost = "it is in neither the cache nor the remote"
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			st.Lost = err.Error()
		}
		st.Output = string(b)
	}
	return &d, nil
}

// VerifiedHistory is what a walk over a history has found.
type VerifiedHistory struct {
	Env         string `json:"env"`               // the environment
	Deployments uint64 `json:"deployments"`       // how many there are, each the one that the next one names
	Running     uint64 `json:"running,omitempty"` // number of one that goes on, and is in no history yet
}

// VerifyHistory walks the history of an environment from the newest deployment to the first. An
// entry that is missing or was changed is an error of kind integrity.
func (p *Project) VerifyHistory(ctx context.Context, name string) (*VerifiedHistory, error) {
	e, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	v := &VerifiedHistory{Env: name}
	if s.Lease != nil {
		v.Running = s.Lease.N
	}
	return v, e.Chain(ctx, s.State, func(*release.Entry) error {
		v.Deployments++
		return nil
	})
}
