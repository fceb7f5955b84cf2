package pipe

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Shown is the record of a run, with what pipe.lock and git know of it.
type Shown struct {
	Run
	Source   string            `json:"source"`             // cache or remote: where the record was; lock: there is none
	FromLock bool              `json:"from_lock"`          // nobody knows who ran it: the record was made from pipe.lock, or there is none
	Platform string            `json:"platform,omitempty"` // the stage's platform
	Outs     []artifact.Output `json:"outs"`               // what it made
	Inputs   []artifact.Input  `json:"inputs,omitempty"`   // what it read; not known where no pipe.lock names it
	Params   []ShownValue      `json:"params,omitempty"`   // the parameters, by FILE:KEY
	Variable []ShownValue      `json:"env_vars,omitempty"` // the declared environment variables
	Now      bool              `json:"now"`                // the workspace's pipe.lock names it
	First    *Commit           `json:"first,omitempty"`    // the first commit whose pipe.lock names it
	Last     *Commit           `json:"last,omitempty"`     // the last one
	Others   []string          `json:"others,omitempty"`   // keys of other runs with the same output or log
	Record   json.RawMessage   `json:"record,omitempty"`   // the record as it is stored
}

// ShownValue is a parameter or variable as pipe.lock has it: its value, or a hash of it.
type ShownValue struct {
	Name  string `json:"name"`            // FILE:KEY, or the variable
	Value string `json:"value,omitempty"` // when Hash is empty
	Hash  string `json:"hash,omitempty"`  // set, unset, or the beginning of a hash
}

// Show returns the record of the run that a stage, an output or a hash means: the stage's that the
// workspace's lock names, or the newest with the hash, which may be of a key, an output or a log.
func (p *Project) Show(ctx context.Context, what string) (*Shown, error) {
	found, err := p.meant(ctx, what)
	if err != nil {
		return nil, err
	}
	of := found[0]
	s := &Shown{}
	rec, from, err := p.lookup(ctx, of.id)
	away := diag.Is(err, diag.Network) || diag.Is(err, diag.Auth)
	if away && of.build != nil {
		p.note("could not read the record: " + err.Error())
	}
	switch {
	case (away || errors.Is(err, store.ErrNotFound)) && of.build != nil:
		rec = &object.Record{ID: of.id, Stage: of.stage, Outs: of.build.Outs, FromLock: true}
		from = inLock
	case errors.Is(err, store.ErrNotFound):
		return nil, p.unrecorded(of.stage, of.id)
	case err != nil:
		return nil, err
	case from == inCache:
		s.Record, err = p.cache.Lookup(ctx, of.id)
	default:
		s.Record, err = p.remote.Lookup(ctx, of.id)
	}
	if err != nil && from != inLock {
		return nil, err
	}
	s.Run, s.Source, s.FromLock, s.Platform, s.Outs = p.runOf(rec), from, rec.FromLock, rec.Platform, rec.Outs
	if s.Outs == nil {
		s.Outs = []artifact.Output{}
	}
	if of.build != nil {
		s.add(of.build)
	}
	for _, f := range found[1:] {
		if f.id != of.id {
			s.Others = append(s.Others, f.id.String())
		}
	}
	return s, nil
}

// meant finds what the user means: a stage or output first, as everywhere.
func (p *Project) meant(ctx context.Context, what string) ([]recorded, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	stage, err := p.everNamed(what, lock)
	if err != nil {
		q := hashOf(what)
		if q.prefix == "" {
			return nil, err
		}
		if err := q.check("pipe show HASH"); err != nil {
			return nil, err
		}
		return p.resolve(ctx, "", q)
	}
	block := lock.Stage(stage)
	if s := p.spec.Stage(stage); s != nil && s.Deploy {
		return nil, diag.New(diag.Usage, "%s is a deploy stage: its environment says what is live, and it has no record", stage).
			Hinted("pipe status %s, or pipe log %s", stage, stage)
	}
	if block == nil {
		return nil, diag.New(diag.NotFound, "%s has no stage %s", lockfile.FileName, stage).Hinted("pipe repro %s", stage)
	}
	builds, err := history.Builds(ctx, p.repo, p.lockAt, lock, func(s *lockfile.Stage) bool { return runID(s) == runID(block) }, p.leftOut)
	if len(builds) == 0 {
		return nil, err
	}
	if err != nil { // only commits are missing, as in a repository that cannot be walked
		p.note("commits are not complete: " + err.Error())
	}
	return []recorded{{id: runID(block), stage: stage, build: builds[0]}}, nil
}

// add fills in what a lock and git know.
func (s *Shown) add(b *history.Build) {
	s.Inputs, s.Now = b.Deps, b.Now
	for _, x := range b.Params {
		v := ShownValue{Name: string(x.File), Value: x.Value}
		if x.Key != "" {
			v.Name += ":" + x.Key
		}
		if !x.Hash.IsZero() {
			v.Value, v.Hash = "", x.Hash.String()
		}
		s.Params = append(s.Params, v)
	}
	for _, x := range b.Env {
		s.Variable = append(s.Variable, ShownValue(x))
	}
	if n := len(b.Commit); n > 0 {
		s.Last, s.First = commitOf(b.Commit[0]), commitOf(b.Commit[n-1])
	}
}
