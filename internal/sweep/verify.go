package sweep

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Readable is a store that can be verified.
type Readable interface {
	store.Store
	store.Index
}

// Stage is what a store must have of one stage of a lock.
type Stage struct {
	Name  string
	Run   *object.RunID            // of its record; nil: it has none
	Outs  []artifact.Output        // that the store keeps
	Keeps func(repopath.Path) bool // whether the store keeps an output that its record names
}

// Scope is what of a store is verified: what stages name, and, with a Lister, all that is there.
type Scope struct {
	Stages []Stage
	All    store.Lister // nil: nothing but what the stages name
	Known  store.Store  // may have the trees that are missing or damaged, which name files, too; may be nil
}

// Options say how much is done; the zero value looks at names and sizes.
type Options struct {
	// Read has every object read to its end, which hashes it. Without it that is
	// done to those whose size nothing says: trees, lists and logs.
	Read    bool
	Shallow bool // records and outputs alone: a tree stands for its files
	Workers int  // requests at once
}

// Fault is an object or a record that is missing or damaged.
type Fault struct {
	Ref     object.Ref
	Run     *object.RunID // of a record; then there is no Ref
	Stage   string        // that needs it; "": none of those in scope
	Path    string        // what it is to the stage: an output's path, a file in it, "log"; else the tree that names it
	Missing bool          // else it is damaged
}

// Name returns where it lies below the root of any store.
func (f *Fault) Name() string {
	if f.Run != nil {
		return store.RecordPath(*f.Run)
	}
	return store.Path(f.Ref)
}

// Report is what verifying a store found.
type Report struct {
	Objects, Records int
	Bytes            int64 // of the objects
	Faults           []Fault
}

// Verify looks whether everything in scope is there and right: the stages' records,
// their outputs, logs and lists of inputs, and each file that a tree names; each object
// once. A record that a newer pipe wrote is right, and nothing more is known of it.
// What goes from a listing while it is read is no damage.
func Verify(ctx context.Context, s Readable, scope Scope, opt Options) (*Report, error) {
	v := &verifier{Readable: s, opt: opt, sizes: map[object.Ref]int64{}, seen: map[object.Ref]bool{}, known: scope.Known, runs: map[object.RunID]bool{}}
	var others, listed []need
	var ids []object.RunID
	if scope.All != nil {
		var err error
		if others, listed, ids, err = v.list(ctx, scope.All); err != nil {
			return nil, err
		}
	}
	needs, err := v.stages(ctx, scope.Stages)
	if err != nil {
		return nil, err
	}
	// Trees come first: they tell which files there must be, with which size and for whom.
	files, err := v.objects(ctx, append(needs, others...))
	if err == nil {
		_, err = v.objects(ctx, append(files, listed...))
	}
	if err == nil {
		err = v.records(ctx, ids)
	}
	if err != nil {
		return nil, err
	}
	v.report.Bytes = v.bytes.Load()
	return &v.report, nil
}

// need is an object that something names.
type need struct {
	ref    object.Ref
	size   int64 // anySize: nothing says it
	stage  string
	path   string
	listed bool // it was there, and nothing else asks for it
}

const anySize = -1

type verifier struct {
	Readable
	opt    Options
	sizes  map[object.Ref]int64 // that a listing told
	seen   map[object.Ref]bool
	runs   map[object.RunID]bool
	known  store.Store
	report Report
	bytes  atomic.Int64
}

// list returns all that the store has: what must be read, as trees are, and the files.
func (v *verifier) list(ctx context.Context, l store.Lister) (others, files []need, ids []object.RunID, err error) {
	err = l.List(ctx, func(e store.Entry) error {
		v.sizes[e.Ref] = e.Size
		if e.Ref.Shelf == object.Files {
			files = append(files, need{ref: e.Ref, size: e.Size, listed: true})
		} else {
			others = append(others, need{ref: e.Ref, size: anySize, listed: true})
		}
		return nil
	})
	if err == nil {
		err = l.Runs(ctx, func(id object.RunID) error { ids = append(ids, id); return nil })
	}
	return others, files, ids, err
}

// stages reads the stages' records and returns what they, and the lock, name.
func (v *verifier) stages(ctx context.Context, stages []Stage) (needs []need, err error) {
	records := make([]*object.Record, len(stages))
	verdicts, err := judge(ctx, stages, v.opt.Workers, func(ctx context.Context, i int) (err error) {
		if stages[i].Run != nil {
			records[i], err = v.record(ctx, *stages[i].Run)
		}
		return err
	})
	for i := range stages {
		s := &stages[i]
		if s.Run != nil {
			v.runs[*s.Run] = true
			v.report.Records++
			v.fault(verdicts[i], Fault{Run: s.Run, Stage: s.Name, Path: "record"})
		}
		needs = append(needs, v.named(s, records[i])...)
	}
	return needs, err
}

