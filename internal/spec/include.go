package spec

import (
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// prefixed is a directory that can begin stages' names.
var prefixed = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@/=,+-]*$`)

// maxStageName is the most characters of a name with its directory: a lock has no longer ones.
const maxStageName = 255

// include reads the files that the file includes, into p.
func (r *reader) include(p *Project, n *yamldoc.Node) {
	for _, it := range r.included(n) {
		file, ok := r.includedFile(it)
		if !ok {
			continue
		}
		if at := r.shared.included[file]; at != "" || file == FileName {
			_ = r.fault(it, "include: %s is already included%s", file, in(at))
			continue
		}
		r.shared.included[file] = it.Place(r.file)
		r.keep(file, "include", it)
		data, err := r.readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			_ = r.fault(it, "include: %s does not exist", file).Hinted("create it, or name a directory that has a pipe.yaml, or a file")
			continue
		}
		if err != nil {
			r.faults = append(r.faults, diag.All(err)...)
			continue
		}
		sub := &reader{Options: r.Options, shared: r.shared, file: string(file), base: file.Dir(), parent: r}
		if sub.base != repopath.Root {
			sub.prefix = string(sub.base) + "/"
		}
		if sub.prefix != "" && !prefixed.MatchString(string(sub.base)) {
			_ = r.fault(it, "include: %s cannot begin the names of stages", sub.base).Hinted("rename it with letters, digits and _.@/=,+-")
			continue
		}
		sub.part(p, data)
		r.faults = append(r.faults, sub.faults...)
		r.blind = r.blind || sub.blind
	}
}

// in says where something is; "" is nowhere.
func in(place string) string {
	if place == "" {
		return ""
	}
	return " (" + place + ")"
}

// included returns the items of include:.
func (r *reader) included(n *yamldoc.Node) []*yamldoc.Node {
	r.refuse(n, "include", "pipe must know its files before their vars")
	if n.Kind != yamldoc.List && n.Kind != yamldoc.Null {
		_ = r.fault(n, "include: must be a list of directories and files, not %s", shown(n)).Hinted("write include: [services/api]")
	}
	return n.Items
}

// includedFile returns the file that an item of include: means: one that ends in .yaml or .yml, or the
// pipe.yaml of a directory.
func (r *reader) includedFile(n *yamldoc.Node) (repopath.Path, bool) {
	p, slash, ok := r.path(n, r.base, "include")
	switch {
	case !ok:
		return "", false
	case repopath.HasMeta(n.Value):
		_ = r.fault(n, "include: %s: globs are not allowed", n.Value).Hinted("name each directory")
		return "", false
	case inPipe(p):
		r.fault(n, "include: %s: .pipe is reserved for pipe", p)
		return "", false
	}
	return included(p, slash), true
}

// included returns the file that a path in include: stands for.
func included(p repopath.Path, slash bool) repopath.Path {
	if !slash && (strings.HasSuffix(string(p), ".yaml") || strings.HasSuffix(string(p), ".yml")) {
		return p
	}
	return p.Child(FileName)
}

// part reads an included file into p.
func (r *reader) part(p *Project, data []byte) {
	root, err := yamldoc.Parse(r.file, data, yamldoc.Options{})
	r.faults = diag.All(err)
	switch {
	case root == nil, root.Kind == yamldoc.Null:
		return
	case root.Kind != yamldoc.Map:
		r.fault(root, "must be a map with stages, not %s", shown(root))
		return
	}
	if r.vars = root.Get("vars"); r.vars != nil {
		r.names()
	}
	own, fields := &Project{}, topFields()
	maps.DeleteFunc(fields, func(_ string, f topField) bool { return !f.anywhere })
	for _, pair := range root.Pairs {
		if f, known := fields[pair.Key]; known {
			f.take(r, own, pair)
		} else {
			_ = guess(r.fault(pair.At, "%s is not allowed in an included file", pair.Key), pair.Key, keys(fields), "write it in the "+FileName+" of the project")
		}
	}
	for i := range own.Stages {
		if s := &own.Stages[i]; s.File == "" && !s.Input {
			s.File = repopath.Path(r.file)
		}
	}
	cover(own.Stages, own.EnvFiles)
	p.Stages = append(p.Stages, own.Stages...)
}

// resolve replaces the names by which stages of included files name one another with the full ones: the
// stage of the own file goes before one of that name elsewhere. Stages are sorted.
func (p *Project) resolve() {
	groups := p.Groups()
	for i := range p.Stages {
		s := &p.Stages[i]
		prefix := string(s.File.Dir()) + "/"
		if s.File == "" || s.File.Dir() == repopath.Root {
			continue
		}
		full := func(name string) string {
			_, group := slices.BinarySearch(groups, prefix+name)
			if group || p.at(prefix+name) >= 0 {
				return prefix + name
			}
			return name
		}
		for j := range s.Needs {
			s.Needs[j].Stage = full(s.Needs[j].Stage)
		}
		slices.SortFunc(s.Needs, func(a, b Need) int { return strings.Compare(a.Stage, b.Stage) })
		s.Needs = slices.CompactFunc(s.Needs, func(a, b Need) bool { return a.Stage == b.Stage })
		if s.When != nil {
			s.When.Rename(full)
		}
	}
}

// Includes returns the files that a pipe.yaml includes, and those that these include. read returns a
// file of the project. What cannot be read includes nothing: whoever reads the project will say why.
func Includes(data []byte, read func(repopath.Path) ([]byte, error)) (files []repopath.Path) {
	var look func(base repopath.Path, data []byte)
	look = func(base repopath.Path, data []byte) {
		if !strings.Contains(string(data), "include") {
			return // most have none, and need not be parsed
		}
		root, _ := yamldoc.Parse(FileName, data, yamldoc.Options{})
		if root == nil || root.Get("include") == nil {
			return
		}
		for _, it := range root.Get("include").Items {
			p, err := repopath.Join(base, it.Value)
			if err != nil {
				continue
			}
			file := included(p, strings.HasSuffix(it.Value, "/"))
			if file == FileName || slices.Contains(files, file) {
				continue
			}
			files = append(files, file)
			if data, err := read(file); err == nil {
				look(file.Dir(), data)
			}
		}
	}
	look(repopath.Root, data)
	return files
}
