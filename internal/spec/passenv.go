package spec

import (
	"path"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// reservedEnv begins the names of the variables that pipe itself gives to commands.
const reservedEnv = "PIPE_"

// pass reads one item of pass_env: a name, or a pattern in which a * is any number of characters.
func (s *stageReader) pass(n *yamldoc.Node) {
	name, ok := s.text(n, s.prefix(), "pass_env")
	switch {
	case !ok:
	case !dotenv.IsName(strings.ReplaceAll(name, "*", "_")):
		_ = s.bad(n, "pass_env %q is not a valid environment variable name or pattern", name).Hinted("use letters, digits, _ and *; env: [{NAME: VALUE}] sets a value")
	case strings.HasPrefix(name, reservedEnv):
		s.bad(n, "pass_env %s: names that start with %s are reserved for pipe", name, reservedEnv)
	case s.once(n, "pass_env", name):
		s.st.PassEnv = append(s.st.PassEnv, name)
	}
}

// passes reports names that are both in env and in pass_env, once both are read. A pattern may fit a name in
// env, which says more: AWS_* passes all but an AWS_REGION that is part of the key.
func (s *stageReader) passes() {
	for _, name := range s.st.PassEnv {
		if declared := s.seen["env "+name]; declared != nil {
			_ = s.bad(s.seen["pass_env "+name], "pass_env %s is also in env (%s)", name, declared.Place(s.file)).
				Hinted("keep it in env if the result depends on its value, else in pass_env")
		}
	}
}

// Passes reports whether pass_env lets a variable through to the stage's commands, beside its key.
func (s *Stage) Passes(name string) bool {
	declared := func(e Env) bool { return e.Name == name }
	named := func(p string) bool { ok, _ := path.Match(p, name); return ok }
	return slices.ContainsFunc(s.PassEnv, named) &&
		!strings.HasPrefix(name, reservedEnv) && !slices.ContainsFunc(s.Env, declared)
}
