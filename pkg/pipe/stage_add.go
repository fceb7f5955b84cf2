package pipe

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// NewStage is a stage that AddStage writes into pipe.yaml. Its paths are relative to Wdir, as they
// are there.
type NewStage struct {
	Name          string   // which no stage has yet, unless Replace
	Cmd           []string // a text for the shell, or the words of a command
	Desc          string   // for people; may be empty
	Wdir          string   // as the user has written it; "": the directory where pipe runs
	Deps          []string // paths, globs and !PATTERN
	Params        []string // KEY,KEY of params.yaml, FILE:KEY,KEY, or FILE: for the whole file
	Env           []string // NAME, or NAME=VALUE
	Outs          []NewOut // at least one, unless Check or Deploy
	Needs         []string // names of stages
	Check         bool     // its result is that it succeeds
	Deploy        bool     // it acts in an environment
	AlwaysChanged bool     // it runs every time
	Replace       bool     // it takes the place of the stage that has its name
}

// NewOut is an output of a new stage.
type NewOut struct {
	Path    string // as the user has written it
	List    string // outs, metrics or plots
	NoCache bool   // pipe keeps only its hash
	Persist bool   // the old one stays in place while the command runs
}

// AddedStage is what AddStage did.
type AddedStage struct {
	Stage    string   `json:"stage"`    // its name
	Replaced bool     `json:"replaced"` // there was one with this name
	Wrote    []string `json:"wrote"`    // files of the project that changed
}

// AddStage writes a stage into the pipe.yaml of the project, and its outputs into .gitignore. pipe.yaml may
// be empty; what it says already stays as it is written. The result is read before it is written: a
// fault of the new stage has as its place the text of which it came, and then nothing changes.
func AddStage(ctx context.Context, opt Options, s NewStage) (r *AddedStage, err error) {
	if len(s.Outs) == 0 && !s.Check && !s.Deploy {
		return nil, diag.New(diag.Usage, "%s has no outputs", s.Name).
			Hinted("-o OUT names one; --check is for tests and the like, --deploy for deployments")
	}
	p, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	h, err := p.hold(ctx, "stage add")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	b, err := p.stageText(s)
	if err != nil {
		return nil, err
	}
	r = &AddedStage{Stage: s.Name, Wrote: []string{}}
	if err := p.edit(ctx, func(text string) (string, error) {
		next, err := spec.AddStage(text, s.Name, b.node, s.Replace)
		if err != nil {
			return "", err
		}
		root, _ := yamldoc.Parse(spec.FileName, []byte(text), yamldoc.Options{})
		r.Replaced = root.Get("stages") != nil && root.Get("stages").Get(s.Name) != nil
		if next != text {
			r.Wrote = append(r.Wrote, spec.FileName)
		}
		return next, b.asTyped(next, s.Name, p.wouldRead(ctx, next))
	}); err != nil {
		return nil, err
	}
	if p.spec == nil { // the text has not changed, so nobody has read it
		return r, nil
	}
	var outs []repopath.Path
	for _, o := range p.spec.Stage(s.Name).Outs {
		if !o.NoCache {
			outs = append(outs, o.Path)
		}
	}
	return r, p.ignore(&r.Wrote, outs)
}

// wouldRead returns the faults of a pipe.yaml that is not written yet.
func (p *Project) wouldRead(ctx context.Context, text string) error {
	was := p.spec
	defer func() { p.spec = was }()
	var err error
	if p.spec, err = p.parse([]byte(text)); err != nil || len(p.spec.Remotes) == 0 {
		return err
	}
	return p.checkName(ctx)
}

// stageBuilder makes the value of a stage. words has, for each of its keys, what the user has
// written for the value or its items.
type stageBuilder struct {
	node  *yamldoc.Node
	words map[string][]string
}

// text is the node of a text.
func text(s string) *yamldoc.Node { return &yamldoc.Node{Kind: yamldoc.String, Value: s} }

