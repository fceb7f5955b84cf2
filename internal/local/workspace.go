// Package local runs stages in this workspace, and puts outputs into it.
//
// Workspace is the project's files with the cache behind them: Place, Keep,
// Rescue and Export move outputs between the two, and Params reads what a stage
// declares. Runner adds the commands: it is the engine's Runner on this machine
// (adr/0015). Hold is the lock that lets one process at a time change a workspace.
//
// The rule that all of them keep: no output is replaced or removed before the
// cache has its bytes. So a kill, a failure or a wrong decision can cost time, and
// pipe find brings an edit back until gc deletes it.
//
// The package decides nothing about stages: the engine says what to run and what
// to record, and this package never changes pipe.lock.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Workspace is the project's files with the cache behind them. All fields must be
// set. The methods may be called from many goroutines.
type Workspace struct {
	Work    *worktree.Work
	Inputs  *inputs.Reader // of Work
	Top     *Top           // nil: no stage reads anything outside the project
	Cache   store.Cache
	Carrier *transfer.Carrier
	Note    func(stage, text string)
	Set     []spec.Setting // values of params for this run alone

	placing sync.Map // repopath.Path -> *sync.Mutex: two stages may want the same output at once
}

// Top is the git repository around the project, of which pipe only reads what stages name.
type Top struct {
	Work   *worktree.Work
	Inputs *inputs.Reader
}

// ReadDep reads a dep that no stage makes, in the project or outside of it.
func (w *Workspace) ReadDep(ctx context.Context, d spec.Dep, exclude []repopath.Pattern, made inputs.Made) (artifact.Input, *object.Tree, error) {
	if d.Top {
		return w.Top.Inputs.Read(ctx, d, nil, made)
	}
	return w.Inputs.Read(ctx, d, exclude, made)
}

