package pipe

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// take has the engine run the stages that are up to date by dvc.lock, with a runner that runs nothing
// and makes the outputs of DVC's objects. So keys, records, objects and pipe.lock come as from any other
// run. The old pipe.lock of an import that was stopped is not looked at.
func (im *importing) take(ctx context.Context) error {
	opt := engine.Options{Take: true, KeepGoing: true, NoDeploy: true, Silent: true, Jobs: runtime.GOMAXPROCS(0)}
	for _, s := range im.stages {
		if !s.carried || s.Deploy {
			continue
		}
		if s.Input && s.outs[0].here == nil {
			if err := im.bring(ctx, s); err != nil {
				return err
			}
		}
		if up := s.stale(); up != "" {
			s.carried, s.why = false, "it needs "+up+", which is not up to date"
		}
		if s.carried {
			// What is up to date is recorded, frozen or not: the engine would leave a frozen stage without a block.
			s.Frozen = false
			opt.Targets = append(opt.Targets, s.Name)
		}
	}
	if len(opt.Targets) == 0 {
		return im.p.saveLock(im.lock)
	}
	e, err := im.p.engine(ctx, ReproOptions{NoPull: true, ask: askNone}, nil)
	if err != nil {
		return err
	}
	e.Runner, e.Runs = importRunner{im}, nil
	e.Emit = func(ev event.Event) {
		if ev.Type == event.Note {
			im.p.emit(ev)
		}
	}
	result, err := e.Run(ctx, im.lock, opt)
	if cause := context.Cause(ctx); cause != nil {
		return err
	}
	if result == nil {
		return err
	}
	for _, o := range result.Stages {
		s := im.by[o.Stage.Name]
		switch {
		case o.Done:
		case o.Err != nil && !ofOneStage(o.Err):
			return o.Err
		case o.Err != nil:
			im.drop(s, o.Err)
		default:
			s.carried, s.why = false, "it needs a stage that is not up to date"
		}
	}
	if err := im.p.saveLock(im.lock); err != nil {
		return err
	}
	return im.names(ctx, result.Stages)
}

