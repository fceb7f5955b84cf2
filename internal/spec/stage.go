package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var (
	stageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}$`)
	// generatedName is as wide as a lock's names, but for the colon, which inputs have.
	generatedName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@/=,+-]{0,199}$`)
)

// maxName is the most characters that a generated name has, without its directory.
const maxName = 200

// stageReader reads one stage.
type stageReader struct {
	*reader
	st    Stage
	node  *yamldoc.Node
	seen  map[string]*yamldoc.Node // items of the stage's lists, to find repetitions
	files map[repopath.Path]int    // index of each file in st.Params
	vars  *template.Scope          // of its templates; nil: that of the file
}

// stageFields reads each key of a stage. wdir is not among them: it is read
// before all others, because their paths start there.
var stageFields = map[string]func(s *stageReader, n *yamldoc.Node){
	"cmd":            (*stageReader).cmd,
	"shell":          func(s *stageReader, n *yamldoc.Node) { s.st.Shell = s.oneOf(n, s.prefix(), "shell", "sh", "bash") },
	"wdir":           func(*stageReader, *yamldoc.Node) {},
	"deps":           func(s *stageReader, n *yamldoc.Node) { s.each(n, "deps", s.dep) },
	"params":         func(s *stageReader, n *yamldoc.Node) { s.each(n, "params", s.param) },
	"env":            func(s *stageReader, n *yamldoc.Node) { s.each(n, "env", s.env) },
	"env_file":       func(s *stageReader, n *yamldoc.Node) { s.st.EnvFiles = s.envFiles(n, s.st.Wdir, s.prefix()) },
	"pass_env":       func(s *stageReader, n *yamldoc.Node) { s.each(n, "pass_env", s.pass) },
	"outs":           outs(PlainOut),
	"metrics":        outs(MetricOut),
	"plots":          outs(PlotOut),
	"frozen":         func(s *stageReader, n *yamldoc.Node) { s.st.Frozen = s.flag(n, s.prefix(), "frozen") },
	"always_changed": func(s *stageReader, n *yamldoc.Node) { s.st.AlwaysChanged = s.flag(n, s.prefix(), "always_changed") },
	"needs":          func(s *stageReader, n *yamldoc.Node) { s.each(n, "needs", s.need) },
	"check":          func(s *stageReader, n *yamldoc.Node) { s.st.Check = s.flag(n, s.prefix(), "check") },
	"deploy":         func(s *stageReader, n *yamldoc.Node) { s.st.Deploy = s.flag(n, s.prefix(), "deploy") },
	"workdir": func(s *stageReader, n *yamldoc.Node) {
		s.st.InRepo = s.oneOf(n, s.prefix(), "workdir", "repo") == "repo"
	},
	"timeout":  func(s *stageReader, n *yamldoc.Node) { s.st.Timeout = s.duration(n, "timeout") },
	"retries":  (*stageReader).retries,
	"platform": func(s *stageReader, n *yamldoc.Node) { s.st.Platform, _ = s.text(n, s.prefix(), "platform") },
	"mutex":    func(s *stageReader, n *yamldoc.Node) { s.st.Mutex, _ = s.text(n, s.prefix(), "mutex") },
	"verify":   (*stageReader).verify,
	"drift":    func(s *stageReader, n *yamldoc.Node) { s.st.Drift, _ = s.text(n, s.prefix(), "drift") },
	"undeploy": func(s *stageReader, n *yamldoc.Node) { s.st.Undeploy, _ = s.text(n, s.prefix(), "undeploy") },
	"barrier":  func(s *stageReader, n *yamldoc.Node) { s.st.Barrier = s.flag(n, s.prefix(), "barrier") },
	"when":     (*stageReader).when,
	"desc":     (*stageReader).desc,
	"meta":     func(s *stageReader, n *yamldoc.Node) { s.st.Meta = n.Canonical() },
}

