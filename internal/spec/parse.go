package spec

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Options are what reading a pipe.yaml needs beside its text.
type Options struct {
	Dir  repopath.Path                            // of the project, from the top of its git repository; "": there is none
	Read func(file repopath.Path) ([]byte, error) // a file of the project that vars or include names, at the revision that is read; nil: none is there
	Set  []Setting                                // values in place of those that files have
	Past bool                                     // it is of a commit, perhaps from before there were templates: an unknown ${NAME} in a script is the shell's
}

// Setting is a value for one run, in place of what a file says: --set FILE:KEY=VALUE.
type Setting struct {
	File  repopath.Path
	Key   string // dotted
	Value string // as YAML
}

// Parse reads a whole pipe.yaml that names no other file; see ParseIn.
func Parse(file string, data []byte) (*Project, error) { return ParseIn(file, data, Options{}) }

// ParseIn reads a whole pipe.yaml; file is its name in places. The error is a diag.List of kind
// Usage with all faults, sorted by place, and then there is no Project. What can be read of a
// broken file is read, so that faults of syntax and of meaning come together.
func ParseIn(file string, data []byte, opt Options) (*Project, error) {
	r := &reader{file: file, base: repopath.Root, Options: opt, shared: newShared()}
	root, err := yamldoc.Parse(file, data, yamldoc.Options{})
	r.faults = diag.All(err)
	// The syntax is broken or a bound was passed: there is nothing to check.
	if root == nil {
		return nil, r.faults.OrNil()
	}
	p := r.project(root)
	slices.SortFunc(p.Stages, func(a, b Stage) int { return strings.Compare(a.Name, b.Name) })
	p.resolve()
	if !r.blind {
		r.check(p)
	}
	if len(r.faults) > 0 {
		return nil, sorted(slices.DeleteFunc(r.faults, func(e *diag.Error) bool {
			return r.shared.unknown[e.Place] != nil && !slices.Contains(r.shared.unknown[e.Place], e)
		}))
	}
	p.Files, p.Notes = r.shared.files, r.shared.notes
	return p, nil
}

// reader collects the faults of one file.
type reader struct {
	Options
	*shared
	file   string
	base   repopath.Path // directory of the file, from which its paths start
	prefix string        // of its stages' names
	faults diag.List
	kept   []keptFile // named by environments
	blind  bool       // a stage could not be expanded, so nothing is compared with it

	vars      *yamldoc.Node      // vars: of the file; nil: it has none
	parent    *reader            // of the file that includes this one
	scope     *template.Scope    // see names
	texts     *template.Expander // that remembers texts of the file
	generated bool               // the stage that is read comes from foreach or matrix
}

// fault notes a fault at a node, and returns it for a hint.
func (r *reader) fault(n *yamldoc.Node, format string, args ...any) *diag.Error {
	return r.faultAt(n.Place(r.file), format, args...)
}

// faultAt notes a fault at a place, and returns it for a hint.
func (r *reader) faultAt(place, format string, args ...any) *diag.Error {
	e := diag.New(diag.Usage, format, args...).At(place)
	r.faults = append(r.faults, e)
	return e
}

// sorted orders faults by file, line and column and drops repetitions, which an
// aliased fault makes.
func sorted(l diag.List) diag.List {
	slices.SortStableFunc(l, func(a, b *diag.Error) int {
		return comparePlaces(a.Place, b.Place)
	})
	return slices.CompactFunc(l, func(a, b *diag.Error) bool { return a.Place == b.Place && a.What == b.What })
}

// comparePlaces orders two places by file, line and column.
func comparePlaces(a, b string) int {
	af, al, ac := fileLineCol(a)
	bf, bl, bc := fileLineCol(b)
	return cmp.Or(strings.Compare(af, bf), cmp.Compare(al, bl), cmp.Compare(ac, bc))
}

// fileLineCol takes a place apart, the numbers 0 for what is not there. It reads from the end,
// because the file's name may contain colons.
func fileLineCol(place string) (file string, line, col int) {
	i := strings.LastIndexByte(place, ':')
	if i < 0 {
		return place, 0, 0
	}
	j := max(strings.LastIndexByte(place[:i], ':'), 0)
	line, _ = strconv.Atoi(strings.TrimPrefix(place[j:i], ":"))
	col, _ = strconv.Atoi(place[i+1:])
	return place[:j], line, col
}

