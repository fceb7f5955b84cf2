package pipe

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// VerifyOptions say what Verify looks at. The zero value reads all of the cache.
type VerifyOptions struct {
	Remote bool // what pipe.lock names in the remote, by records and trees: presence and sizes
	Read   bool // with Remote: read every object and check its hash
	All    bool // with Remote: everything that is there, too
}

// Verified is what verifying a store found.
type Verified struct {
	Store   string  `json:"store"`   // directory or URL
	Objects int     `json:"objects"` // that were looked at
	Bytes   int64   `json:"bytes"`   // of them
	Records int     `json:"records"` // that were read
	Damaged []Fault `json:"damaged"` // wrong bytes, another size, or records that no pipe wrote
	Missing []Fault `json:"missing"` // named, and not there
}

// Fault is an object or a record that is missing or damaged.
type Fault struct {
	Name  string `json:"name"`            // of the file or S3 object below the store
	Stage string `json:"stage,omitempty"` // in pipe.lock, that needs it
	Path  string `json:"path,omitempty"`  // an output of the stage, a file in it, or what else it is to the stage
	Bytes int64  `json:"bytes,omitempty"` // of an output that is to be pushed; of a directory, of all its files
}

// Verify reads every object and record of the cache, or looks at what pipe.lock names in
// the remote. What is damaged in the cache is moved aside, so that the remote's copy is
// taken next time; a remote is left as it is. Any fault is an error of kind integrity,
// with the answer beside it.
func (p *Project) Verify(ctx context.Context, opt VerifyOptions) (v *Verified, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if opt.Remote {
		return p.verifyRemote(ctx, opt)
	}
	r, err := sweep.Verify(ctx, p.cache, sweep.Scope{All: p.cache}, sweep.Options{Read: true, Workers: p.workers()})
	if err != nil {
		return nil, err
	}
	// A cache is asked for each file, so a tree without one is no fault of it.
	r.Faults = slices.DeleteFunc(r.Faults, func(f sweep.Fault) bool { return f.Missing })
	for _, f := range r.Faults {
		if f.Run != nil {
			err = errors.Join(err, p.cache.QuarantineRecord(*f.Run))
		} else {
			err = errors.Join(err, p.cache.Quarantine(f.Ref))
		}
	}
	v = verified(p.cache.URL(), r)
	e := v.damage()
	switch {
	case e == nil:
		return v, err
	case err != nil: // what is damaged is still there
		return v, errors.Join(e, err)
	}
	next := "pipe pull to fetch good copies"
	if shared, oerr := p.openRemote(ctx); oerr == nil && shared == nil {
		next = "pipe repro --rebuild-missing to rebuild what is lost"
	}
	return v, e.Hinted("run %s; the damaged ones are in %s", next, filepath.Join(v.Store, "corrupt"))
}

func (p *Project) verifyRemote(ctx context.Context, opt VerifyOptions) (*Verified, error) {
	s, err := p.needRemote(ctx)
	if err != nil {
		return nil, err
	}
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	stages, err := p.locked(lock, nil)
	if err != nil {
		return nil, err
	}
	if err := store.Present(ctx, s); err != nil {
		return nil, err
	}
	scope := sweep.Scope{Stages: p.wanted(stages), Known: p.cache}
	if opt.All {
		l, ok := store.As[store.Lister](s)
		if !ok {
			return nil, diag.New(diag.Usage, "this remote cannot list its objects").At(s.URL()).Hinted("pipe verify --remote")
		}
		scope.All = l
	}
	r, err := sweep.Verify(ctx, s, scope, sweep.Options{Read: opt.Read, Workers: p.workers()})
	if err != nil {
		return nil, err
	}
	v := verified(s.URL(), r)
	e := v.damage()
	if e == nil {
		return v, nil
	}
	flags := "--repair"
	if opt.Read {
		flags += " --read"
	}
	return v, e.Hinted("run pipe push %s on a machine that has good copies", flags)
}

// wanted returns what a remote must have of the lock's stages.
func (p *Project) wanted(stages []*lockfile.Stage) []sweep.Stage {
	all := make([]sweep.Stage, len(stages))
	for i, l := range stages {
		all[i] = engine.Wanted(p.spec.Stage(l.Name), l)
	}
	return all
}

func verified(where string, r *sweep.Report) *Verified {
	v := &Verified{Store: where, Objects: r.Objects, Bytes: r.Bytes, Records: r.Records, Damaged: []Fault{}, Missing: []Fault{}}
	for _, f := range r.Faults {
		to := &v.Damaged
		if f.Missing {
			to = &v.Missing
		}
		*to = append(*to, Fault{Name: f.Name(), Stage: f.Stage, Path: f.Path})
	}
	return v
}

// At returns the path or the URL of a fault.
func (v *Verified) At(f Fault) string { return strings.TrimSuffix(v.Store, "/") + "/" + f.Name }

func (v *Verified) damage() *diag.Error {
	n := len(v.Damaged) + len(v.Missing)
	if n == 0 {
		return nil
	}
	return diag.New(diag.Integrity, "%d of %d objects and records are damaged or missing", n, v.Objects+v.Records).At(v.Store)
}