// stage reads one stage; false when there is nothing to check further. A stage with faults is
// still returned, for the checks between stages; the Project is not.
func (r *reader) stage(p yamldoc.Pair, vars *template.Scope) (Stage, bool) {
	s := &stageReader{reader: r, node: p.Value, seen: map[string]*yamldoc.Node{}, files: map[repopath.Path]int{}, vars: vars}
	s.st = Stage{Name: r.prefix + p.Key, Place: p.At.Place(r.file), Shell: "sh", Wdir: r.base}
	if p.Value.Kind != yamldoc.Map {
		e := s.bad(p.Value, "must be a map with cmd, not %s", shown(p.Value))
		if p.Value.Kind == yamldoc.Null {
			_ = e.Hinted("indent the keys of the stage deeper than its name")
		}
		return Stage{}, false
	}
	// First of all, wherever it is written: the paths of all other fields start there.
	if n := p.Value.Get("wdir"); n != nil {
		s.wdir(n)
	}
	for _, f := range p.Value.Pairs {
		if read := stageFields[f.Key]; read != nil {
			read(s, f.Value)
		} else {
			r.unknown(f, s.prefix(), laterStage, append(keys(stageFields), "do", "foreach", "matrix", "vars"))
		}
	}
	if p.Value.Get("cmd") == nil && !s.hasLater() {
		s.bad(p.At, "cmd is missing")
	}
	// Those that look at several fields, once all are read.
	s.kind(p)
	s.passes()
	s.order()
	return s.st, true
}

// hasLater says that the stage is of a sort that a coming version reads: its
// cmd may stand deeper.
func (s *stageReader) hasLater() bool {
	return slices.ContainsFunc(s.node.Pairs, func(p yamldoc.Pair) bool { return slices.Contains(laterStage, p.Key) })
}

// names returns what the templates and the condition of the stage can name.
func (s *stageReader) names() *template.Scope {
	if s.vars != nil {
		return s.vars
	}
	return s.reader.names()
}

// prefix is what messages about the stage begin with.
func (s *stageReader) prefix() string { return s.st.Name + ": " }

// bad notes a fault of the stage at a node, and returns it for a hint.
func (s *stageReader) bad(n *yamldoc.Node, format string, args ...any) *diag.Error {
	return s.fault(n, "%s%s", s.prefix(), fmt.Sprintf(format, args...))
}

// once remembers an item under its kind and name, and reports a repetition. Paths are compared
// after cleaning, so ./a and a are one item.
func (s *stageReader) once(n *yamldoc.Node, kind, name string) bool {
	first, dup := s.seen[kind+" "+name]
	if dup {
		s.bad(n, "%s %s is already declared on line %d", kind, name, first.Line)
		return false
	}
	s.seen[kind+" "+name] = n
	return true
}

// kind settles whether the stage builds, checks or deploys, and what follows from it. It comes
// after all fields are read, because their order in the file means nothing.
func (s *stageReader) kind(p yamldoc.Pair) {
	deploy, outs := p.Value.Get("deploy"), s.outsNode()
	hasOuts := outs != nil
	switch {
	case s.st.Deploy && s.st.Check:
		s.bad(deploy, "a stage cannot be both a check and a deploy stage")
	case s.st.Deploy && hasOuts:
		_ = s.bad(outs, "a deploy stage cannot have outputs").Hinted("create the outputs in a build stage, and add them to this stage's deps")
	case deploy != nil && deploy.Kind == yamldoc.Bool && !s.st.Deploy && !hasOuts && !s.st.Check:
		_ = s.bad(deploy, "a stage without outs is a deploy stage").Hinted("add its outs, or write check: true or deploy: true")
	}
	if !hasOuts && !s.st.Check {
		s.st.Deploy, s.st.Inferred = true, !s.st.Deploy
	}
	for _, d := range s.st.Deps {
		if d.Push != PushUnsaid && !s.st.Deploy {
			s.faultAt(d.Place, "%sdependency %s: push is for deploy stages only; the inputs of a build are never uploaded", s.prefix(), d)
		}
	}
	if s.st.InRepo && !s.st.Deploy {
		s.bad(p.Value.Get("workdir"), "workdir is for deploy stages only; build stages run in the repository")
	}
	for _, key := range []string{"barrier", "drift", "undeploy", "verify"} {
		if n := p.Value.Get(key); n != nil && !s.st.Deploy {
			s.bad(n, "%s is for deploy stages only", key)
		}
	}
	if s.st.AlwaysChanged && s.st.Frozen {
		s.bad(p.Value.Get("frozen"), "a stage cannot be both frozen and always_changed")
	}
}

