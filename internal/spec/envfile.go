package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// EnvFile is a file whose variables a stage declares by naming it. It is read when pipe runs.
type EnvFile struct {
	Path     repopath.Path
	Optional bool // it need not be there
	Place    string
}

// envFiles reads env_file: a path, {path: P, optional: true}, or a list of these.
func (r *reader) envFiles(n *yamldoc.Node, dir repopath.Path, prefix string) (files []EnvFile) {
	items := []*yamldoc.Node{n}
	if n.Kind == yamldoc.List {
		items = n.Items
	}
	for _, it := range items {
		f, ok := r.envFile(it, dir, prefix)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(files, func(g EnvFile) bool { return g.Path == f.Path }); i >= 0 {
			r.faultAt(f.Place, "%senv_file %s is already named (%s)", prefix, f.Path, files[i].Place)
			continue
		}
		files = append(files, f)
	}
	return files
}

// envFile reads one item of env_file.
func (r *reader) envFile(n *yamldoc.Node, dir repopath.Path, prefix string) (f EnvFile, ok bool) {
	at := n
	if n.Kind == yamldoc.Map {
		for _, o := range n.Pairs {
			switch o.Key {
			case "path":
			case "optional":
				f.Optional = r.flag(o.Value, prefix, "env_file: optional")
			default:
				r.unknown(o, prefix+"env_file: ", nil, []string{"optional", "path"})
			}
		}
		if at = n.Get("path"); at == nil {
			_ = r.fault(n, "%senv_file: must be a path, or a map with path", prefix).Hinted("write {path: PATH, optional: true}")
			return f, false
		}
	}
	p, slash, ok := r.path(at, dir, prefix+"env_file")
	if !ok {
		return f, false
	}
	f.Path, f.Place = p, at.Place(r.file)
	if slash {
		r.fault(at, "%senv_file %s: must be a file, not a directory", prefix, at.Value)
		return f, false
	}
	return f, r.reserved(at, p, prefix+"env_file")
}

// cover puts the files that the top level names before those of each stage that has a command: the later one
// wins.
func cover(stages []Stage, files []EnvFile) {
	for i := range stages {
		if s := &stages[i]; !s.Input {
			s.EnvFiles = slices.Concat(files, s.EnvFiles)
		}
	}
}

// envInGit reports env files that a stage makes, or that another repository has: they are read before
// anything runs.
func (r *reader) envInGit(p *Project, x *outIndex) {
	told := map[EnvFile]bool{} // stages share those of the top level
	for i := range p.Stages {
		for _, f := range p.Stages[i].EnvFiles {
			if told[f] {
				continue
			}
			told[f] = true
			const hint = "a command can read it itself: add it to deps"
			x.above(f.Path, func(m made) {
				_ = r.faultAt(f.Place, "env_file %s is in %s (%s), and env files are read before stages run", f.Path, p.Stages[m.stage].Made(m.out.Path), m.out.Place).Hinted(hint)
			})
			for _, s := range p.Sources {
				if s.Path.Holds(f.Path) {
					_ = r.faultAt(f.Place, "env_file %s is in source %s (%s), and env files are read before sources are fetched", f.Path, s.Path, s.Place).Hinted(hint)
				}
			}
		}
	}
}

// WithEnv returns the project with the variables of the env files among those of the stages, and the faults
// of the files, by stage: a stage that is left out needs none of them. read returns a file of the project, env
// a variable of the environment. A variable that a stage lists in env keeps its options.
func (p *Project) WithEnv(read func(repopath.Path) ([]byte, error), env func(string) (string, bool)) (*Project, map[string]error) {
	type result struct {
		vars []dotenv.Var
		err  error
	}
	full, faults := *p, map[string]error{}
	lists := map[string]result{} // most stages have the same
	vars := func(files []EnvFile) result {
		id := fmt.Sprintf("%#v", files)
		got, known := lists[id]
		if !known {
			got.vars, got.err = readEnv(files, read, env)
			lists[id] = got
		}
		return got
	}
	full.Shared = vars(p.EnvFiles).vars
	full.Stages = slices.Clone(p.Stages)
	for i := range p.Stages {
		s := &full.Stages[i]
		if len(s.EnvFiles) == 0 {
			continue
		}
		got := vars(s.EnvFiles)
		if got.err != nil {
			faults[s.Name] = got.err
		}
		s.take(got.vars)
	}
	return &full, faults
}

// take adds the variables of files to those of the stage.
func (s *Stage) take(vars []dotenv.Var) {
	s.Env = slices.Clone(s.Env)
	for i := range vars {
		v := &vars[i]
		at, declared := slices.BinarySearchFunc(s.Env, v.Name, func(e Env, name string) int { return strings.Compare(e.Name, name) })
		switch {
		case declared:
			s.Env[at].File = v
		case s.Passes(v.Name):
			s.Passed = append(s.Passed, *v)
		default:
			s.Env = slices.Insert(s.Env, at, Env{Name: v.Name, Place: v.Place, File: v})
		}
	}
}

// readEnv reads files, and returns the last variable of each name.
func readEnv(files []EnvFile, read func(repopath.Path) ([]byte, error), env func(string) (string, bool)) (vars []dotenv.Var, err error) {
	var faults diag.List
	for _, f := range files {
		data, err := read(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			if !f.Optional {
				faults = append(faults, diag.New(diag.Usage, "env_file %s does not exist", f.Path).At(f.Place).
					Hinted("create the file, or write {path: PATH, optional: true}"))
			}
			continue
		}
		if err != nil {
			if path := (*fs.PathError)(nil); errors.As(err, &path) {
				err = path.Err // f.Path is what people have written
			}
			faults = append(faults, diag.New(diag.Usage, "env_file %s: %w", f.Path, err).At(f.Place))
			continue
		}
		own, err := dotenv.Parse(string(f.Path), data, env, vars)
		faults = append(faults, diag.All(err)...)
		for _, v := range own {
			if strings.HasPrefix(v.Name, reservedEnv) {
				faults = append(faults, diag.New(diag.Usage, "%s: names that start with %s are reserved for pipe", v.Name, reservedEnv).At(v.Place))
			}
			vars = slices.DeleteFunc(vars, func(old dotenv.Var) bool { return old.Name == v.Name })
			vars = append(vars, v)
		}
	}
	return vars, faults.OrNil()
}
