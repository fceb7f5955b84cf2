package pipe

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Verified is what re-hashing a store found.
type Verified struct {
	Store   string          `json:"store"`   // directory or URL
	Objects int             `json:"objects"` // that were read
	Bytes   int64           `json:"bytes"`   // of them
	Damaged []digest.Digest `json:"damaged"` // digests of those whose bytes are wrong
}

// Verify reads and hashes every object of the cache, or of the remote. A damaged object of the
// cache is moved aside, so that the remote's copy is taken next time. One of the remote is
// only reported: it may be the only copy that there is. Any damage is an error of kind
// integrity, with the answer beside it.
func (p *Project) Verify(ctx context.Context, inRemote bool) (v *Verified, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	var s store.Store = p.cache
	var lister store.Lister = p.cache
	v = &Verified{Store: p.cache.URL(), Damaged: []digest.Digest{}}
	if inRemote {
		remote, err := p.needRemote(ctx)
		if err != nil {
			return nil, err
		}
		l, ok := store.As[store.Lister](remote)
		if !ok {
			return nil, diag.New(diag.Usage, "this remote cannot list its objects").At(remote.URL())
		}
		s, lister, v.Store = remote, l, remote.URL()
	}
	all, damaged, err := sweep.Verify(ctx, s, lister, p.workers())
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		v.Objects++
		v.Bytes += e.Size
	}
	for _, e := range damaged {
		v.Damaged = append(v.Damaged, e.Ref.Digest)
		if !inRemote {
			err = errors.Join(err, p.cache.Quarantine(e.Ref))
		}
	}
	if err == nil && len(v.Damaged) > 0 {
		err = p.damage(v, inRemote)
	}
	return v, err
}

// damage is the error that reports damaged objects, with the way to good copies.
func (p *Project) damage(v *Verified, inRemote bool) error {
	e := diag.New(diag.Integrity, "%d of %d objects do not match their hash", len(v.Damaged), v.Objects).At(v.Store)
	if inRemote {
		return e.Hinted("delete them from the remote, then run pipe push on a machine where pipe verify passes")
	}
	return e.Hinted("run pipe pull to fetch good copies; the damaged ones are in %s", filepath.Join(v.Store, "corrupt"))
}