// later are keys of the schema that a coming version will read.
var (
	laterTop   = []string{"params", "plots", "artifacts"}
	laterStage = []string{"image"}
	laterOut   = []string{"desc", "type", "labels", "meta"}
)

// notYet says so of a key in later: whoever copied it from another tool's file has made no
// mistake.
const notYet = "%s is not supported by this version of pipe"

// meant are other tools' words for keys.
var meant = map[string]string{
	"command": "cmd", "run": "cmd", "script": "cmd", "cwd": "wdir", "dir": "wdir", "working_directory": "wdir",
	"dependencies": "deps", "depends": "deps", "inputs": "deps", "depends_on": "needs", "outputs": "outs", "artifacts": "outs",
	"parameters": "params", "environment": "env", "dotenv": "env_file", "if": "when", "retry": "retries",
}

// unknown reports a key that no reader takes. A likely slip gets one suggestion, any other the
// whole list.
func (r *reader) unknown(p yamldoc.Pair, prefix string, later, known []string) {
	if slices.Contains(later, p.Key) {
		r.fault(p.At, prefix+notYet, p.Key)
		return
	}
	if word := meant[p.Key]; slices.Contains(known, word) {
		_ = r.fault(p.At, prefix+"unknown key %q", p.Key).Hinted("did you mean %s?", word)
		return
	}
	slices.Sort(known)
	_ = guess(r.fault(p.At, prefix+"unknown key %q", p.Key), p.Key, known, "known keys: "+strings.Join(known, ", "))
}

// guess hints at the choice that the word was meant to be. Where none is near, the hint is otherwise.
func guess(e *diag.Error, word string, choices []string, otherwise string) *diag.Error {
	if near := yamldoc.Nearest(word, choices); near != "" {
		otherwise = "did you mean " + near + "?"
	}
	return e.Hinted("%s", otherwise)
}

// project reads the top level. It returns what could be read, for check to look at.
func (r *reader) project(root *yamldoc.Node) *Project {
	p := &Project{}
	if root.Kind != yamldoc.Map {
		if root.Kind == yamldoc.Null {
			_ = r.fault(root, "the file is empty").Hinted("pipe init")
		} else {
			r.fault(root, "must be a map with stages, not %s", shown(root))
		}
		return p
	}
	if r.vars = root.Get("vars"); r.vars != nil {
		r.names()
	}
	fields := topFields()
	for _, pair := range root.Pairs {
		if f, known := fields[pair.Key]; known {
			f.take(r, p, pair)
		} else {
			r.unknown(pair, "", laterTop, keys(fields))
		}
	}
	cover(p.Stages, p.EnvFiles)
	if root.Get("stages") == nil && root.Get("inputs") == nil && root.Get("include") == nil {
		_ = r.fault(root, "stages is missing or empty").Hinted("pipe init")
	}
	return p
}

// lock reads what pipe ci does with pipe.lock.
func (r *reader) lock(n *yamldoc.Node) (commit string) {
	if n.Kind != yamldoc.Map {
		meant := LockPush
		if slices.Contains(LockCommits(), n.Value) {
			meant = n.Value
		}
		_ = r.fault(n, "lock: must be a map, not %s", shown(n)).Hinted("lock: {commit: %s}", meant)
		return ""
	}
	for _, pair := range n.Pairs {
		if pair.Key == "commit" {
			commit = r.oneOf(pair.Value, "", "lock: commit", LockCommits()...)
			continue
		}
		r.unknown(pair, "lock: ", nil, []string{"commit"})
	}
	return commit
}

// text reads a scalar as it is written; "" and false when there is none.
func (r *reader) text(n *yamldoc.Node, prefix, what string) (string, bool) {
	switch n.Kind {
	case yamldoc.Null, yamldoc.List, yamldoc.Map:
		r.fault(n, "%s%s: must be a string, not %s", prefix, what, n.Kind)
		return "", false
	}
	switch {
	case strings.TrimSpace(n.Value) == "":
		r.fault(n, "%s%s is empty", prefix, what)
		return "", false
	case strings.ContainsRune(n.Value, 0):
		r.fault(n, "%s%s contains NUL", prefix, what)
		return "", false
	}
	return n.Value, true
}