// names notes both names of all that is carried over. A stage whose record is there, from an import that was stopped,
// did not need the runner; nor does an input.
func (im *importing) names(ctx context.Context, done []engine.Outcome) error {
	for i := range done {
		s := im.by[done[i].Stage.Name]
		for j, o := range s.outs {
			if !s.carried || j >= len(done[i].Outs) {
				continue
			}
			if o.here != nil {
				im.countHere(o.here)
				if o.Sum.Dir {
					im.countDir(o.Sum, done[i].Outs[j])
				}
			} else if _, known := im.known[o.Sum.String()]; !known {
				if _, err := im.make(ctx, o); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ofOneStage reports whether an error is about one stage, which is listed while the others go on. A store that cannot
// be read ends the import: it would list stages that are up to date.
func ofOneStage(err error) bool {
	if errors.Is(err, dvc.ErrNowhere) {
		return true
	}
	stage := diag.Is(err, diag.Usage) || diag.Is(err, diag.NotFound) || diag.Is(err, diag.Stage) || diag.Is(err, diag.Policy)
	return stage && !errors.Is(err, errUntrusted)
}

// drop says that a stage is not carried over after all.
func (im *importing) drop(s *importStage, err error) {
	s.carried, s.why = false, err.Error()
	if errors.Is(err, dvc.ErrNowhere) {
		s.nowhere()
	} else if all := diag.All(err); len(all) > 0 {
		s.do = all[0].Hint
	}
}

// bring makes an input that is not in the workspace one that pipe.lock names, as if pipe add had taken it on
// another machine.
func (im *importing) bring(ctx context.Context, s *importStage) error {
	out, err := im.make(ctx, s.outs[0])
	if errors.Is(err, dvc.ErrNowhere) {
		im.drop(s, err)
		return nil
	}
	if err != nil {
		return err
	}
	im.lock.Set(lockfile.Stage{Name: s.Name, Key: action.InputKey(s.Stage, out), Cmd: action.CmdDigest(s.Stage), Outs: []artifact.Output{out}})
	return nil
}

// importRunner makes outputs without a command: a run of DVC has made them earlier.
type importRunner struct{ im *importing }

// Run implements action.Runner.
func (r importRunner) Run(ctx context.Context, job *action.Job) (*action.Made, error) {
	made := &action.Made{Earlier: true, Settle: func(bool) error { return nil }}
	s := r.im.by[job.Stage.Name]
	if s == nil || !s.carried {
		return nil, diag.New(diag.Stage, "%s is not up to date", job.Stage.Name)
	}
	for _, o := range s.outs {
		out, err := r.im.make(ctx, o)
		if err != nil {
			return nil, err
		}
		made.Outs = append(made.Outs, out)
	}
	return made, nil
}

// make puts an output into pipe's cache, and returns what it is: from the workspace where it lies there,
// with its executable bits, which DVC does not keep, else from DVC's cache or remote.
func (im *importing) make(ctx context.Context, o *importOut) (out artifact.Output, err error) {
	if o.here != nil {
		return im.fromHere(ctx, o)
	}
	batch, err := im.p.cache.Begin()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	if o.Sum.Dir {
		out, err = im.directory(ctx, batch, o)
	} else {
		var h dvc.Hashed
		h, err = im.fetch(ctx, batch, o.Sum)
		out = artifact.Output{Path: o.at(), Exec: o.Item.Exec, Digest: h.Digest, Size: h.Size}
	}
	if err == nil {
		err = batch.Commit()
	}
	return out, err
}

// directory brings a directory of DVC's into pipe's cache, the tree after its files.
func (im *importing) directory(ctx context.Context, batch store.Batch, o *importOut) (out artifact.Output, err error) {
	list, err := im.store.List(ctx, o.Sum)
	if err != nil {
		return out, err
	}
	t := &object.Tree{Entries: make([]object.Entry, len(list))}
	err = par.Each(ctx, len(list), im.p.workers(), func(ctx context.Context, i int) error {
		h, err := im.fetch(ctx, batch, dvc.Sum{MD5: list[i].MD5, Legacy: o.Sum.Legacy})
		t.Entries[i] = object.Entry{Kind: object.File, Path: repopath.Path(list[i].Path), Digest: h.Digest, Size: h.Size}
		return err
	})
	if err != nil {
		return out, err
	}
	t.Sort()
	if err := t.Check(); err != nil {
		return out, diag.New(diag.Integrity, "DVC's object %s: %w", o.Sum, err)
	}
	out = t.Output(o.at())
	im.countDir(o.Sum, out)
	return out, batch.Put(ctx, object.Of(out), store.Bytes(t.Encode()))
}

// fromHere takes an output that lies in the workspace. It was hashed by DVC's rule before; other bytes than those
// have come meanwhile.
func (im *importing) fromHere(ctx context.Context, o *importOut) (out artifact.Output, err error) {
	var t *object.Tree
	if out, t, err = im.p.work.Output(ctx, o.at()); err == nil && !o.NoCache {
		out, err = im.p.work.Save(ctx, im.p.cache, o.at())
	}
	if err != nil {
		return out, err
	}
	same := out.Dir == o.here.Dir && (out.Dir || out.Digest == o.here.File.Digest)
	if t != nil {
		for _, e := range t.Entries {
			if h, ok := o.here.Files[string(e.Path)]; ok && e.IsFile() {
				same = same && h.Digest == e.Digest
			}
		}
	}
	if !same {
		return out, diag.New(diag.Failed, "changed while pipe read it").At(string(o.at())).Hinted("run pipe import dvc again")
	}
	return out, nil
}

// fetch brings one file of DVC's into pipe's cache: from where it lies on a disk, else by a copy that was checked.
func (im *importing) fetch(ctx context.Context, batch store.Batch, sum dvc.Sum) (h dvc.Hashed, err error) {
	open := func() (io.ReadCloser, error) { return atomicfile.Open(im.store.Local(sum)) }
	if im.store.Local(sum) != "" {
		h, err = im.store.Copy(ctx, sum, nil)
	} else {
		tmp, terr := im.p.work.Temp(worktree.Tmp, "dvc-")
		if terr != nil {
			return h, terr
		}
		defer tmp.Discard()
		open = func() (io.ReadCloser, error) { return tmp.Read("object") }
		h, err = im.download(ctx, tmp.Dir, sum)
	}
	if err == nil {
		err = batch.Put(ctx, object.Ref{Shelf: object.Files, Digest: h.Digest}, store.Source{Size: h.Size, Open: open})
	}
	if err != nil {
		return h, err
	}
	im.count(h, sum)
	return h, nil
}

// download writes an object into a new file of a directory.
func (im *importing) download(ctx context.Context, to folder.Dir, sum dvc.Sum) (h dvc.Hashed, err error) {
	f, err := to.OpenFile("object", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return h, err
	}
	h, err = im.store.Copy(ctx, sum, f)
	return h, errors.Join(err, f.Close())
}

func (im *importing) count(h dvc.Hashed, sum dvc.Sum) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if _, ok := im.taken[sum.String()]; !ok {
		im.taken[sum.String()] = true
		im.r.Objects++
		im.r.Bytes += h.Size
	}
	im.known.Add(h)
}

func (im *importing) countHere(t *dvc.Tree) {
	if !t.Dir {
		im.count(t.File, dvc.Sum{MD5: t.File.MD5})
	}
	for _, h := range t.Files {
		im.count(h, dvc.Sum{MD5: h.MD5})
	}
}

func (im *importing) countDir(sum dvc.Sum, out artifact.Output) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.known.AddDir(sum, out.Digest, out.Size)
}