// order sorts the lists: their order in the file means nothing.
func (s *stageReader) order() {
	slices.SortFunc(s.st.Deps, func(a, b Dep) int {
		if c := strings.Compare(a.String(), b.String()); c != 0 || a.Top == b.Top {
			return c
		}
		if a.Top { // as the lock sorts kinds
			return 1
		}
		return -1
	})
	for _, list := range [][]Asked{s.st.Tools, s.st.Images, s.st.URLs} {
		slices.SortFunc(list, func(a, b Asked) int { return strings.Compare(a.Name, b.Name) })
	}
	slices.Sort(s.st.Excludes)
	slices.SortFunc(s.st.Params, func(a, b Params) int { return strings.Compare(string(a.File), string(b.File)) })
	for i := range s.st.Params {
		slices.Sort(s.st.Params[i].Keys)
	}
	slices.SortFunc(s.st.Env, func(a, b Env) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(s.st.PassEnv)
	slices.SortFunc(s.st.Needs, func(a, b Need) int { return strings.Compare(a.Stage, b.Stage) })
	slices.SortFunc(s.st.Outs, func(a, b Out) int { return strings.Compare(string(a.Path), string(b.Path)) })
}

// cmd reads one script or a list of them; each list item becomes a shell of its own.
func (s *stageReader) cmd(n *yamldoc.Node) {
	items := []*yamldoc.Node{n}
	if n.Kind == yamldoc.List {
		items = n.Items
	}
	if len(items) == 0 {
		s.bad(n, "cmd is empty")
	}
	for _, it := range items {
		if script, ok := s.text(it, s.prefix(), "cmd"); ok {
			s.st.Cmd = append(s.st.Cmd, script)
		}
	}
}

// desc reads the description, which may be empty.
func (s *stageReader) desc(n *yamldoc.Node) {
	if n.Kind != yamldoc.String || n.Value != "" {
		s.st.Desc, _ = s.text(n, s.prefix(), "desc")
	}
}

// duration reads a Go duration, or a whole number of seconds; 0 after a fault.
func (s *stageReader) duration(n *yamldoc.Node, what string) time.Duration {
	text := n.Value
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && n.Kind == yamldoc.Source {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case n.Kind != yamldoc.Source && n.Kind != yamldoc.String, err != nil:
		_ = s.bad(n, "%s: must be a duration, not %s", what, shown(n)).Hinted("write 90s, 10m, 1h30m or a number of seconds")
		return 0
	case d <= 0:
		s.bad(n, "%s: must be more than 0, not %s", what, strconv.Quote(n.Value))
		return 0
	}
	return d
}

// maxRetries bounds retries: a command that fails a hundred times is not flaky.
const maxRetries = 100

// retries reads how many further attempts a command has.
func (s *stageReader) retries(n *yamldoc.Node) {
	s.st.Retries = s.whole(n, 0, s.prefix()+"retries")
	if s.st.Retries > maxRetries {
		s.bad(n, "retries: must be %d or less, not %d", maxRetries, s.st.Retries)
	}
}

// verify reads a command, or a map of one and how often it is tried.
func (s *stageReader) verify(n *yamldoc.Node) {
	v := Verify{Every: 10 * time.Second}
	if n.Kind != yamldoc.Map {
		v.Cmd, _ = s.text(n, s.prefix(), "verify")
		s.st.Verify = v
		return
	}
	for _, f := range n.Pairs {
		switch f.Key {
		case "cmd":
			v.Cmd, _ = s.text(f.Value, s.prefix(), "verify: cmd")
		case "retries":
			v.Retries = s.whole(f.Value, 0, s.prefix()+"verify: retries")
		case "every":
			v.Every = s.duration(f.Value, "verify: every")
		default:
			s.unknown(f, s.prefix()+"verify: ", nil, []string{"cmd", "every", "retries"})
		}
	}
	if n.Get("cmd") == nil {
		_ = s.bad(n, "verify: cmd is missing").Hinted("write verify: {cmd: ./smoke.sh, retries: 5, every: 10s}")
	}
	s.st.Verify = v
}

// wdir reads the working directory. After a fault the stage's paths are read as if there were
// none.
func (s *stageReader) wdir(n *yamldoc.Node) {
	p, _, ok := s.path(n, s.base, "wdir")
	if !ok {
		return
	}
	if inPipe(p) {
		s.bad(n, "wdir %s: .pipe is reserved for pipe", p)
		return
	}
	s.st.Wdir = p
}

// each calls read on every item of a list. Anything but a list is a fault; a single value gets
// its list form as a hint.
func (s *stageReader) each(n *yamldoc.Node, what string, read func(*yamldoc.Node)) {
	if n.Kind != yamldoc.List {
		e := s.bad(n, "%s: must be a list, not %s", what, shown(n))
		if n.Kind != yamldoc.Null && n.Kind != yamldoc.Map {
			_ = e.Hinted("write %s: [%s]", what, n.Value)
		}
		return
	}
	for _, it := range n.Items {
		read(it)
	}
}

// path reads a plain path of the stage.
func (s *stageReader) path(n *yamldoc.Node, dir repopath.Path, what string) (p repopath.Path, slash, ok bool) {
	return s.reader.path(n, dir, s.prefix()+what)
}
