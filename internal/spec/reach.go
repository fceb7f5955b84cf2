package spec

import (
	"slices"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// lister is who lists a variable in env:.
type lister struct {
	deploy bool     // a deploy stage
	secret string   // place where a deploy stage says that it is a secret
	builds []*Stage // build stages and checks
	places []string // of the variable in each of builds
}

// listers returns who lists which variable.
func (p *Project) listers() map[string]lister {
	all := map[string]lister{}
	for i := range p.Stages {
		s := &p.Stages[i]
		for _, v := range s.Env {
			of := all[v.Name]
			switch {
			case s.Deploy && v.Secret == IsSecret:
				of.deploy, of.secret = true, v.Place
			case s.Deploy:
				of.deploy = true
			default:
				of.builds, of.places = append(of.builds, s), append(of.places, v.Place)
			}
			all[v.Name] = of
		}
	}
	return all
}

// entryRules finds what is wrong between what entries say themselves and the stages. A variable
// must reach a deploy stage, or nobody would see a typing error. It must reach no other one: an
// artifact would differ by the environment, and could not be promoted.
func (r *reader) entryRules(p *Project, entries []entry) {
	all := p.listers()
	var names []string
	for name, of := range all {
		if of.deploy {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	told := map[string]bool{}
	for i := range entries {
		e := &entries[i]
		for _, v := range e.Env {
			of := all[v.Name]
			for j, s := range of.builds {
				if !told[v.Name] {
					_ = r.faultAt(of.places[j], "%s: env %s is set by environment %s (%s), and only deploy stages get the values of environments", s.Name, v.Name, e.Name, v.Place).
						Hinted("rename one of the two variables: outputs must not differ by environment")
				}
			}
			told[v.Name] = true
			switch {
			case of.secret != "":
				_ = r.faultAt(v.Place, "environment %s: env %s is a secret (%s), and git must not have its value", e.Name, v.Name, of.secret).
					Hinted("remove it here, and set it where pipe runs")
			case !of.deploy && len(of.builds) == 0:
				_ = guess(r.faultAt(v.Place, "environment %s: env %s: no deploy stage lists it in env", e.Name, v.Name), v.Name, names, "add "+v.Name+" to the env of the deploy stages that need it")
			}
		}
		if e.OnFail == OnFailRollback && !slices.ContainsFunc(p.Stages, func(s Stage) bool { return s.Verify.Cmd != "" }) {
			_ = r.faultAt(e.at["on_fail"], "environment %s: on_fail: rollback needs a deploy stage with verify", e.Name).
				Hinted("add verify: COMMAND to the stage whose deployment it tests")
		}
	}
}

// keptFile is a file that says who may deploy what and where.
type keptFile struct {
	path        repopath.Path
	what, place string
}

// keptInGit reports such files that a stage makes, or that another repository has: a commit of this
// one would not say what they contain.
func (r *reader) keptInGit(p *Project, x *outIndex) {
	for _, f := range r.kept {
		x.above(f.path, func(m made) {
			r.faultAt(f.place, "%s: %s must be a file in git, but is in %s (%s)", f.what, f.path, p.Stages[m.stage].Made(m.out.Path), m.out.Place)
		})
		for _, s := range p.Sources {
			if s.Path.Holds(f.path) {
				r.faultAt(f.place, "%s: %s must be a file in git, but is in source %s (%s)", f.what, f.path, s.Path, s.Place)
			}
		}
	}
}