// named returns what a stage's lock and record name.
func (v *verifier) named(s *Stage, rec *object.Record) (needs []need) {
	out := func(o artifact.Output) {
		n := need{ref: object.Of(o), size: o.Size, stage: s.Name, path: string(o.Path)}
		if o.Dir {
			n.size = anySize
		}
		needs = append(needs, n)
	}
	for _, o := range s.Outs {
		out(o)
	}
	if rec == nil {
		return needs
	}
	// Where it differs from the lock, the record counts for everybody else.
	for _, o := range rec.Outs {
		if s.Keeps(o.Path) {
			out(o)
		}
	}
	if v.opt.Shallow {
		return needs
	}
	if !rec.Log.IsZero() {
		needs = append(needs, need{ref: object.Ref{Shelf: object.Logs, Digest: rec.Log}, size: anySize, stage: s.Name, path: "log"})
	}
	for _, d := range rec.Inputs {
		needs = append(needs, need{ref: object.Ref{Shelf: object.Inputs, Digest: d}, size: anySize, stage: s.Name, path: "input list"})
	}
	return needs
}

// objects looks at those of the needs that nobody has looked at yet, and returns the
// files that trees among them name.
func (v *verifier) objects(ctx context.Context, needs []need) (files []need, err error) {
	var fresh []need
	for _, n := range needs {
		if !v.seen[n.ref] {
			v.seen[n.ref] = true
			fresh = append(fresh, n)
		}
	}
	trees := make([]*object.Tree, len(fresh))
	verdicts, err := judge(ctx, fresh, v.opt.Workers, func(ctx context.Context, i int) (err error) {
		trees[i], err = v.object(ctx, &fresh[i])
		if errors.Is(err, store.ErrNotFound) && fresh[i].listed {
			return nil
		}
		return err
	})
	for i := range fresh {
		n := &fresh[i]
		v.report.Objects++
		v.fault(verdicts[i], Fault{Ref: n.ref, Stage: n.stage, Path: n.path})
		files = append(files, n.files(trees[i])...)
	}
	return files, err
}

// files returns what a tree names, by the path of the output that it is.
func (n *need) files(t *object.Tree) (files []need) {
	if t == nil {
		return nil
	}
	at := n.path
	if at == "" {
		at = store.Path(n.ref)
	}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.IsFile() {
			files = append(files, need{ref: object.Ref{Digest: e.Digest}, size: e.Size, stage: n.stage, path: at + "/" + string(e.Path)})
		}
	}
	return files
}

// object looks at one object. Of a tree that it had to read it returns what it names.
func (v *verifier) object(ctx context.Context, n *need) (*object.Tree, error) {
	size, listed := v.sizes[n.ref]
	if (v.opt.Read || n.size == anySize) && !v.opt.Shallow {
		if n.ref.Shelf == object.Trees {
			return v.tree(ctx, n.ref)
		}
		return nil, store.Again(ctx, func() error { return v.read(ctx, n.ref) })
	}
	if !listed { // it may have been put since
		var err error
		if size, err = v.Stat(ctx, n.ref); err != nil {
			return nil, err
		}
	}
	v.bytes.Add(size)
	if n.size != anySize && size != n.size {
		return nil, store.ErrCorrupt
	}
	return nil, nil
}

// Open implements store.Store: what is read is counted.
func (v *verifier) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	r, err := v.Readable.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &counted{r, &v.bytes}, nil
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// read reads an object to its end.
func (v *verifier) read(ctx context.Context, ref object.Ref) error {
	r, err := v.Open(ctx, ref)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for err == nil {
		_, err = r.Read(buf)
	}
	if cerr := r.Close(); errors.Is(err, io.EOF) {
		return cerr
	}
	return err
}

func (v *verifier) tree(ctx context.Context, ref object.Ref) (*object.Tree, error) {
	if v.sizes[ref] > object.MaxTree {
		return nil, store.ErrCorrupt
	}
	t, err := store.ReadTree(ctx, v, ref.Digest)
	if diag.Is(err, diag.Policy) {
		return nil, nil // its bytes are those of its name, and a newer pipe reads it
	}
	if err != nil && v.known != nil {
		t, _ = store.ReadTree(ctx, v.known, ref.Digest) // without it its files stay unknown
	}
	return t, err
}

// records reads those that were listed and belong to no stage in scope.
func (v *verifier) records(ctx context.Context, ids []object.RunID) error {
	verdicts, err := judge(ctx, ids, v.opt.Workers, func(ctx context.Context, i int) error {
		if v.runs[ids[i]] {
			return nil
		}
		_, err := v.record(ctx, ids[i])
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	for i := range ids {
		if !v.runs[ids[i]] {
			v.report.Records++
			v.fault(verdicts[i], Fault{Run: &ids[i]})
		}
	}
	return err
}

// record reads one; nil: a newer pipe wrote it.
func (v *verifier) record(ctx context.Context, id object.RunID) (*object.Record, error) {
	b, err := v.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	rec, err := object.ParseRecord(b, id)
	if diag.Is(err, diag.Policy) {
		return nil, nil // diag.Newer
	}
	return rec, err
}

// judge checks all at once and returns what is wrong with each. Other errors end it.
func judge[T any](ctx context.Context, all []T, workers int, check func(ctx context.Context, i int) error) ([]error, error) {
	verdicts := make([]error, len(all))
	err := par.Each(ctx, len(all), workers, func(ctx context.Context, i int) error {
		err := check(ctx, i)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt), errors.Is(err, object.ErrMalformed), diag.Is(err, diag.Integrity):
			verdicts[i] = err
			return nil
		}
		return err
	})
	return verdicts, err
}

// fault notes what is wrong, if anything is.
func (v *verifier) fault(verdict error, f Fault) {
	if verdict != nil {
		f.Missing = errors.Is(verdict, store.ErrNotFound)
		v.report.Faults = append(v.report.Faults, f)
	}
}
