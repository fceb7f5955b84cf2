package engine_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// runner is an action.Runner that runs nothing: it puts bytes for the outs into
// the cache, and never looks at the workspace.
type runner struct {
	cache   *disk.Store
	carrier *transfer.Carrier
	// command is called in place of the command, with its context; it may print,
	// block or fail. nil: it succeeds.
	command func(ctx context.Context, job *action.Job) error
	// bytes returns what the out holds; nil: what follows from the job's inputs.
	bytes func(job *action.Job, o spec.Out) string

	mu      sync.Mutex
	jobs    []*action.Job
	settled []bool
}

// Run implements action.Runner.
func (r *runner) Run(ctx context.Context, job *action.Job) (*action.Made, error) {
	r.mu.Lock()
	r.jobs = append(r.jobs, job)
	r.mu.Unlock()
	if err := r.carrier.Fetch(ctx, job.Made); err != nil {
		return nil, err
	}
	if r.command != nil {
		if err := r.command(ctx, job); err != nil {
			return nil, err
		}
	}
	made := &action.Made{Seconds: 1.5, Settle: func(recorded bool) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.settled = append(r.settled, recorded)
		return nil
	}}
	for _, o := range job.Stage.Outs {
		text := fmt.Sprintf("%s of %s", o.Path, job.Inputs.Digest())
		if r.bytes != nil {
			text = r.bytes(job, o)
		}
		out, err := r.put(ctx, o, text)
		if err != nil {
			return nil, err
		}
		made.Outs = append(made.Outs, out)
	}
	return made, nil
}

// put makes an out. One that ends in a slash is a directory with the files x,
// which holds the first word of the text, and sub/y, which holds the rest.
func (r *runner) put(ctx context.Context, o spec.Out, text string) (artifact.Output, error) {
	file := func(text string) (object.Ref, error) {
		ref := object.Ref{Digest: digest.Of([]byte(text))}
		return ref, r.cache.Put(ctx, ref, store.Bytes([]byte(text)))
	}
	if !o.Dir {
		ref, err := file(text)
		out := artifact.Output{Path: o.Path, Digest: ref.Digest, Size: int64(len(text))}
		if o.SHA256 {
			out.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		}
		return out, err
	}
	first, rest, _ := strings.Cut(text, " ")
	x, err := file(first)
	if err != nil {
		return artifact.Output{}, err
	}
	y, err := file(rest)
	if err != nil {
		return artifact.Output{}, err
	}
	tree := &object.Tree{Entries: []object.Entry{
		{Kind: object.File, Path: "sub/y", Digest: y.Digest, Size: int64(len(rest))},
		{Kind: object.Executable, Path: "x", Digest: x.Digest, Size: int64(len(first))},
	}}
	out := tree.Output(o.Path)
	return out, r.cache.Put(ctx, object.Of(out), store.Bytes(tree.Encode()))
}

// numbered returns other bytes at each run: "name 1", "name 2", ...
func numbered(name string) func(*action.Job, spec.Out) string {
	var mu sync.Mutex
	n := 0
	return func(_ *action.Job, o spec.Out) string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("%s %d %s", name, n, o.Path)
	}
}

// faults makes a store's operations fail, or does something before them.
type faults struct {
	mu   sync.Mutex
	on   map[string]func() error
	each func() error   // before every operation; nil: nothing
	n    map[string]int // calls, by operation
}

// before makes the operation call f first; its error is the operation's.
func (f *faults) before(op string, do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil {
		f.on = map[string]func() error{}
	}
	f.on[op] = do
}

func (f *faults) fails(op string, err error) { f.before(op, func() error { return err }) }

func (f *faults) at(op string) error {
	f.mu.Lock()
	do := f.on[op]
	if f.n == nil {
		f.n = map[string]int{}
	}
	f.n[op]++
	each := f.each
	f.mu.Unlock()
	if each != nil {
		if err := each(); err != nil {
			return err
		}
	}
	if do == nil {
		return nil
	}
	return do()
}

// remote is a store in memory that can fail and counts.
type remote struct {
	*mem.Store
	faults
}

func newRemote() *remote { return &remote{Store: mem.New()} }

func (r *remote) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if err := r.at("put"); err != nil {
		return err
	}
	return r.Store.Put(ctx, ref, src)
}

func (r *remote) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	if err := r.at("lookup " + id.Name()); err != nil {
		return nil, err
	}
	return r.Store.Lookup(ctx, id)
}

func (r *remote) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if err := r.at("record"); err != nil {
		return nil, err
	}
	return r.Store.Record(ctx, id, value)
}

func (r *remote) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	if err := r.at("swap"); err != nil {
		return "", err
	}
	return r.Store.Swap(ctx, name, old, value)
}

// cache is a cache on the disk that can fail.
type cache struct {
	*disk.Store
	faults
}

func newCache(dir string) *cache { return &cache{Store: disk.Open(dir)} }

func (c *cache) Begin() (store.Batch, error) {
	if err := c.at("begin"); err != nil {
		return nil, err
	}
	b, err := c.Store.Begin()
	return &batch{b, c}, err
}

func (c *cache) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if err := c.at("open"); err != nil {
		return nil, err
	}
	return c.Store.Open(ctx, ref)
}

func (c *cache) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if err := c.at("record"); err != nil {
		return nil, err
	}
	return c.Store.Record(ctx, id, value)
}

func (c *cache) Adopt(ctx context.Context, id object.RunID, value []byte) error {
	if err := c.at("adopt"); err != nil {
		return err
	}
	return c.Store.Adopt(ctx, id, value)
}

func (c *cache) Fill(ctx context.Context, ref object.Ref, dst *os.File) error {
	if err := c.at("fill"); err != nil {
		return err
	}
	return c.Store.Fill(ctx, ref, dst)
}

type batch struct {
	store.Batch
	c *cache
}

func (b *batch) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if err := b.c.at("batch put"); err != nil {
		return err
	}
	return b.Batch.Put(ctx, ref, src)
}

func (b *batch) Commit() error {
	if err := b.c.at("commit"); err != nil {
		return err
	}
	return b.Batch.Commit()
}
