package spec

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// DefaultVars is the file beside a pipe.yaml whose names need no vars:, as in DVC.
const DefaultVars = "params.yaml"

// shared is what the readers of all files of a project have in common.
type shared struct {
	docs     map[repopath.Path]document // files that vars name, each read once
	files    []repopath.Path            // that were read, in this order
	stages   int                        // that foreach and matrix have made
	notes    []string
	included map[repopath.Path]string // places where files are included
	folded   map[string]declared      // stages by name in lower case
	unknown  map[string][]*diag.Error // by the place of a text that could not be expanded: what else is said of the text there is not meant
}

func newShared() *shared {
	return &shared{docs: map[repopath.Path]document{}, unknown: map[string][]*diag.Error{}, included: map[repopath.Path]string{}, folded: map[string]declared{}}
}

// declared is a stage that was read.
type declared struct{ name, place string }

// document is a file that vars name; without root it cannot be read, and its faults are told.
type document struct {
	root *yamldoc.Node
	err  error
}

// names returns what ${} can name in the file outside of stages. Files are read when it is first asked.
func (r *reader) names() *template.Scope {
	if r.scope == nil {
		l := &loader{reader: r, own: map[string]template.Value{}}
		r.scope = r.around().With(l.own) // before: a fault must not load them again
		l.standard()
		if r.vars != nil {
			l.load(r.vars, r.base)
		}
	}
	return r.scope
}

// around returns the names of the file that includes this one.
func (r *reader) around() *template.Scope {
	if r.parent == nil {
		return nil
	}
	return r.parent.names()
}

// loader puts together the names of one vars:.
type loader struct {
	*reader
	own   map[string]template.Value
	under *template.Scope // names that must not be given again
	stage string          // begins messages
}

// standard loads the file that is read unasked, if it is there.
func (l *loader) standard() {
	file := l.base.Child(DefaultVars)
	if d := l.document(file); d.root != nil {
		l.all(d.root, file, d.root)
	} else if !errors.Is(d.err, fs.ErrNotExist) {
		l.faults = append(l.faults, diag.All(d.err)...)
	}
}

// load loads vars:, a map or a list of files and maps; the files lie relative to dir.
func (l *loader) load(n *yamldoc.Node, dir repopath.Path) {
	l.refuse(n, l.stage+"vars", "vars are read before there are names for templates")
	switch n.Kind {
	case yamldoc.Null:
	case yamldoc.Map:
		l.inline(n)
	case yamldoc.List:
		for _, it := range n.Items {
			switch it.Kind {
			case yamldoc.Map:
				l.inline(it)
			case yamldoc.String, yamldoc.Source:
				l.file(it, dir)
			default:
				l.fault(it, "%svars: must be a file or a map, not %s", l.stage, shown(it))
			}
		}
	default:
		_ = l.fault(n, "%svars: must be a map, or a list of files and maps, not %s", l.stage, shown(n)).Hinted("write vars: [%s]", n.Value)
	}
}

// inline loads names that stand in pipe.yaml itself.
func (l *loader) inline(n *yamldoc.Node) {
	for _, p := range n.Pairs {
		if !template.IsName(p.Key) {
			l.fault(p.At, "%svars: %q is not a valid name; use letters, digits, '_' and '-', starting with a letter or '_'", l.stage, p.Key)
			continue
		}
		l.add(p.At, p.Key, p.Value, p.At.Place(l.reader.file))
	}
}

