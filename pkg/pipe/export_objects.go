package pipe

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// keptOut is what DVC has of an output.
type keptOut struct {
	item    dvc.Item
	entries []dvc.Entry // of a directory
	sizes   map[string]int64
}

// local is the workspace as one call sees it.
func (x *exporting) local() *local.Workspace { return x.Project.files(x.c) }

// allOuts are the recorded outputs of stages that fit.
func (x *exporting) allOuts() (outs []artifact.Output) {
	for i := range x.lock.Stages {
		if l := &x.lock.Stages[i]; fits(x.spec, l) {
			outs = append(outs, l.Outs...)
		}
	}
	slices.SortFunc(outs, func(a, b artifact.Output) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return outs
}

// objects puts the bytes of all recorded outputs into DVC's cache, and learns their md5 on the way. An output whose bytes are
// nowhere is an error with its name, and then no file of DVC's is written.
func (x *exporting) objects(ctx context.Context) error {
	var cached []artifact.Output
	for _, o := range x.allOuts() {
		if _, declared := inside(x.spec, o.Path); declared.NoCache {
			if err := x.uncached(ctx, o); err != nil {
				return err
			}
			continue
		}
		cached = append(cached, o)
	}
	if !x.how.DryRun {
		if err := x.c.Fetch(ctx, cached); err != nil {
			return err
		}
	}
	trees := map[repopath.Path]*object.Tree{}
	var files []object.Entry
	for _, o := range cached {
		if !o.Dir {
			files = append(files, object.Entry{Kind: object.File, Digest: o.Digest, Size: o.Size})
			continue
		}
		t, err := x.c.Tree(ctx, o.Path, o.Digest)
		if x.how.DryRun && errors.Is(err, store.ErrNotFound) {
			t, err = &object.Tree{}, nil
		}
		if err != nil {
			return err
		}
		trees[o.Path] = t
		files = append(files, slices.DeleteFunc(slices.Clone(t.Entries), func(e object.Entry) bool { return !e.IsFile() })...)
	}
	sums, err := x.copyAll(ctx, files)
	if err != nil {
		return err
	}
	for _, o := range cached {
		k := keptOut{item: dvc.Item{Sum: dvc.Sum{MD5: sums[o.Digest]}, Size: o.Size, Exec: o.Exec}}
		if o.Dir {
			if k, err = x.directory(ctx, o, trees[o.Path], sums); err != nil {
				return err
			}
		}
		x.kept[o.Path] = k
	}
	if x.how.DryRun {
		return nil
	}
	return dvc.SyncNames(atomicfile.Files{}, x.cacheAt)
}

// uncached takes what git keeps from the workspace, if it is what pipe.lock names.
func (x *exporting) uncached(ctx context.Context, o artifact.Output) error {
	here, _, err := x.work.Output(ctx, o.Path)
	if worktree.Gone(err) || err == nil && !here.Same(o) {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := x.files.At(ctx, string(o.Path))
	if err != nil {
		return err
	}
	k := keptOut{item: itemOf(t), sizes: map[string]int64{}}
	k.item.Exec = o.Exec
	for at, h := range t.Files {
		k.entries, k.sizes[at] = append(k.entries, dvc.Entry{MD5: h.MD5, Path: at}), h.Size
	}
	x.kept[o.Path] = k
	return nil
}

// copyAll copies files, each once, and returns their md5.
func (x *exporting) copyAll(ctx context.Context, files []object.Entry) (map[digest.Digest]string, error) {
	slices.SortFunc(files, func(a, b object.Entry) int { return strings.Compare(a.Digest.Hex(), b.Digest.Hex()) })
	files = slices.CompactFunc(files, func(a, b object.Entry) bool { return a.Digest == b.Digest })
	names := make([]string, len(files))
	var mu sync.Mutex
	err := par.Each(ctx, len(files), min(x.workers(), 16), func(ctx context.Context, i int) error {
		sum, fresh, err := x.copyOne(ctx, files[i])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		names[i] = sum
		if fresh {
			x.r.Objects++
			x.r.Bytes += files[i].Size
		}
		return nil
	})
	sums := map[digest.Digest]string{}
	for i, f := range files {
		sums[f.Digest] = names[i]
	}
	return sums, err
}

// unfetched stands for the md5 of bytes that a dry run does not have.
const unfetched = "00000000000000000000000000000000"

// copyOne copies the bytes of a file into DVC's cache. They are checked against pipe's hash while their md5 is computed, and
// get their name only then.
func (x *exporting) copyOne(ctx context.Context, f object.Entry) (md5 string, fresh bool, err error) {
	r, err := x.cache.Open(ctx, object.Ref{Digest: f.Digest})
	if x.how.DryRun && errors.Is(err, store.ErrNotFound) {
		return unfetched, false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if x.how.DryRun {
		h, err := dvc.Hash(ctx, r, nil)
		return h.MD5, false, err
	}
	return dvc.Keep(ctx, x.cacheAt, r)
}

// directory describes a directory for DVC, and puts its list into the cache.
func (x *exporting) directory(ctx context.Context, o artifact.Output, t *object.Tree, sums map[digest.Digest]string) (k keptOut, err error) {
	k.sizes = map[string]int64{}
	odd := map[string]bool{}
	add := func(at repopath.Path, e object.Entry) {
		k.entries, k.sizes[string(at)] = append(k.entries, dvc.Entry{MD5: sums[e.Digest], Path: string(at)}), e.Size
	}
	for _, e := range t.Entries {
		switch e.Kind {
		case object.File:
			add(e.Path, e)
		case object.Executable:
			odd["executable bits"] = true
			add(e.Path, e)
		case object.Dir:
			odd["empty directories"] = true
		case object.Symlink:
			odd["symlinks: one to a file is a copy of it, and any other is left out"] = true
			if to, ok := follow(t, e); ok {
				add(e.Path, to)
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(odd)) {
		x.note("output "+string(o.Path), "DVC keeps no "+what, "", true)
	}
	seen := x.files.Seen(string(o.Path), k.entries)
	if n := len(k.entries) - len(seen); n > 0 {
		x.note("output "+string(o.Path), "some of its files are left out, because .dvcignore names them", "change .dvcignore, then pipe export dvc --force", true)
	}
	k.entries = seen
	k.item = dvc.Item{Sum: dvc.SumOf(k.entries, false), Files: int64(len(k.entries))}
	for _, e := range k.entries {
		k.item.Size += k.sizes[e.Path]
	}
	if !x.how.DryRun {
		err = dvc.KeepList(ctx, x.cacheAt, k.entries)
	}
	return k, err
}

// follow returns the file that a symlink in a tree leads to. One to a directory is nothing to DVC.
func follow(t *object.Tree, link object.Entry) (object.Entry, bool) {
	for range 40 { // as the kernel follows
		next, ok := t.Find(repopath.Path(path.Join(string(link.Path.Dir()), link.Target)))
		if !ok || next.Kind != object.Symlink {
			return next, ok && next.IsFile()
		}
		link = next
	}
	return object.Entry{}, false
}

// inOutput returns what DVC has of a path that is an output or lies in one; false: it is none, or nothing is known of it.
func (x *exporting) inOutput(at repopath.Path) (dvc.Item, bool) {
	for up := at; up != repopath.Root; up = up.Dir() {
		k, ok := x.kept[up]
		if !ok {
			continue
		}
		if up == at {
			return k.item, true
		}
		return k.within(string(up.Rel(at)))
	}
	return dvc.Item{}, false
}

// within describes a file or directory of a directory.
func (k keptOut) within(at string) (item dvc.Item, ok bool) {
	var below []dvc.Entry
	for _, e := range k.entries {
		if e.Path == at {
			return dvc.Item{Sum: dvc.Sum{MD5: e.MD5}, Size: k.sizes[at]}, true
		}
		if rest, in := strings.CutPrefix(e.Path, at+"/"); in {
			below = append(below, dvc.Entry{MD5: e.MD5, Path: rest})
			item.Size += k.sizes[e.Path]
		}
	}
	item.Sum, item.Files = dvc.SumOf(below, false), int64(len(below))
	return item, len(below) > 0
}
