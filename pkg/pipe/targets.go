package pipe

import (
	"cmp"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// targets returns the names of the stages that users mean, each once: by name, or by a path
// that the stage makes, as written in the directory where pipe runs. An unknown one is an
// error of kind usage that names the nearest. A stage's name comes before a path with the same
// text.
func (p *Project) targets(names []string) ([]string, error) {
	outs, typed := map[repopath.Path]string{}, map[string]string{}
	var known []string
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		known = append(known, s.Name)
		for _, o := range s.Outs {
			outs[o.Path] = s.Name
			// Many write a path as pipe.yaml has it, wherever they are: the hint is right for here.
			typed[string(o.Path)] = p.typed(o.Path)
			known = append(known, string(o.Path), p.typed(o.Path))
		}
	}
	var stages []string
	for _, n := range names {
		stage := ""
		if p.spec.Stage(n) != nil {
			stage = n
		} else if at, err := p.work.Inside(p.opt.Dir, n); err == nil {
			stage = outs[at]
		}
		if stage == "" {
			e := diag.New(diag.Usage, "no stage or output named %q", n).At(spec.FileName)
			if near := yamldoc.Nearest(n, known); near != "" {
				return nil, e.Hinted("did you mean %s?", cmp.Or(typed[near], near))
			}
			return nil, e.Hinted("pipe dag lists the stages")
		}
		if !slices.Contains(stages, stage) {
			stages = append(stages, stage)
		}
	}
	return stages, nil
}

// locked returns the blocks of the lock that the targets mean, all of them when
// there are none. A block that does not have the outputs that its stage declares
// counts as none: a lock comes from outside and never says where something is written.
func (p *Project) locked(lock *lockfile.File, names []string) ([]*lockfile.Stage, error) {
	stages, err := p.targets(names)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for i := range lock.Stages {
			// All that the lock has: what never ran has nothing to move.
			stages = append(stages, lock.Stages[i].Name)
		}
	}
	var out []*lockfile.Stage
	for _, name := range stages {
		switch l := lock.Stage(name); {
		case fits(p.spec, l):
			out = append(out, l)
		case len(names) > 0:
			return nil, diag.New(diag.NotFound, "%s has no stage %s", lockfile.FileName, name).Hinted("pipe repro %s", name)
		}
	}
	return out, nil
}
