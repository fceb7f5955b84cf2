package pipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Validated is what a pipe.yaml without faults declares.
type Validated struct {
	File         string   `json:"file"`         // as the user would write it; - for stdin
	Builds       int      `json:"builds"`       // stages that make outputs
	Checks       int      `json:"checks"`       // check stages
	Deploys      int      `json:"deploys"`      // deploy stages
	Inputs       int      `json:"inputs"`       // that pipe keeps
	Sources      int      `json:"sources"`      // other repositories
	Environments int      `json:"environments"` // with those in files of each:; patterns count once
	Read         []string `json:"read"`         // other files that it names and that were read; sorted
}

// Validate reads a pipe.yaml as every verb does, with the files that it names, and reports all
// faults at once: the pipe.yaml of the project, or with a name that file, or that of a directory.
// "-" is stdin, as if it were the project's pipe.yaml. It needs no git, no network and no lock, and nothing is hashed or run.
func Validate(ctx context.Context, opt Options, stdin io.Reader, name string) (*Validated, error) {
	opt = opt.withDefaults()
	v := &validator{p: &Project{opt: opt}}
	data, err := v.open(name, stdin)
	if err != nil {
		return nil, err
	}
	top, err := inRepository(v.p.root)
	if err != nil {
		return nil, err
	}
	v.p.spec, err = spec.ParseIn(v.File, data, spec.Options{Dir: top, Read: v.read})
	if err != nil {
		return nil, err
	}
	all, err := v.p.spec.Expand(v.read)
	err = errors.Join(err, v.envFiles(), v.params())
	if len(v.p.spec.Remotes) > 0 {
		unnamed := v.p.checkName(ctx)
		if e := (*diag.Error)(nil); errors.As(unnamed, &e) {
			e.Place = v.File
		}
		err = errors.Join(err, checkRemotes(v.p.spec.Remotes), unnamed)
	}
	if err != nil {
		return nil, err
	}
	v.count(all)
	return &v.Validated, nil
}

// validator validates one file. Its project has a root and a spec alone.
type validator struct {
	Validated
	p *Project
}

// open finds the file and reads it.
func (v *validator) open(name string, stdin io.Reader) (data []byte, err error) {
	switch name {
	case "":
		if v.p.root, err = findRoot(v.p.opt.Dir); err != nil {
			return nil, err
		}
		v.File = spec.FileName
		return v.p.file(spec.FileName)
	case Stdin:
		v.p.root, err = findRoot(v.p.opt.Dir)
		if errors.Is(err, errNoProject) {
			v.p.root, err = filepath.Abs(v.p.opt.Dir)
		}
		if err != nil {
			return nil, err
		}
		v.File, data, err = readNamed("", name, stdin)
		return data, err
	}
	if v.File, data, err = readNamed(v.p.opt.Dir, name, nil); err == nil {
		v.p.root, err = filepath.Abs(filepath.Dir(written(v.p.opt.Dir, v.File)))
	}
	return data, err
}

// inRepository returns where a directory lies in its git repository, "" when it is in none. It asks
// no git: that there is a .git is enough to say which paths lie outside.
func inRepository(dir string) (repopath.Path, error) {
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			rel, err := filepath.Rel(top, dir)
			if err != nil {
				return "", err
			}
			return repopath.FromOS(rel)
		}
		if top == filepath.Dir(top) {
			return "", nil
		}
	}
}

// read reads a file that the pipe.yaml names.
func (v *validator) read(at repopath.Path) ([]byte, error) {
	data, err := v.p.file(at)
	if err == nil && !slices.Contains(v.Read, string(at)) {
		v.Read = append(v.Read, string(at))
	}
	return data, err
}

// params looks for the keys that stages declare. A file that is not there may be made, or put
// there, before the stage runs.
func (v *validator) params() (err error) {
	for i := range v.p.spec.Stages {
		s := &v.p.spec.Stages[i]
		for _, p := range s.Params {
			if v.made(p.File) {
				continue
			}
			data, rerr := v.read(p.File)
			if errors.Is(rerr, fs.ErrNotExist) {
				continue
			}
			if rerr == nil {
				_, rerr = params.Read(p.File, data, p.Keys)
			}
			for _, e := range diag.All(rerr) {
				err = errors.Join(err, diag.New(diag.Usage, "%s: params: %s", s.Name, e.Error()).At(p.Place).Hinted("%s", e.Hint))
			}
		}
	}
	return err
}

// envFiles reads the files of env_file. One that is not there may be put there before pipe runs.
func (v *validator) envFiles() (err error) {
	_, faults := v.p.spec.WithEnv(func(at repopath.Path) ([]byte, error) {
		data, err := v.read(at)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return data, err
	}, func(name string) (string, bool) { return shell.Getenv(v.p.opt.Environ, name) })
	for _, name := range slices.Sorted(maps.Keys(faults)) { // the same file counts once: see Describe
		err = errors.Join(err, faults[name])
	}
	return err
}

// made reports whether a stage makes the file: what lies there now is not what is read.
func (v *validator) made(file repopath.Path) bool {
	return slices.ContainsFunc(v.p.spec.Stages, func(s spec.Stage) bool {
		return !s.Input && slices.ContainsFunc(s.Outs, func(o spec.Out) bool { return o.Path.Holds(file) })
	})
}

// count says what there is.
func (v *validator) count(all *spec.Environments) {
	for _, s := range v.p.spec.Stages {
		switch {
		case s.Input:
			v.Inputs++
		case s.Check:
			v.Checks++
		case s.Deploy:
			v.Deploys++
		default:
			v.Builds++
		}
	}
	v.Sources, v.Environments = len(v.p.spec.Sources), len(all.All)
	if v.Read == nil {
		v.Read = []string{}
	}
	slices.Sort(v.Read)
}
