package pipe

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/event"
)

// means reports whether a pattern stands for a stage: by its name, by the name of its group, or as a glob. In a glob, *
// stands for any text, slashes too: services/* are all stages of that directory, and of those in it.
func means(pattern, name, group string) bool {
	if pattern == name || pattern == group && group != "" {
		return true
	}
	ok, _ := path.Match(unslashed(pattern), unslashed(name))
	return ok
}

// unslashed puts another character in place of slashes, which are the only thing that * in a path does not match.
func unslashed(text string) string { return strings.ReplaceAll(text, "/", "\x00") }

// isGlob reports whether a name of the command line can only be a glob: no stage has such a name.
func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

// checkGlob refuses a glob that is not complete.
func checkGlob(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return diag.New(diag.Usage, "%s is not a valid pattern", pattern).Hinted("* is any text, ? one character, [abc] one of these")
	}
	return nil
}

// group returns the group of a stage; "" where it has none, or pipe.yaml does not have the stage.
func (p *Project) group(name string) string {
	if s := p.spec.Stage(name); s != nil {
		return s.Group
	}
	return ""
}

// chosen are the patterns of --only and --skip.
type chosen struct{ only, skip []string }

// has returns whether the patterns choose a stage, and if not, the option that leaves it out.
func (c chosen) has(name, group string) (ok bool, option string) {
	fit := func(p string) bool { return means(p, name, group) }
	if i := slices.IndexFunc(c.skip, fit); i >= 0 {
		return false, "--skip " + c.skip[i]
	}
	if len(c.only) > 0 && !slices.ContainsFunc(c.only, fit) {
		return false, "--only"
	}
	return true, ""
}

// check refuses a pattern that fits none of the stages: that is a typing error. what names the sort of stages.
func (c chosen) check(what string, names []string, group func(string) string) (err error) {
	for _, given := range []struct {
		flag     string
		patterns []string
	}{{"--only", c.only}, {"--skip", c.skip}} {
		for _, pat := range given.patterns {
			if gerr := checkGlob(pat); gerr != nil {
				err = errors.Join(err, gerr)
			} else if !slices.ContainsFunc(names, func(n string) bool { return means(pat, n, group(n)) }) {
				err = errors.Join(err, unknownName(fmt.Sprintf("%s %s matches no %s", given.flag, pat, what), pat, slices.Clone(names)))
			}
		}
	}
	return err
}

// omit returns the stages that --only and --skip leave out of a build, and why. Inputs are no stages that could be.
func (p *Project) omit(opt *ReproOptions) (map[string]event.Reason, error) {
	c := chosen{opt.Only, opt.Skip}
	if len(c.only) > 0 && len(opt.Targets) > 0 {
		return nil, diag.New(diag.Usage, "--only cannot be combined with the names of stages").
			Hinted("pipe repro --single STAGE runs only the named stages; --skip leaves out some that they need")
	}
	var names []string
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; !s.Input {
			names = append(names, s.Name)
		}
	}
	if err := c.check("stage", names, p.group); err != nil {
		return nil, err
	}
	out := map[string]event.Reason{}
	for _, name := range names {
		if ok, option := c.has(name, p.group(name)); !ok {
			out[name] = event.Reason{Code: event.ByOption, Path: option}
		}
	}
	return out, nil
}

// choose returns those of the deploy stages that --only and --skip choose, and why the others are left out.
func (p *Project) choose(opt *DeployOptions, names []string) (stages []string, omit map[string]event.Reason, err error) {
	c := chosen{opt.Only, opt.Skip}
	err, omit = c.check("deploy stage", names, p.group), map[string]event.Reason{}
	for _, n := range names {
		if ok, option := c.has(n, p.group(n)); ok {
			stages = append(stages, n)
		} else {
			omit[n] = event.Reason{Code: event.ByOption, Path: option}
		}
	}
	if err == nil && len(stages) == 0 {
		err = diag.New(diag.Usage, "no stages to deploy").Hinted("pipe stage list shows the stages; deploy: true makes one a deploy stage")
	}
	return stages, omit, err
}

// world returns what conditions ask for, with the values of a deploy stage's environment; what has changed, a run alone knows.
func (p *Project) world() func(ctx context.Context, given map[string]string) expr.World {
	var once sync.Once
	branch := ""
	return func(ctx context.Context, given map[string]string) expr.World {
		return expr.World{
			Env: func(name string) (string, bool) {
				if v, ok := given[name]; ok {
					return v, true
				}
				return shell.Getenv(p.env, name)
			},
			Branch: func() string {
				once.Do(func() { branch = p.branch(ctx) })
				return branch
			},
		}
	}
}

// nowhere adds to out those of the deploy stages whose condition is false in each of the targets' environments: nothing is
// built for them. A condition that asks what has changed is left to the run.
func (p *Project) nowhere(ctx context.Context, stages []string, targets []*target, out map[string]event.Reason) error {
	world := p.world()
	for _, name := range stages {
		s := p.spec.Stage(name)
		if s.When == nil || len(s.When.Stages()) > 0 {
			continue
		}
		for _, t := range targets {
			why, err := engine.Unless(s, world(ctx, t.given))
			if err != nil {
				return err
			}
			if why == nil {
				delete(out, name)
				break
			}
			out[name] = why[0]
		}
	}
	return nil
}

// changedBy returns the stages that a run has changed.
func changedBy(r *Result) (names []string) {
	for i := range r.Stages {
		s := &r.Stages[i]
		if s.Error == "" && (s.Verb == event.Run || s.Verb == event.Restore || s.Verb == event.Add) && (s.Verb == event.Run || s.fresh || len(s.Old) > 0) {
			names = append(names, s.Stage)
		}
	}
	return names
}

// conditional returns the deploy stages of pipe.yaml that a release may lack without being gone: they are frozen, or their
// condition was false when it was made.
func (p *Project) conditional(has func(name string) bool) (names []string) {
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; s.Deploy && (s.Frozen || s.When != nil) && !has(s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// byGlob returns the stages that a name of the command line means as that of a group, or as a glob.
func (p *Project) byGlob(name string) (stages []string) {
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; !s.Input && (s.Group == name || isGlob(name) && means(name, s.Name, "")) {
			stages = append(stages, s.Name)
		}
	}
	return stages
}
