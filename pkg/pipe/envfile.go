package pipe

import (
	"maps"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
)

// variables is the project with the variables of its env files.
type variables struct {
	of     *spec.Project // that it was made from
	full   *spec.Project
	unread map[string]error // faults of the files, by stage
}

// getenv returns a variable of this process.
func (p *Project) getenv(name string) (string, bool) { return shell.Getenv(p.env, name) }

// withEnv reads the env files, once: all of a verb sees the same values, and deployments to several
// environments ask at once.
func (p *Project) withEnv() *variables {
	p.varsMu.Lock()
	defer p.varsMu.Unlock()
	if p.vars == nil || p.vars.of != p.spec {
		full, unread := p.spec.WithEnv(p.file, p.getenv)
		maps.Copy(unread, p.unseen)
		p.vars = &variables{p.spec, full, unread}
	}
	return p.vars
}

// valuesNow returns the values that the variables of a release's stage have today: the release has none
// from outside. The error is of env files, where one of them is needed for that.
func (p *Project) valuesNow(s *spec.Stage, given map[string]string) ([]action.EnvValue, error) {
	v := p.withEnv()
	now := &spec.Stage{Passed: v.full.Shared} // of a stage that is gone
	if is := v.full.Stage(s.Name); is != nil {
		now = is
	}
	then := *s
	then.Env = slices.Clone(s.Env)
	for i := range then.Env {
		e := &then.Env[i]
		if k := slices.IndexFunc(now.Env, func(n spec.Env) bool { return n.Name == e.Name }); k >= 0 {
			e.File = now.Env[k].File
			if e.Secret == spec.Unsaid && now.Env[k].Secret == spec.NotSecret {
				e.Secret = spec.NotSecret // it need not be masked; to the key both are the same
			}
		} else if k := slices.IndexFunc(now.Passed, func(n dotenv.Var) bool { return n.Name == e.Name }); k >= 0 {
			e.File = &now.Passed[k]
		}
	}
	values := action.Declared(&then, given, p.getenv)
	if unread := v.unread[s.Name]; unread != nil && slices.ContainsFunc(values, func(e action.EnvValue) bool { return !e.Set }) {
		return nil, unread
	}
	return values, nil
}

// passedNow returns what pass_env of a stage lets through to a command of a release.
func (p *Project) passedNow(stage string) []action.EnvValue {
	if now := p.withEnv().full.Stage(stage); now != nil {
		return action.Passed(now, p.env)
	}
	return nil
}
