package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// importStage is a stage or an input, and whether DVC's lock still holds for it.
type importStage struct {
	*spec.Stage
	needs   []*importStage
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
	graph := im.p.spec.Edges()
	order, _ := graph.Sort() // spec has refused cycles
	for _, i := range order {
		s := &importStage{Stage: &im.p.spec.Stages[i]}
		for _, u := range graph.Up(i) {
			s.needs = append(s.needs, im.by[im.p.spec.Stages[u].Name])
		}
		im.stages = append(im.stages, s)
		im.by[s.Name] = s
		var err error
		if s.Input {
			err = im.input(ctx, s)
		} else {
			err = im.stage(ctx, s)
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
	if err != nil {
		return err
	}
	if link != "" {
		// Where DVC links one output, it links all: without them there is nothing to carry over.
		return diag.New(diag.Usage, "is a symlink into DVC's cache").At(link).Hinted("run dvc config cache.type copy, then dvc checkout --relink, and import again")
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
	sums := []dvc.Sum{o.Sum}
	if o.Sum.Dir {
		list, err := im.store.List(ctx, o.Sum)
		if errors.Is(err, dvc.ErrNowhere) {
			o.of.nowhere()
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
			o.of.nowhere()
			return nil
		}
	}
	return nil
}

// nowhere says that the bytes of an output that is not in the workspace are not in DVC's stores either.
func (s *importStage) nowhere() {
	var names []string
	for _, o := range s.outs {
		if o.here == nil {
			names = append(names, string(o.at()))
		}
	}
	s.why = strings.Join(names, ", ") + ": not in the workspace, DVC's cache or its remote"
	s.do = "run dvc pull on a machine that can, then import again"
}

// stale returns a stage that another one needs and that is not up to date, "" when there is none. What is
// deployed makes no output.
func (s *importStage) stale() string {
	for _, up := range s.needs {
		if up.why != "" && !up.Deploy {
			return up.Name
		}
	}
	return ""
}

// stage decides about one stage.
func (im *importing) stage(ctx context.Context, s *importStage) error {
	l, ok := im.past[s.Name]
	if !ok {
		s.why = "dvc.lock does not list it"
		return nil
	}
	if up := s.stale(); up != "" && !s.Frozen {
		s.why = "it needs " + up + ", which is not up to date"
		return nil
	}
	switch {
	case sameCommands(s.Cmd, l.Cmd, func(x, y string) bool { return x == y }):
	case im.hasTemplates(s) && sameCommands(s.Cmd, l.Cmd, dvc.SameCommand):
		im.note(ImportNote{At: s.Name, What: "its cmd has a number as its file writes it, where DVC wrote it in another form (1e-3 and 0.001): it counts as the same"})
	default:
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
func sameCommands(a, b []string, same func(x, y string) bool) bool {
	return slices.EqualFunc(a, b, func(x, y string) bool { return same(strings.TrimRight(x, "\n"), strings.TrimRight(y, "\n")) })
}

// hasTemplates reports whether DVC filled in values in a stage's commands.
func (im *importing) hasTemplates(s *importStage) bool {
	group, _, _ := strings.Cut(s.Name, "@")
	return slices.ContainsFunc(im.templates, func(t dvc.Template) bool { return path.Join(path.Dir(t.File), t.Stage) == group })
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