// set sets a key.
func (b *stageBuilder) set(key string, value *yamldoc.Node, words ...string) {
	b.node.Pairs = append(b.node.Pairs, field(key, value))
	b.words[key] = words
}

// flag sets a key to true.
func (b *stageBuilder) flag(key string, on bool) {
	if on {
		b.set(key, &yamldoc.Node{Kind: yamldoc.Bool, Value: "true"}, "--"+strings.ReplaceAll(key, "_", "-"))
	}
}

// list sets a key to a list, unless it is empty.
func (b *stageBuilder) list(key string, items []*yamldoc.Node, words []string) {
	if len(items) > 0 {
		b.set(key, &yamldoc.Node{Kind: yamldoc.List, Items: items}, words...)
	}
}

// field is a pair of a map.
func field(key string, value *yamldoc.Node) yamldoc.Pair {
	return yamldoc.Pair{Key: key, At: text(key), Value: value}
}

// pairsOf is the node of a map.
func pairsOf(pairs ...yamldoc.Pair) *yamldoc.Node {
	return &yamldoc.Node{Kind: yamldoc.Map, Pairs: pairs}
}

// stageText makes the value of a stage.
func (p *Project) stageText(s NewStage) (*stageBuilder, error) {
	dir := s.Wdir
	if dir == "" {
		dir = "."
	}
	wdir, err := p.work.Inside(p.opt.Dir, dir)
	if err != nil {
		return nil, err
	}
	b := &stageBuilder{pairsOf(), map[string][]string{}}
	if s.Desc != "" {
		b.set("desc", text(s.Desc), s.Desc)
	}
	b.flag("check", s.Check)
	b.flag("deploy", s.Deploy)
	b.set("cmd", text(commandText(s.Cmd)), commandText(s.Cmd))
	if wdir != repopath.Root {
		b.set("wdir", text(string(wdir)), dir)
	}
	var deps []*yamldoc.Node
	for _, d := range s.Deps {
		deps = append(deps, p.newDep(wdir, d))
	}
	b.list("deps", deps, s.Deps)
	params, words := paramItems(s.Params)
	b.list("params", params, words)
	b.list("env", envItems(s.Env), s.Env)
	for _, sort := range spec.OutSorts() {
		key := sort.String()
		var items []*yamldoc.Node
		var words []string
		for _, o := range s.Outs {
			if o.List == key {
				items, words = append(items, p.newOut(wdir, o)), append(words, o.Path)
			}
		}
		b.list(key, items, words)
	}
	var needs []*yamldoc.Node
	for _, n := range s.Needs {
		needs = append(needs, text(n))
	}
	b.list("needs", needs, s.Needs)
	b.flag("always_changed", s.AlwaysChanged)
	return b, nil
}

// relative returns a path as it stands in pipe.yaml: as written, with slashes, and if it is absolute and
// inside the project, relative to the directory.
func (p *Project) relative(wdir repopath.Path, name string) string {
	if filepath.IsAbs(name) {
		if at, err := p.work.Inside(p.opt.Dir, name); err == nil {
			if rel, err := filepath.Rel(p.work.OS(wdir), p.work.OS(at)); err == nil {
				slash := ""
				if strings.HasSuffix(filepath.ToSlash(name), "/") {
					slash = "/"
				}
				return filepath.ToSlash(rel) + slash
			}
		}
	}
	return filepath.ToSlash(name)
}

// newDep is a dependency. One that looks like a pattern and is a file is that file.
func (p *Project) newDep(wdir repopath.Path, name string) *yamldoc.Node {
	name = p.relative(wdir, name)
	if repopath.HasMeta(name) || strings.HasPrefix(name, "!") {
		if _, err := os.Lstat(filepath.Join(p.work.OS(wdir), filepath.FromSlash(name))); err == nil {
			return pairsOf(field("path", text(name)))
		}
	}
	return text(name)
}