// file loads the names of a file: all of them, or those behind a colon.
func (l *loader) file(n *yamldoc.Node, dir repopath.Path) {
	name, keys, some := strings.Cut(n.Value, ":")
	at := &yamldoc.Node{Kind: yamldoc.String, Line: n.Line, Col: n.Col, Value: name}
	file, _, ok := l.path(at, dir, l.stage+"vars")
	if !ok {
		return
	}
	if inPipe(file) {
		l.fault(n, "%svars: %s: .pipe is reserved for pipe", l.stage, file)
		return
	}
	if !slices.Contains(paramTypes, strings.ToLower(path.Ext(string(file)))) {
		l.fault(n, "%svars: %s must be a %s file", l.stage, file, strings.Join(paramTypes, ", "))
		return
	}
	l.keep(file, l.stage+"vars", n)
	d := l.document(file)
	if d.root == nil {
		if errors.Is(d.err, fs.ErrNotExist) {
			_ = l.fault(n, "%svars: %s does not exist", l.stage, file).Hinted("create it, or correct its name in vars")
			return
		}
		l.faults = append(l.faults, diag.All(d.err)...)
		return
	}
	if !some {
		l.all(n, file, d.root)
		return
	}
	if d.root.Kind != yamldoc.Map {
		l.all(n, file, d.root)
		return
	}
	for key := range strings.SplitSeq(keys, ",") {
		p, i := pair(d.root, strings.TrimSpace(key))
		if i < 0 {
			var known []string
			for _, p := range d.root.Pairs {
				known = append(known, p.Key)
			}
			_ = guess(l.fault(n, "%svars: %s has no key %q", l.stage, file, strings.TrimSpace(key)), key, known, "its keys: "+few(known))
			continue
		}
		l.add(n, p.Key, p.Value, p.At.Place(string(file)))
	}
}

// all loads all names of a file; n is where it is named.
func (l *loader) all(n *yamldoc.Node, file repopath.Path, root *yamldoc.Node) {
	switch root.Kind {
	case yamldoc.Map:
		for _, p := range root.Pairs {
			l.add(n, p.Key, p.Value, p.At.Place(string(file)))
		}
	case yamldoc.Null: // an empty file
	default:
		l.faultAt(root.Place(string(file)), "must be a map of names, not %s, because vars read it", shown(root))
	}
}

// add gives a name a value. Maps from several sources become one; anything else may be given once.
func (l *loader) add(n *yamldoc.Node, name string, v *yamldoc.Node, from string) {
	if l.stage != "" && (name == "item" || name == "key") && l.generated {
		l.fault(n, "%svars: %s is the name of what foreach and matrix set", l.stage, name)
		return
	}
	before, twice := l.own[name]
	if !twice {
		before, twice = l.under.Value(name)
	}
	if twice {
		merged, at := merge(before.Node, v, name)
		if at != "" {
			_ = l.fault(n, "%svars: %s is already defined (%s)", l.stage, at, before.From).Hinted("remove one of the two, or give it another name")
			return
		}
		v, from = merged, before.From
	}
	l.own[name] = template.Value{Node: v, From: from}
}

// merge returns a map with the keys of both; at is the first name that both define.
func merge(a, b *yamldoc.Node, name string) (both *yamldoc.Node, at string) {
	if a == b { // one file, named twice
		return a, ""
	}
	if a.Kind != yamldoc.Map || b.Kind != yamldoc.Map {
		return nil, name
	}
	next := *a
	next.Pairs = slices.Clone(a.Pairs)
	for _, p := range b.Pairs {
		_, i := pair(a, p.Key)
		if i < 0 {
			next.Pairs = append(next.Pairs, p)
			continue
		}
		if next.Pairs[i].Value, at = merge(a.Pairs[i].Value, p.Value, name+"."+p.Key); at != "" {
			return nil, at
		}
	}
	return &next, ""
}

// keep notes that a file says what stages there are: no stage can make it.
func (r *reader) keep(file repopath.Path, what string, n *yamldoc.Node) {
	top := r
	for top.parent != nil {
		top = top.parent
	}
	if _, known := r.shared.docs[file]; !known {
		top.kept = append(top.kept, keptFile{file, what, n.Place(r.file)})
	}
}

// document reads a file that vars name.
func (r *reader) document(file repopath.Path) document {
	d, known := r.shared.docs[file]
	if known {
		return d
	}
	data, err := r.readFile(file)
	if err == nil {
		d.root, err = params.Parse(file, data)
	}
	for _, set := range r.Set {
		if err == nil && set.File == file {
			d.root, err = params.Set(file, d.root, set.Key, set.Value)
		}
	}
	if err != nil {
		d = document{err: err}
	}
	r.shared.docs[file] = d
	return d
}

// readFile reads a file of the project at the revision that is read.
func (r *reader) readFile(file repopath.Path) ([]byte, error) {
	if r.Read == nil {
		return nil, diag.New(diag.Usage, "does not exist: %w", fs.ErrNotExist).At(string(file))
	}
	data, err := r.Read(file)
	if err == nil && !slices.Contains(r.shared.files, file) {
		r.shared.files = append(r.shared.files, file)
	}
	return data, err
}
