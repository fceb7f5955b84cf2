package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

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