// newOut is an output.
func (p *Project) newOut(wdir repopath.Path, o NewOut) *yamldoc.Node {
	path := text(p.relative(wdir, o.Path))
	if !o.NoCache && !o.Persist {
		return path
	}
	m := pairsOf(field("path", path))
	if o.NoCache {
		m.Pairs = append(m.Pairs, field("cache", &yamldoc.Node{Kind: yamldoc.Bool, Value: "false"}))
	}
	if o.Persist {
		m.Pairs = append(m.Pairs, field("persist", &yamldoc.Node{Kind: yamldoc.Bool, Value: "true"}))
	}
	return m
}

// paramItems are the items of params, as DVC reads them: the file ends at the last colon. words has what was
// written for each of them.
func paramItems(all []string) (items []*yamldoc.Node, words []string) {
	for _, said := range all {
		file, keys := "", said
		if i := strings.LastIndexByte(said, ':'); i >= 0 {
			file, keys = filepath.ToSlash(said[:i]), said[i+1:]
		}
		var named []*yamldoc.Node
		for _, key := range strings.Split(keys, ",") {
			if key != "" {
				named = append(named, text(key))
			}
		}
		switch {
		case file != "" && len(named) == 0:
			named = []*yamldoc.Node{pairsOf(field(file, &yamldoc.Node{Kind: yamldoc.Null}))}
		case file != "":
			named = []*yamldoc.Node{pairsOf(field(file, &yamldoc.Node{Kind: yamldoc.List, Items: named}))}
		case len(named) == 0:
			named = []*yamldoc.Node{text(said)}
		}
		for _, n := range named {
			items, words = append(items, n), append(words, said)
		}
	}
	return items, words
}

// envItems are the items of env.
func envItems(all []string) (items []*yamldoc.Node) {
	for _, said := range all {
		if name, value, set := strings.Cut(said, "="); set {
			items = append(items, pairsOf(field(name, text(value))))
		} else {
			items = append(items, text(said))
		}
	}
	return items
}

// safeWord is a word that needs no quotes in a shell: what ${name} stands for is quoted when it is put in.
var safeWord = regexp.MustCompile(`^(?:[A-Za-z0-9_./+:@,%=-]|\$\{[A-Za-z_][A-Za-z0-9_.\[\]-]*\})+$`)

// commandText returns a command for the shell. One text is that already; several are the words of one.
func commandText(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	words = slices.Clone(words)
	for i, w := range words {
		if !safeWord.MatchString(w) {
			words[i] = shell.Word(w)
		}
	}
	return strings.Join(words, " ")
}

// asTyped gives faults in the new stage the text of which they came as their place.
func (b *stageBuilder) asTyped(next, name string, err error) error {
	root, _ := yamldoc.Parse(spec.FileName, []byte(next), yamldoc.Options{})
	if err == nil || root == nil {
		return err
	}
	said := map[string]string{}
	for _, s := range root.Get("stages").Pairs {
		if s.Key != name {
			continue
		}
		said[s.At.Place(spec.FileName)] = name
		for _, p := range s.Value.Pairs {
			words := b.words[p.Key]
			said[p.At.Place(spec.FileName)] = strings.Join(words, " ")
			places(p.Value, strings.Join(words, " "), said)
			for i, it := range p.Value.Items {
				if len(words) == len(p.Value.Items) {
					places(it, words[i], said)
				}
			}
		}
	}
	var all diag.List
	for _, e := range diag.All(err) {
		if word, ok := said[e.Place]; ok {
			e.Place = cmp.Or(word, `""`)
		}
		all = append(all, e)
	}
	return all.OrNil()
}

// places notes what was written for a node, and all below it.
func places(n *yamldoc.Node, word string, said map[string]string) {
	said[n.Place(spec.FileName)] = word
	for _, it := range n.Items {
		places(it, word, said)
	}
	for _, p := range n.Pairs {
		said[p.At.Place(spec.FileName)] = word
		places(p.Value, word, said)
	}
}