// Place makes an output lie at its path, and reports whether that changed
// anything. Other bytes that lie there are kept in the cache first. Bytes that
// are nowhere are a *transfer.Missing; then what lies there stays. It looks before it
// fetches, so a repeated call costs one look. One goroutine at a time does this for a
// path: two would each take the other's half-done work for an edit.
func (w *Workspace) Place(ctx context.Context, stage string, o artifact.Output, recorded []artifact.Output) (bool, error) {
	lock, _ := w.placing.LoadOrStore(o.Path, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	here, tree, err := w.Work.Output(ctx, o.Path)
	switch {
	case err == nil && here.Same(o):
		return false, nil
	case err == nil:
		if err := w.Keep(ctx, stage, here, recorded); err != nil {
			return false, err
		}
	case !errors.Is(err, worktree.ErrAbsent):
		return false, err
	}
	if err := w.Carrier.Fetch(ctx, []artifact.Output{o}); err != nil {
		return false, err
	}
	return true, w.checkout(ctx, o, tree)
}

// Keep makes sure that the cache has what lies at an output before it is
// replaced, so that no edit is lost. If neither lock nor cache knew the bytes, the user
// is told by which name to find them. recorded are the outputs that the lock names.
func (w *Workspace) Keep(ctx context.Context, stage string, here artifact.Output, recorded []artifact.Output) error {
	known := slices.ContainsFunc(recorded, func(o artifact.Output) bool { return o.Path == here.Path && o.Same(here) })
	if !known {
		_, err := w.Cache.Stat(ctx, object.Of(here))
		known = err == nil
	}
	// Saved even when known: a cached tree is no proof of its files, and Save looks at each.
	o, err := w.Work.Save(ctx, w.Cache, here.Path)
	if err != nil {
		return err
	}
	if !known {
		w.Note(stage, fmt.Sprintf("%s was edited; the cache keeps your version until pipe gc (pipe find %s -o FILE)", here.Path, o.Digest.Short()))
	}
	return nil
}

// checkout puts a fetched output into the workspace, in place of the directory here, if one lies
// there. If a cached object turns out to be
// damaged, the cache has moved it away (store.Cache.Fill), so the remote's copy can take
// its place; that is tried once. Without a remote copy the damage is the error.
func (w *Workspace) checkout(ctx context.Context, o artifact.Output, here *object.Tree) error {
	const tries = 2
	var err error
	for range tries {
		var t *object.Tree
		if o.Dir {
			if t, err = w.Carrier.Tree(ctx, o.Path, o.Digest); err != nil {
				return err
			}
		}
		if err = w.Work.Checkout(ctx, w.Cache, o, t, here); !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		if ferr := w.Carrier.Fetch(ctx, []artifact.Output{o}); ferr != nil {
			return errors.Join(ferr, err)
		}
	}
	return err
}

// PlacePart makes what a directory output's tree has at a path, which lies inside the output,
// lie there, and leaves what is beside it. The bytes are in the cache. It reports whether
// that changed anything. Other bytes that lie there are kept in the cache first.
func (w *Workspace) PlacePart(ctx context.Context, stage string, o artifact.Output, t *object.Tree, at repopath.Path) (bool, error) {
	lock, _ := w.placing.LoadOrStore(o.Path, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	here, tree, err := w.Work.Output(ctx, o.Path)
	if err != nil && !errors.Is(err, worktree.ErrAbsent) {
		return false, err
	}
	was := tree
	if was == nil {
		was = &object.Tree{}
	}
	next, gone := was.With(t, o.Path.Rel(at))
	if slices.Equal(next.Entries, was.Entries) && tree != nil {
		return false, nil
	}
	if gone || err == nil && tree == nil {
		if err := w.Keep(ctx, stage, here, nil); err != nil {
			return false, err
		}
	}
	return true, w.Work.Checkout(ctx, w.Cache, next.Output(o.Path), next, tree)
}

// Rescue puts an output into the cache again when only the workspace has it: the user
// may have cleared the cache. Other bytes at the path are none of its business.
func (w *Workspace) Rescue(ctx context.Context, o artifact.Output) error {
	// A cached tree is no proof of its files; Save looks at each.
	if _, err := w.Cache.Stat(ctx, object.Of(o)); !o.Dir && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	here, _, err := w.Work.Output(ctx, o.Path)
	if err != nil || !here.Same(o) {
		return nil //nolint:nilerr // the remote may have it; if not, that is the error
	}
	_, err = w.Work.Save(ctx, w.Cache, o.Path)
	return err
}

// Export writes a fetched output to a place outside the workspace, and overwrites nothing; the
// tree is nil for a file. It is written and verified beside the target and then renamed, so the
// target is whole or absent; what a kill leaves has a name of its own, and is in nobody's way.
func (w *Workspace) Export(ctx context.Context, o artifact.Output, t *object.Tree, to string) (err error) {
	in, err := w.Work.Beside(to)
	if err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	name := filepath.Base(to)
	tmp := "." + name + "." + rand.Text()
	defer func() { err = errors.Join(err, in.RemoveAll(tmp)) }()
	if err := w.Work.Build(ctx, w.Cache, in, tmp, o, t); err != nil {
		return err
	}
	if o.Dir {
		return in.Rename(tmp, name) // os.Root renames no directory over another
	}
	err = in.Link(tmp, name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) { // exFAT and some network shares have no links
		if _, lerr := in.Lstat(name); errors.Is(lerr, fs.ErrNotExist) {
			err = in.Rename(tmp, name)
		}
	}
	return err
}

// Copy writes the bytes of a fetched file to a stream, after all of them were verified: what reads
// them may act on the first. A damaged copy in the cache is fetched again.
func (w *Workspace) Copy(ctx context.Context, o artifact.Output, to io.Writer) error {
	ref := object.Of(o)
	err := w.read(ctx, ref, io.Discard)
	if errors.Is(err, store.ErrCorrupt) {
		if err = w.Cache.Quarantine(ref); err == nil {
			err = w.Carrier.Fetch(ctx, []artifact.Output{o})
		}
	}
	if err != nil {
		return err
	}
	return w.read(ctx, ref, to)
}

func (w *Workspace) read(ctx context.Context, ref object.Ref, to io.Writer) error {
	r, err := w.Cache.Open(ctx, ref)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, r)
	return errors.Join(err, r.Close())
}

// Holds reports whether the file or directory at a place outside the workspace has the digest.
// Where that cannot be found out, it has not.
func Holds(ctx context.Context, at string, want digest.Digest, workers int) bool {
	name, err := repopath.FromOS(filepath.Base(at))
	if err != nil {
		return false
	}
	w, err := worktree.Open(filepath.Dir(at), worktree.Options{Workers: workers, Foreign: true})
	if err != nil {
		return false
	}
	here, _, err := w.Output(ctx, name)
	return errors.Join(err, w.Close()) == nil && here.Digest == want
}

// Params reads the stage's declared keys. A file that another stage makes is read
// as that stage left it, wherever its bytes are: made are those outputs.
func (w *Workspace) Params(ctx context.Context, s *spec.Stage, made []artifact.Output) ([]params.Value, error) {
	var all []params.Value
	for _, p := range s.Params {
		b, err := w.paramsFile(ctx, p.File, made)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = diag.New(diag.Usage, "%s: params file %s does not exist", s.Name, p.File).At(p.Place).Hinted("create it, or correct its name in params")
		case err != nil && !errors.As(err, new(*transfer.Missing)):
			err = diag.New(diag.Usage, "%s: params file %s: %w", s.Name, p.File, err).At(p.Place)
		}
		if err != nil {
			return nil, err
		}
		values, err := w.values(s, p, b)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	// The key hashes them in this order: it must not depend on that in pipe.yaml.
	slices.SortFunc(all, func(a, b params.Value) int {
		if c := strings.Compare(string(a.File), string(b.File)); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return all, nil
}

// values reads the keys of a params file, with those that this run has other values for.
func (w *Workspace) values(s *spec.Stage, p spec.Params, data []byte) ([]params.Value, error) {
	root, err := params.Parse(p.File, data)
	for _, set := range w.Set {
		if err == nil && set.File == p.File {
			root, err = params.Set(p.File, root, set.Key, set.Value)
		}
	}
	if err != nil {
		return nil, err
	}
	values, err := params.Values(p.File, root, p.Keys)
	var faults diag.List
	for _, e := range diag.All(err) {
		var key params.NoKey
		if errors.As(e, &key) { // where the key is named, and not where it is not
			hint := e.Hint
			if hint == "" {
				hint = fmt.Sprintf("add it to %s, or correct its name in params", p.File)
			}
			e = diag.New(diag.Usage, "%s: %s has no key %q", s.Name, p.File, string(key)).At(p.Places[string(key)]).Hinted("%s", hint)
		}
		faults = append(faults, e)
	}
	return values, faults.OrNil()
}

// paramsFile reads a params file: from the workspace, or, if an output holds it that is
// not here as recorded, out of the cache or the remote. The file that is here may be an
// edit, or of an older run.
func (w *Workspace) paramsFile(ctx context.Context, file repopath.Path, made []artifact.Output) ([]byte, error) {
	for _, o := range made {
		if !o.Path.Holds(file) {
			continue
		}
		if here, _, err := w.Work.Output(ctx, o.Path); err != nil || !here.Same(o) {
			return w.Carrier.Content(ctx, o, file, yamldoc.MaxSize)
		}
	}
	return atomicfile.Read(w.Work.OS(file), yamldoc.MaxSize)
}