// path reads a plain path relative to dir; slash says that it ends in one.
func (r *reader) path(n *yamldoc.Node, dir repopath.Path, what string) (p repopath.Path, slash, ok bool) {
	text, ok := r.text(n, "", what)
	if !ok || !r.pathText(n, text, what) {
		return "", false, false
	}
	p, err := repopath.Join(dir, text)
	if err != nil {
		r.fault(n, "%s: %v", what, err)
		return "", false, false
	}
	return p, strings.HasSuffix(text, "/") || p == repopath.Root, true
}

// pathText refuses what looks like a path and is none.
func (r *reader) pathText(n *yamldoc.Node, text, what string) bool {
	switch {
	case strings.Contains(text, "://"):
		r.fault(n, "%s %q is a URL; use a path in the repository", what, text)
	default:
		return true
	}
	return false
}

// whole reads a whole number, least or more; 0 after a fault.
func (r *reader) whole(n *yamldoc.Node, least int, what string) int {
	v, err := strconv.Atoi(n.Value)
	scalar := n.Kind == yamldoc.Source || n.Kind == yamldoc.String
	if !scalar || err != nil || strconv.Itoa(v) != n.Value || v < least {
		r.fault(n, "%s: must be a whole number, %d or more, not %s", what, least, shown(n))
		return 0
	}
	return v
}

// oneOf reads one of the words, "" when it is another.
func (r *reader) oneOf(n *yamldoc.Node, prefix, what string, words ...string) string {
	// off without quotes is a boolean to YAML 1.1, but there is nothing else that it can mean here.
	if (n.Kind == yamldoc.String || n.Kind == yamldoc.Source) && slices.Contains(words, n.Value) {
		return n.Value
	}
	last := len(words) - 1
	before := strings.Join(words[:last], ", ")
	if before != "" {
		before += " or "
	}
	r.fault(n, "%s%s: must be %s%s, not %s", prefix, what, before, words[last], shown(n))
	return ""
}

// flag reads true or false, false for anything else. yes and on are no booleans in YAML 1.2.
func (r *reader) flag(n *yamldoc.Node, prefix, what string) bool {
	if n.Kind != yamldoc.Bool {
		r.fault(n, "%s%s: must be true or false, not %s", prefix, what, shown(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// shown is a node in a message: its text, or its kind when it has none.
func shown(n *yamldoc.Node) string {
	switch n.Kind {
	case yamldoc.Null, yamldoc.List, yamldoc.Map:
		return n.Kind.String()
	}
	return strconv.Quote(n.Value)
}

// stages reads the stages. Names that differ only in case are refused: people take them for
// one.
func (r *reader) stages(p *Project, pair yamldoc.Pair) {
	switch pair.Value.Kind {
	case yamldoc.Map:
	case yamldoc.Null:
		_ = r.fault(pair.At, "stages is missing or empty").Hinted("pipe init")
		return
	default:
		r.fault(pair.Value, "stages: must be a map of stages, not %s", pair.Value.Kind)
		return
	}
	p.Stages = slices.Grow(p.Stages, len(pair.Value.Pairs))
	for _, s := range pair.Value.Pairs {
		if !stageName.MatchString(s.Key) {
			r.fault(s.At, "stage name %q is not valid; use up to 100 letters, digits, '_', '.', '@' and '-', starting with a letter, a digit or '_'", s.Key)
			continue
		}
		r.define(p, s)
	}
}

// free reports whether no other stage has the name, or one that differs only in case.
func (r *reader) free(s yamldoc.Pair) bool {
	name, place := r.prefix+s.Key, s.At.Place(r.file)
	if len(name) > maxStageName {
		r.fault(s.At, "stage name %q is longer than %d characters", name, maxStageName)
		return false
	}
	fold := strings.ToLower(name)
	first, taken := r.shared.folded[fold]
	switch {
	case !taken:
		r.shared.folded[fold] = declared{name, place}
		return true
	case first.name == name:
		r.fault(s.At, "stage %s is already there (%s)", name, first.place)
	default:
		r.fault(s.At, "%s: differs from stage %s (%s) only in case", name, first.name, first.place)
	}
	return false
}

// keys are the names in a table of field readers, sorted.
func keys[V any](table map[string]V) []string {
	var names []string
	for k := range table {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
