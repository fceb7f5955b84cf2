package spec

import (
	"path"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// lockName is lockfile.FileName, which stands on the same floor. Imports go down a floor, so
// it stands here again.
const lockName = "pipe.lock"

// inPipe says that p is pipe's own directory or lies in it, in any case. A case-insensitive
// disk would take .PIPE for it.
func inPipe(p repopath.Path) bool {
	first, _, _ := strings.Cut(string(p), "/")
	return strings.EqualFold(first, ".pipe")
}

// dep reads one item of deps: a path, a glob, an exclude, {path: p}, which is
// a path whatever characters it has, and may say push, or what is asked for.
func (s *stageReader) dep(n *yamldoc.Node) {
	if n.Kind == yamldoc.Map {
		if !s.asked(n) {
			s.literalDep(n)
		}
		return
	}
	text, ok := s.text(n, s.prefix(), "dependency")
	if ok && checkURL(text) == nil {
		_ = s.bad(n, "dependency %s is a URL, not a path", text).Hinted("write {url: %s}", text)
		return
	}
	if !ok || !s.pathText(n, text, s.prefix()+"dependency") {
		return
	}
	if exclude, is := strings.CutPrefix(text, "!"); is {
		// d and d/ leave out the same, so they are one exclude: the key has one form of it.
		if trimmed := strings.TrimRight(exclude, "/"); trimmed != "" {
			exclude = trimmed
		}
		if s.leaves(exclude) {
			_ = s.bad(n, "dependency %q: what lies outside the project cannot be excluded", text).Hinted("name what the stage reads there instead, such as ../shared/*.txt")
			return
		}
		if g, ok := s.glob(n, exclude); ok && s.once(n, "dependency", "!"+g.String()) {
			s.st.Excludes = append(s.st.Excludes, g)
		}
		return
	}
	if !repopath.HasMeta(text) {
		s.plainDep(n, PushUnsaid)
		return
	}
	if s.leaves(text) {
		s.outsideGlob(n, text)
		return
	}
	if g, ok := s.glob(n, text); ok {
		s.addDep(n, Dep{Glob: g, Place: n.Place(s.file)}, g.Base())
	}
}

// literalDep reads {path: p, push: true or false}.
func (s *stageReader) literalDep(n *yamldoc.Node) {
	push := PushUnsaid
	for _, f := range n.Pairs {
		switch {
		case f.Key == "push" && s.flag(f.Value, s.prefix(), "push"):
			push = PushYes
		case f.Key == "push" && f.Value.Kind == yamldoc.Bool:
			push = PushNo
		case f.Key != "path" && f.Key != "push":
			s.unknown(f, s.prefix()+"dependency: ", nil, []string{"cmd", "image", "path", "push", "url"})
		}
	}
	at := n.Get("path")
	if at == nil {
		_ = s.bad(n, "dependency: must be a path, or a map with path, cmd, url or image").Hinted("write {path: PATH}, {cmd: COMMAND}, {url: URL} or {image: NAME}")
		return
	}
	s.plainDep(at, push)
}

// plainDep reads a dep that is a path, whatever characters it has.
func (s *stageReader) plainDep(n *yamldoc.Node, push Push) {
	d := Dep{Push: push, Place: n.Place(s.file)}
	if s.leaves(n.Value) {
		s.outsideDep(n, d)
		return
	}
	var ok bool
	if d.Path, d.Dir, ok = s.path(n, s.st.Wdir, "dependency"); ok {
		s.addDep(n, d, d.Path)
	}
}

// addDep adds a dep that begins in the directory, or is the file, where.
func (s *stageReader) addDep(n *yamldoc.Node, d Dep, where repopath.Path) {
	switch {
	case inPipe(where):
		s.bad(n, "dependency %s: .pipe is reserved for pipe", n.Value)
	case strings.EqualFold(string(where), lockName):
		s.bad(n, "dependency %s: pipe.lock cannot be a dependency", n.Value)
	case s.once(n, "dependency", d.Name()):
		s.st.Deps = append(s.st.Deps, d)
	}
}

// glob reads a pattern relative to the stage's wdir.
func (s *stageReader) glob(n *yamldoc.Node, text string) (repopath.Pattern, bool) {
	g, err := repopath.JoinPattern(s.st.Wdir, text)
	if err != nil {
		s.bad(n, "dependency: %v", err)
	}
	return g, err == nil
}

// param reads one item of params: a key of params.yaml, or {file: keys}.
func (s *stageReader) param(n *yamldoc.Node) {
	if n.Kind != yamldoc.Map {
		if key, ok := s.text(n, s.prefix(), "params"); ok {
			at := &yamldoc.Node{Kind: yamldoc.String, Line: n.Line, Col: n.Col, Value: "params.yaml"}
			if file, ok := s.paramsFile(at); ok {
				s.paramKey(n, n, file, key)
			}
		}
		return
	}
	if len(n.Pairs) == 0 {
		s.bad(n, "params: must be a key, or {file: [keys]}")
	}
	for _, p := range n.Pairs {
		file, ok := s.paramsFile(p.At)
		if !ok {
			continue
		}
		switch v := p.Value; {
		case v.Kind == yamldoc.Null, v.Kind == yamldoc.List && len(v.Items) == 0:
			s.paramKey(p.At, p.At, file, "")
		case v.Kind != yamldoc.List:
			_ = s.bad(v, "params %s: must be a list of keys, not %s", p.Key, shown(v)).Hinted("write {%s: [key]}, or {%s: } for the whole file", p.Key, p.Key)
		default:
			for _, it := range v.Items {
				if key, ok := s.text(it, s.prefix(), "params "+p.Key); ok {
					s.paramKey(p.At, it, file, key)
				}
			}
		}
	}
}

// paramTypes are the endings of files that params can be read from.
var paramTypes = []string{".yaml", ".yml", ".json", ".toml"}

// paramsFile reads the path of a params file, whose ending says how it is parsed.
func (s *stageReader) paramsFile(n *yamldoc.Node) (repopath.Path, bool) {
	file, _, ok := s.path(n, s.st.Wdir, "params")
	switch {
	case !ok:
		return "", false
	case !slices.Contains(paramTypes, strings.ToLower(path.Ext(string(file)))):
		_ = s.bad(n, "params: %s must be a %s file", file, strings.Join(paramTypes, ", ")).Hinted("add it to deps instead")
		return "", false
	case inPipe(file):
		s.bad(n, "params %s: .pipe is reserved for pipe", file)
		return "", false
	}
	return file, true
}

// paramKey adds the key at n of the file named at entry, all of it when key is empty. A file
// given as a whole and by key is refused: the key would be counted twice.
func (s *stageReader) paramKey(entry, n *yamldoc.Node, file repopath.Path, key string) {
	i, known := s.files[file]
	switch {
	case !known:
		i = len(s.st.Params)
		s.files[file] = i
		s.st.Params = append(s.st.Params, Params{File: file, Place: entry.Place(s.file)})
	case (key == "") != (len(s.st.Params[i].Keys) == 0):
		s.bad(n, "params: %s is given both as a whole and by key", file)
		return
	}
	if s.once(n, "params", strings.TrimSuffix(string(file)+":"+key, ":")) && key != "" {
		f := &s.st.Params[i]
		if f.Keys = append(f.Keys, key); f.Places == nil {
			f.Places = map[string]string{}
		}
		f.Places[key] = n.Place(s.file)
	}
}

// need reads one item of needs: the name of a stage or a group. Whether there is one is checked when all
// are read.
func (s *stageReader) need(n *yamldoc.Node) {
	name, ok := s.text(n, s.prefix(), "needs")
	if ok && s.once(n, "need", name) {
		s.st.Needs = append(s.st.Needs, Need{Stage: name, Place: n.Place(s.file)})
	}
}

// env reads one item of env: a name, or {name: value}.
func (s *stageReader) env(n *yamldoc.Node) {
	if n.Kind != yamldoc.Map {
		if name, ok := s.text(n, s.prefix(), "env"); ok {
			s.variable(n, Env{Name: name})
		}
		return
	}
	if len(n.Pairs) == 0 {
		s.bad(n, "env: must be a name, or {name: value}")
	}
	for _, p := range n.Pairs {
		switch v := p.Value; {
		case v.Kind == yamldoc.Null:
			_ = s.bad(v, "env %s: value is missing", p.Key).Hinted(`write {%s: ""} for an empty value, or %s to take it from the environment`, p.Key, p.Key)
		case v.Kind == yamldoc.String && v.Value == "":
			s.variable(p.At, Env{Name: p.Key, Literal: true})
		case v.Kind == yamldoc.Map:
			s.variable(p.At, Env{Name: p.Key, Secret: s.secret(p)})
		case v.Kind == yamldoc.List, strings.ContainsRune(v.Value, 0):
			s.bad(v, "env %s: must be a string without NUL, not %s", p.Key, shown(v))
		default:
			s.variable(p.At, Env{Name: p.Key, Value: v.Value, Literal: true})
		}
	}
}

// secret reads {secret: true} of a variable, which is taken from outside.
func (s *stageReader) secret(p yamldoc.Pair) (said Secret) {
	for _, f := range p.Value.Pairs {
		switch {
		case f.Key != "secret":
			s.unknown(f, s.prefix()+"env "+p.Key+": ", nil, []string{"secret"})
		case s.flag(f.Value, s.prefix(), "secret"):
			said = IsSecret
		default:
			said = NotSecret
		}
	}
	return said
}

// variable adds a variable whose name a shell can use. NAME=value in a list is a common slip,
// and gets its correction as a hint.
func (s *stageReader) variable(n *yamldoc.Node, e Env) {
	e.Place = n.Place(s.file)
	switch name, value, set := strings.Cut(e.Name, "="); {
	case set && dotenv.IsName(name):
		_ = s.bad(n, "env %q is not a valid environment variable name", e.Name).Hinted("write {%s: %s}", name, yamldoc.Quote(value))
	case !dotenv.IsName(e.Name):
		s.bad(n, "env %q is not a valid environment variable name; use letters, digits and _, not starting with a digit", e.Name)
	case strings.HasPrefix(e.Name, reservedEnv):
		s.bad(n, "env %s: names that start with %s are reserved for pipe", e.Name, reservedEnv)
	case s.once(n, "env", e.Name):
		s.st.Env = append(s.st.Env, e)
	}
}

// outFields reads each option of an out.
var outFields = map[string]func(s *stageReader, o *Out, n *yamldoc.Node){
	"cache":   func(s *stageReader, o *Out, n *yamldoc.Node) { o.NoCache = !s.option(n, "cache", true) },
	"persist": func(s *stageReader, o *Out, n *yamldoc.Node) { o.Persist = s.option(n, "persist", false) },
	"push":    func(s *stageReader, o *Out, n *yamldoc.Node) { o.NoPush = !s.option(n, "push", true) },
	"sha256":  func(s *stageReader, o *Out, n *yamldoc.Node) { o.SHA256 = s.option(n, "sha256", false) },
	"report":  func(s *stageReader, o *Out, n *yamldoc.Node) { o.Report = s.option(n, "report", false) },
	"remote":  func(s *stageReader, o *Out, n *yamldoc.Node) { s.remoteOf(o, n) },
}

// remoteOf reads the name of an out's remote. Whether there is one is known at the end of the file.
func (s *stageReader) remoteOf(o *Out, n *yamldoc.Node) {
	o.Remote, _ = s.text(n, s.prefix(), "remote")
	o.RemoteAt = n.Place(s.file)
}

// option reads true or false, and gives standard for what is neither. So an option with a
// fault causes no second one.
func (s *stageReader) option(n *yamldoc.Node, what string, standard bool) bool {
	if v := s.flag(n, s.prefix(), what); n.Kind == yamldoc.Bool {
		return v
	}
	return standard
}

// out reads one item of a list of outs: a path, {path: p, options}, or DVC's {p: {options}}.
func (s *stageReader) out(n *yamldoc.Node, sort OutSort) {
	at, options := n, []yamldoc.Pair(nil)
	if n.Kind == yamldoc.Map {
		named := n.Get("path")
		switch {
		case named != nil && named.Kind != yamldoc.Map:
			at = named
			options = slices.DeleteFunc(slices.Clone(n.Pairs), func(p yamldoc.Pair) bool { return p.Key == "path" })
		case len(n.Pairs) == 1 && (n.Pairs[0].Value.Kind == yamldoc.Map || n.Pairs[0].Value.Kind == yamldoc.Null):
			at, options = n.Pairs[0].At, n.Pairs[0].Value.Pairs
		case sort == PlotOut && len(n.Pairs) == 1 && n.Pairs[0].Value.Kind == yamldoc.List:
			at, options = n.Pairs[0].At, drawn(n.Pairs[0].Value)
		default:
			_ = s.bad(n, "output: must be a path, or a map with path").Hinted("write {path: PATH, cache: false}")
			return
		}
	}
	o := Out{Sort: sort, Place: at.Place(s.file)}
	for _, f := range options {
		if read := outFields[f.Key]; read != nil {
			read(s, &o, f.Value)
		} else if sort != PlotOut || !slices.Contains(plotFields, f.Key) {
			s.unknown(f, s.prefix()+"output: ", laterOut, append(keys(outFields), "path"))
		}
	}
	var ok bool
	if o.Path, o.Dir, ok = s.path(at, s.st.Wdir, "output"); ok && s.outPath(at, o.Path) {
		if o.Dir && o.SHA256 {
			s.bad(at, "output %s: sha256 needs a file, not a directory", o.Path)
		}
		if o.Report && o.Persist {
			// The old one would pass for what the command has found now.
			s.bad(at, "output %s: a report cannot have persist: true", o.Path)
		}
		if o.Remote != "" && (o.NoCache || o.NoPush) {
			_ = s.bad(at, "output %s: remote cannot be combined with cache: false or push: false", o.Path).
				Hinted("remove one of them")
		}
		s.st.Outs = append(s.st.Outs, o)
	}
}

// outPath refuses paths that no stage may make.
func (s *stageReader) outPath(n *yamldoc.Node, p repopath.Path) bool {
	if repopath.HasMeta(n.Value) {
		_ = s.bad(n, "output %s: globs are not allowed in outs", n.Value).Hinted("add the directory that contains them to outs")
		return false
	}
	return s.reserved(n, p, s.prefix()+"output")
}

// reserved refuses paths that are not for pipe to write; what says what the path is.
func (r *reader) reserved(n *yamldoc.Node, p repopath.Path, what string) bool {
	why := Reserved(p)
	switch {
	case why == "":
		return true
	case p == repopath.Root:
		r.fault(n, "%s %s is %s", what, n.Value, why)
	default:
		r.fault(n, "%s %s: %s", what, n.Value, why)
	}
	return false
}

// Reserved says why pipe does not write to a path, "" when it may.
func Reserved(p repopath.Path) string {
	switch {
	case p == repopath.Root:
		return "the whole project"
	case inPipe(p):
		return ".pipe is reserved for pipe"
	case strings.EqualFold(string(p), FileName), strings.EqualFold(string(p), lockName):
		return "the file is reserved for pipe"
	}
	return ""
}
