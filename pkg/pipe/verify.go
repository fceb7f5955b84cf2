package pipe

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
)

// Verified is what reading a whole store again found. Names are those of files or
// S3 objects below Store.
type Verified struct {
	Store      string   `json:"store"`      // directory or URL
	Objects    int      `json:"objects"`    // that were read
	Bytes      int64    `json:"bytes"`      // of them
	Records    int      `json:"records"`    // that were read
	Damaged    []string `json:"damaged"`    // names of objects whose bytes are wrong, and of records that no pipe wrote
	Incomplete []string `json:"incomplete"` // names of a remote's directories that lack a file, or whose file is damaged
}

// Verify reads every object and record of the cache, or of the remote. What is
// damaged in the cache is moved aside, so that the remote's copy is taken next time;
// what is in a remote is only named, as it may be the only copy. Any damage is an
// error of kind integrity, with the answer beside it.
func (p *Project) Verify(ctx context.Context, inRemote bool) (v *Verified, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if inRemote {
		return p.verifyRemote(ctx)
	}
	r, err := sweep.Verify(ctx, p.cache, p.cache, p.workers())
	if err != nil {
		return nil, err
	}
	// An incomplete tree stays: a cache is asked for each file, and gc knows by the tree which ones it needs.
	r.Incomplete = nil
	v = verified(p.cache.URL(), r)
	for _, ref := range r.Damaged {
		err = errors.Join(err, p.cache.Quarantine(ref))
	}
	for _, id := range r.Broken {
		err = errors.Join(err, p.cache.QuarantineRecord(id))
	}
	if e := v.damage(); err == nil && e != nil {
		err = e.Hinted("run pipe pull to fetch good copies; the damaged ones are in %s", filepath.Join(v.Store, "corrupt"))
	}
	return v, err
}

func (p *Project) verifyRemote(ctx context.Context) (*Verified, error) {
	s, err := p.needRemote(ctx)
	if err != nil {
		return nil, err
	}
	l, ok := store.As[store.Lister](s)
	if !ok {
		return nil, diag.New(diag.Usage, "this remote cannot list its objects").At(s.URL())
	}
	if err := store.Present(ctx, s); err != nil {
		return nil, err
	}
	r, err := sweep.Verify(ctx, s, l, p.workers())
	if err != nil {
		return nil, err
	}
	v := verified(s.URL(), r)
	e := v.damage()
	if e == nil {
		return v, nil
	}
	// push sends nothing that is there, and no file of a tree that is there: all of them must go first.
	rm := "rm -f"
	if remote.IsURL(v.Store) {
		rm = "aws s3 rm"
	}
	return v, e.Hinted("delete each of them, for example with %s %s, then run pipe push on a machine where pipe verify passes",
		rm, v.At(slices.Concat(v.Damaged, v.Incomplete)[0]))
}

func verified(where string, r *sweep.Report) *Verified {
	v := &Verified{Store: where, Objects: r.Objects, Bytes: r.Bytes, Records: r.Records, Damaged: []string{}, Incomplete: []string{}}
	for _, ref := range r.Damaged {
		v.Damaged = append(v.Damaged, store.Path(ref))
	}
	for _, id := range r.Broken {
		v.Damaged = append(v.Damaged, store.RecordPath(id))
	}
	for _, ref := range r.Incomplete {
		v.Incomplete = append(v.Incomplete, store.Path(ref))
	}
	return v
}

// At returns the path or the URL of something damaged.
func (v *Verified) At(name string) string { return strings.TrimSuffix(v.Store, "/") + "/" + name }

func (v *Verified) damage() *diag.Error {
	n := len(v.Damaged) + len(v.Incomplete)
	if n == 0 {
		return nil
	}
	return diag.New(diag.Integrity, "%d of %d objects and records are damaged or incomplete", n, v.Objects+v.Records).At(v.Store)
}
