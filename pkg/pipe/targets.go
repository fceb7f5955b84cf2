package pipe

import (
	"cmp"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// targets returns the names of the stages that users mean, each once: by name, by the name
// of a group, by a path that the stage makes, as written in the directory where pipe runs, or by a glob
// over names. An unknown one is an error of kind usage that names the nearest. Where one text could
// be several of these, the first counts.
func (p *Project) targets(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil // a run of everything looks nothing up
	}
	outs := map[repopath.Path]string{}
	for i := range p.spec.Stages {
		for _, o := range p.spec.Stages[i].Outs {
			outs[o.Path] = p.spec.Stages[i].Name
		}
	}
	var stages []string
	seen := map[string]bool{}
	for _, n := range names {
		var found []string
		if p.spec.Stage(n) != nil {
			found = []string{n}
		} else if at, err := p.work.Inside(p.opt.Dir, n); err == nil && outs[at] != "" && len(p.spec.Members(n)) == 0 {
			found = []string{outs[at]}
		} else if found = p.byGlob(n); isGlob(n) {
			if err := checkGlob(n); err != nil {
				return nil, err
			}
		}
		if len(found) == 0 {
			return nil, p.noTarget(n)
		}
		for _, stage := range found {
			if !seen[stage] {
				seen[stage], stages = true, append(stages, stage)
			}
		}
	}
	return stages, nil
}

// noTarget is the error about a target that means no stage.
func (p *Project) noTarget(name string) error {
	typed := map[string]string{}
	known := p.spec.Groups()
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		known = append(known, s.Name)
		for _, o := range s.Outs {
			// Many write a path as pipe.yaml has it, wherever they are: the hint is right for here.
			here := p.typed(o.Path)
			typed[string(o.Path)] = here
			known = append(known, string(o.Path), here)
		}
	}
	e := diag.New(diag.Usage, "no stage or output named %q", name).At(spec.FileName)
	if near := yamldoc.Nearest(name, known); near != "" {
		return e.Hinted("did you mean %s?", cmp.Or(typed[near], near))
	}
	return e.Hinted("pipe stage list shows the stages")
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
