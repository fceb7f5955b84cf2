package history

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// InCache looks for bytes that no lock names, such as a kept edit or what an environment
// got, in a store that can be listed at no cost.
func InCache(ctx context.Context, cache store.Lister, prefix string) (hits []*Hit, err error) {
	err = cache.List(ctx, func(e store.Entry) error {
		if strings.HasPrefix(e.Ref.Digest.Hex(), prefix) {
			hits = append(hits, &Hit{What: Object, Ref: e.Ref, Size: e.Size})
		}
		return nil
	})
	return hits, err
}

// InRemote asks a remote for bytes that no lock names: for one object on each shelf, if the
// prefix is a whole hash. It is never listed: a list of it may be long, and costs.
func InRemote(ctx context.Context, remote store.Store, prefix string) (hits []*Hit, err error) {
	if len(prefix) < 2*digest.Size {
		return nil, nil
	}
	b, err := hex.DecodeString(prefix)
	if err != nil {
		return nil, err
	}
	for shelf := range object.Shelves {
		ref := object.Ref{Shelf: object.Shelf(shelf), Digest: digest.Digest(b)}
		size, err := remote.Stat(ctx, ref)
		if err == nil {
			hits = append(hits, &Hit{What: Object, Ref: ref, Size: size})
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return hits, nil
}

// Refs returns the branches and tags that have one of the hit's commits, each once.
func (h *Hit) Refs(ctx context.Context, repo *gitlog.Repo) (names []string, err error) {
	if len(h.Commit) == 0 {
		return nil, nil
	}
	hashes := make([]string, len(h.Commit))
	for i, c := range h.Commit {
		hashes[i] = c.Hash
	}
	by, err := repo.Containing(ctx, hashes)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, hash := range hashes {
		for _, r := range by[hash] {
			if n := r.Short(); !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	return names, nil
}
