package pipe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// stage adds a stage to those of its file.
func (x *exporting) stage(ctx context.Context, s *spec.Stage, stages map[string][]dvc.Stage) error {
	dir, name := path.Split(s.Name)
	dir = path.Clean(dir)
	d := dvc.Stage{
		Name: name, Original: s.Name, Written: name, Desc: s.Desc, Meta: s.Meta, Wdir: relative(repopath.Path(dir), s.Wdir),
		Frozen: s.Frozen || s.Deploy, AlwaysChanged: s.AlwaysChanged, Spread: len(s.Excludes) > 0,
	}
	if s.Group != "" {
		d.Written = path.Base(s.Group)
	}
	for _, script := range s.Cmd {
		d.Cmd = append(d.Cmd, dvc.Script(script, s.Shell == "bash"))
	}
	l := x.lock.Stage(s.Name)
	d.Locked = x.current[s.Name] && fits(x.spec, l) && !s.Deploy && !s.AlwaysChanged
	for _, o := range s.Outs {
		k := x.kept[o.Path]
		d.Locked = d.Locked && k.item.Sum.MD5 != ""
		out := dvc.StageOut{Item: k.item, List: o.Sort.String(), NoCache: o.NoCache, Persist: o.Persist, NoPush: o.NoPush}
		out.Path = relative(s.Wdir, o.Path)
		d.Outs = append(d.Outs, out)
	}
	why, do := "it is not up to date", "pipe repro "+s.Name+", then pipe export dvc --force"
	switch {
	case d.Locked, s.Deploy, s.AlwaysChanged:
		why = ""
	case s.Frozen:
		why, do = "it is frozen, and pipe.lock does not list it", "dvc commit "+s.Name
	}
	x.said(s, why, do)
	if err := x.deps(ctx, s, &d); err != nil {
		return err
	}
	if err := x.params(ctx, s, &d); err != nil {
		return err
	}
	stages[dir] = append(stages[dir], d)
	return nil
}

// relative returns how a path of the project is written in a directory.
func relative(dir, at repopath.Path) string {
	rel, err := filepath.Rel(string(dir), string(at))
	if err != nil { // both are relative to the project
		return string(at)
	}
	return filepath.ToSlash(rel)
}

// deps adds what the stage reads: as it is named, or where DVC has no such form, each file.
func (x *exporting) deps(ctx context.Context, s *spec.Stage, d *dvc.Stage) error {
	for _, dep := range s.Deps {
		ats, err := x.depPaths(ctx, s, dep)
		if err != nil {
			return err
		}
		if len(ats) != 1 || dep.Glob != "" || ats[0] != dep.Path || len(s.Excludes) > 0 {
			d.Spread = true
		}
		for _, at := range ats {
			item, err := x.dep(ctx, at, dep.Top)
			if err != nil {
				return err
			}
			item.Path = relative(s.Wdir, at)
			if dep.Top {
				item.Path = relative(x.at().Child(string(s.Wdir)), at)
			}
			if s.Frozen && !x.asRecorded(ctx, s, dep, item) {
				item.Sum = dvc.Sum{}
			}
			d.Deps = append(d.Deps, item)
		}
	}
	if d.Spread {
		x.note(spec.FileName+": "+d.Written, "its deps are the files that are there now: DVC has no patterns and no excludes", "name new files in deps, or a directory", false)
	}
	return nil
}

// asRecorded reports whether a file that a frozen stage reads is what it was made from; what cannot be compared is not.
func (x *exporting) asRecorded(ctx context.Context, s *spec.Stage, dep spec.Dep, item dvc.Item) bool {
	l := x.lock.Stage(s.Name)
	if l == nil || item.Sum.Dir {
		return false
	}
	in, _, err := x.local().ReadDep(ctx, dep, s.Excludes, inputs.Made{Is: func(repopath.Path) bool { return false }})
	for _, was := range l.Deps {
		if err == nil && was.Name() == dep.Name() && was.Digest == in.Digest {
			return true
		}
	}
	return false
}

// depPaths returns the paths that stand for a dep in DVC.
func (x *exporting) depPaths(ctx context.Context, s *spec.Stage, dep spec.Dep) (ats []repopath.Path, err error) {
	if dep.Glob == "" && len(s.Excludes) == 0 && dep.Path != repopath.Root {
		return []repopath.Path{dep.Path}, nil
	}
	outs := x.madeBy(s, dep)
	in, list, err := x.local().ReadDep(ctx, dep, s.Excludes, inputs.Made{Is: x.isOut, Inside: outs})
	if err != nil {
		return nil, err
	}
	if in.Kind.Plain() == artifact.OneFile {
		return []repopath.Path{dep.Path}, nil
	}
	for _, e := range list.Entries {
		at := e.Path
		if in.Kind.Plain() == artifact.Dir {
			at = dep.Path.Child(string(e.Path))
		}
		if !dvc.Owns(string(at)) {
			ats = append(ats, at)
		}
	}
	return ats, nil
}

// params adds the parameters. Those of a file that git ignores stay out: dvc.lock would show their values.
func (x *exporting) params(ctx context.Context, s *spec.Stage, d *dvc.Stage) error {
	for _, p := range s.Params {
		if ignored, err := x.inputs.Ignored(p.File, false); err != nil || ignored {
			x.note(spec.FileName+": "+d.Written, "its params of "+string(p.File)+" are not carried over: git ignores the file, and dvc.lock would show the values", "add the file to deps", true)
			continue
		}
		of := dvc.ParamsOf{File: relative(s.Wdir, p.File), Keys: p.Keys}
		if d.Locked {
			one := *s
			one.Params = []spec.Params{p}
			values, err := x.local().Params(ctx, &one, x.allOuts())
			if err != nil {
				return err
			}
			of.Values = texts(values)
		}
		d.Params = append(d.Params, of)
	}
	return nil
}

func texts(values []params.Value) (all []string) {
	for _, v := range values {
		all = append(all, v.Value)
	}
	return all
}

// dep returns what DVC has of a path that a stage reads: of an output what it is in DVC's cache, of all else what lies
// there.
func (x *exporting) dep(ctx context.Context, at repopath.Path, top bool) (dvc.Item, error) {
	name := string(at)
	if top {
		name = relative(x.at(), at)
	} else if item, ok := x.inOutput(at); ok {
		return item, nil
	}
	t, err := x.files.At(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return dvc.Item{}, nil
	}
	if err != nil {
		return dvc.Item{}, err
	}
	return itemOf(t), nil
}

// itemOf describes what lies in the workspace.
func itemOf(t *dvc.Tree) dvc.Item {
	item := dvc.Item{Sum: t.Sum(false), Size: t.File.Size}
	for _, h := range t.Files {
		item.Size += h.Size
		item.Files++
	}
	return item
}

// isOut reports whether a stage makes the path.
func (x *exporting) isOut(at repopath.Path) bool {
	s, o := inside(x.spec, at)
	return s != nil && o.Path == at
}

// madeBy returns the recorded outputs that a dep takes in.
func (x *exporting) madeBy(s *spec.Stage, dep spec.Dep) (outs []artifact.Output) {
	for _, o := range x.allOuts() {
		if _, declared := inside(x.spec, o.Path); !strings.HasPrefix(string(o.Path), "../") && s.Out(o.Path) == nil && s.TakesOut(dep, &declared) {
			outs = append(outs, o)
		}
	}
	return outs
}
