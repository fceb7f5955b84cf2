package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// importStage is a stage or an input, and whether DVC's lock still holds for it.
type importStage struct {
	*spec.Stage
	outs    []*importOut
	carried bool
	asItIs  bool // frozen, and its inputs are not those of dvc.lock: no block, but what lies there counts
	why, do string
}

// importOut is an output with DVC's name of it.
type importOut struct {
	spec.Out
	dvc.Item
	here *dvc.Tree // nil: it is not in the workspace
	of   *importStage
}

// At is where it lies.
func (o *importOut) at() repopath.Path { return o.Out.Path }

// decide finds out for each stage whether it is up to date by dvc.lock, as dvc repro would: its
// command, its deps and params, and its outputs. What is not will run.
func (im *importing) decide(ctx context.Context) error {
	im.past = map[string]dvc.Locked{}
	for _, f := range im.d.Files {
		for _, l := range f.Locked {
			im.past[strings.TrimPrefix(path.Join(f.Dir, l.Name), "./")] = l
		}
	}
	order, _ := im.p.spec.Edges().Sort() // spec has refused cycles
	for _, i := range order {
		s := &importStage{Stage: &im.p.spec.Stages[i]}
		im.stages = append(im.stages, s)
		im.by[s.Name] = s
		var err error
		if s.Input {
			err = im.input(ctx, s)
		} else {
			err = im.stage(ctx, i, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		s.carried = s.why == "" && !s.asItIs
		for _, o := range s.outs {
			im.outs[o.at()] = o
		}
	}
	return nil
}

// input finds the bytes of an input. What lies in the workspace counts, edited or not.
func (im *importing) input(ctx context.Context, s *importStage) error {
	out := s.Stage.Outs[0]
	o := &importOut{Out: out, Item: im.inputs[out.Path].Item, of: s}
	s.outs = []*importOut{o}
	if err := im.look(ctx, o); err != nil || s.why != "" {
		return err
	}
	if o.here != nil {
		o.Item.Sum = o.here.Sum(o.Sum.Legacy)
		return nil
	}
	return im.find(ctx, o)
}

// look hashes what lies at an output.
func (im *importing) look(ctx context.Context, o *importOut) (err error) {
	link, err := im.linked(o.at())
	if err != nil || link != "" {
		if link != "" {
			o.of.why, o.of.do = link+" is a symlink into DVC's cache", "run dvc config cache.type copy, then dvc checkout --relink, and import again"
		}
		return err
	}
	o.here, err = im.files.At(ctx, string(o.at()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// linked returns the first symlink at an output, or in it, that leads out of it: DVC makes them with cache.type
// symlink.
func (im *importing) linked(at repopath.Path) (link string, err error) {
	top := im.p.work.OS(at)
	err = filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink == 0 {
			return err
		}
		to, err := filepath.EvalSymlinks(name)
		if err != nil {
			return err
		}
		if rel, err := filepath.Rel(top, to); name == top || err != nil || !filepath.IsLocal(rel) {
			link = im.p.typed(at)
			return fs.SkipAll
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return link, err
}

// find makes sure that DVC has the bytes of an output that is not in the workspace. A run that converts
// finds out when it reads them; a dry run asks.
func (im *importing) find(ctx context.Context, o *importOut) error {
	where := "not in the workspace, DVC's cache or its remote"
	nowhere := func(what string) {
		o.of.why, o.of.do = what+" is "+where, "run dvc pull on a machine that can, then import again"
	}
	sums := []dvc.Sum{o.Sum}
	if o.Sum.Dir {
		list, err := im.store.List(ctx, o.Sum)
		if errors.Is(err, dvc.ErrNowhere) {
			nowhere(string(o.at()))
			return nil
		}
		if err != nil {
			return err
		}
		sums = nil
		for _, e := range list {
			sums = append(sums, dvc.Sum{MD5: e.MD5, Legacy: o.Sum.Legacy})
		}
	}
	if !im.how.DryRun {
		return nil
	}
	for _, sum := range sums {
		ok, err := im.store.Has(ctx, sum)
		if err != nil {
			return err
		}
		if !ok {
			nowhere(string(o.at()))
			return nil
		}
	}
	return nil
}

// stage decides about one stage.
func (im *importing) stage(ctx context.Context, i int, s *importStage) error {
	l, ok := im.past[s.Name]
	if !ok {
		s.why = "dvc.lock does not list it"
		return nil
	}
	for _, u := range im.p.spec.Edges().Up(i) {
		if up := im.by[im.p.spec.Stages[u].Name]; up.why != "" && !up.Deploy && !s.Frozen {
			s.why = "it needs " + up.Name + ", which is not up to date"
			return nil
		}
	}
	if !sameCommands(s.Cmd, l.Cmd) {
		s.why = "its cmd is not the one in dvc.lock"
		return nil
	}
	changed, err := im.changed(ctx, s, &l)
	if err != nil {
		return err
	}
	if changed != "" && !s.Frozen {
		s.why = changed
		return nil
	}
	s.asItIs = changed != ""
	for _, out := range s.Stage.Outs {
		if err := im.out(ctx, s, &l, out); err != nil || s.why != "" {
			return err
		}
	}
	if s.asItIs {
		im.note(ImportNote{At: s.Name, What: "it is frozen, and " + changed + ": pipe.lock has no entry for it, and what lies at its outputs counts", Do: "run pipe unfreeze " + s.Name + " to build it again"})
		for _, o := range s.outs {
			if o.here == nil {
				s.why, s.do = string(o.at())+" is not in the workspace, and the stage is frozen", "run dvc checkout, then import again"
			}
		}
	}
	return nil
}

// sameCommands compares commands without the newline that ends a script.
func sameCommands(a, b []string) bool {
	return slices.EqualFunc(a, b, func(x, y string) bool { return strings.TrimRight(x, "\n") == strings.TrimRight(y, "\n") })
}

// out looks at an output of a stage that is up to date otherwise.
func (im *importing) out(ctx context.Context, s *importStage, l *dvc.Locked, out spec.Out) error {
	item := itemAt(l.Outs, s.Wdir, string(out.Path))
	if item == nil || item.Sum.MD5 == "" {
		s.why = "dvc.lock has no md5 of " + string(out.Path)
		return nil
	}
	o := &importOut{Out: out, Item: *item, of: s}
	s.outs = append(s.outs, o)
	if err := im.look(ctx, o); err != nil || s.why != "" {
		return err
	}
	switch {
	case o.here == nil && out.NoCache:
		s.why = string(out.Path) + " does not exist, and cache: false keeps no other copy"
	case o.here == nil:
		return im.find(ctx, o)
	case o.here.Sum(o.Sum.Legacy) != o.Sum:
		s.why = string(out.Path) + " is not the one in dvc.lock"
	}
	return nil
}

// itemAt returns the item of dvc.lock that means a path from the root; nil: there is none.
func itemAt(items []dvc.Item, wdir repopath.Path, at string) *dvc.Item {
	for i := range items {
		if path.Join(string(wdir), items[i].Path) == at {
			return &items[i]
		}
	}
	return nil
}

// changed says which input of a stage is not the one in dvc.lock; "" when all are.
func (im *importing) changed(ctx context.Context, s *importStage, l *dvc.Locked) (string, error) {
	for _, d := range l.Deps {
		if strings.Contains(d.Path, "://") {
			return "its dependency " + d.Path + " has no md5 in dvc.lock", nil
		}
	}
	for _, d := range s.Deps {
		at, err := im.depPath(d)
		if err != nil {
			return "", err
		}
		item := itemAt(l.Deps, s.Wdir, at)
		if item == nil || item.Sum.MD5 == "" {
			return "dvc.lock has no md5 of its dependency " + d.Name(), nil
		}
		now, err := im.sumAt(ctx, at, item.Sum)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, dvc.ErrNowhere) {
			return "its dependency " + d.Name() + " does not exist", nil
		}
		if err != nil {
			return "", err
		}
		if now != item.Sum {
			return "its dependency " + d.Name() + " changed", nil
		}
	}
	for _, f := range s.Params {
		if why, err := im.changedParams(s, f, l); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

// depPath returns a dep's path from the project's root, which may lead out of it.
func (im *importing) depPath(d spec.Dep) (string, error) {
	if !d.Top {
		return string(d.Path), nil
	}
	rel, err := filepath.Rel(string(im.p.at()), string(d.Path))
	return filepath.ToSlash(rel), err
}

// sumAt returns DVC's name of what a stage reads at a path: of another stage's output as it is
// recorded, or of what lies in the workspace.
func (im *importing) sumAt(ctx context.Context, at string, like dvc.Sum) (dvc.Sum, error) {
	if o := im.outs[repopath.Path(at)]; o != nil && o.Sum.Legacy == like.Legacy {
		return o.Sum, nil
	}
	for up := path.Dir(at); up != "."; up = path.Dir(up) {
		o := im.outs[repopath.Path(up)]
		if o == nil || !o.Sum.Dir || o.here != nil || o.Sum.Legacy != like.Legacy {
			continue
		}
		list, err := im.store.List(ctx, o.Sum)
		if err != nil {
			return dvc.Sum{}, err
		}
		return insideList(list, strings.TrimPrefix(at, up+"/"), like.Legacy)
	}
	t, err := im.files.At(ctx, at)
	if err != nil {
		return dvc.Sum{}, err
	}
	return t.Sum(like.Legacy), nil
}

// insideList returns the name of a file or directory of a list.
func insideList(list []dvc.Entry, at string, legacy bool) (dvc.Sum, error) {
	var below []dvc.Entry
	for _, e := range list {
		if e.Path == at {
			return dvc.Sum{MD5: e.MD5, Legacy: legacy}, nil
		}
		if rest, ok := strings.CutPrefix(e.Path, at+"/"); ok {
			below = append(below, dvc.Entry{MD5: e.MD5, Path: rest})
		}
	}
	if len(below) == 0 {
		return dvc.Sum{}, fs.ErrNotExist
	}
	return dvc.SumOf(below, legacy), nil
}

// changedParams says which value of a params file is not the one in dvc.lock.
func (im *importing) changedParams(s *importStage, f spec.Params, l *dvc.Locked) (string, error) {
	data, err := atomicfile.Read(im.p.work.OS(f.File), yamldoc.MaxSize)
	if errors.Is(err, os.ErrNotExist) {
		return "its params file " + string(f.File) + " does not exist", nil
	}
	if err != nil {
		return "", err
	}
	values, err := params.Read(f.File, data, f.Keys)
	if err != nil {
		return "a key of its params is not in " + string(f.File), nil //nolint:nilerr // repro says which
	}
	var locked *yamldoc.Node
	for file, n := range l.Params {
		if path.Join(string(s.Wdir), file) == string(f.File) {
			locked = n
		}
	}
	for _, v := range values {
		was := locked
		if locked != nil && v.Key != "" {
			was = locked.Get(v.Key)
		}
		name := strings.TrimSuffix(string(f.File)+":"+v.Key, ":")
		if was == nil {
			return "dvc.lock has no value of " + name, nil
		}
		if !dvc.SameValue(v.Value, was.Canonical()) {
			return name + " changed", nil
		}
	}
	return "", nil
}

// asOutput describes an output that another tool recorded, once its bytes are in the cache.
func (o *importOut) asOutput(f artifact.Output) artifact.Output {
	f.Path = o.at()
	return f
}
