package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// entry is one name below environments:, or in the file of an each:. The Environment in it is what
// the entry itself says, until settle has put it over what it extends.
type entry struct {
	Environment
	at      map[string]string // places of its own keys
	has     map[string]bool   // its own keys, and later those that it extends
	extends string
	each    repopath.Path
}

// entryField reads one key of an entry, and gives its value to an environment that extends it.
type entryField struct {
	read func(r *reader, e *entry, n *yamldoc.Node, what string)
	give func(from, to *Environment) // nil: the key is the entry's own affair
}

// entryFields are the keys of an entry.
var entryFields = map[string]entryField{
	"env": {(*reader).entryEnv, func(from, to *Environment) { to.Env = merged(to.Env, from.Env) }},
	"auto": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) { e.Auto = r.auto(n, what) },
		func(from, to *Environment) { to.Auto = from.Auto },
	},
	"from": {(*reader).from, func(from, to *Environment) { to.From, to.fromAt = from.From, from.fromAt }},
	"pin": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) { e.Pin = r.gitFile(n, what) },
		func(from, to *Environment) { to.Pin = from.Pin },
	},
	"approve": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) { e.Approve = r.approve(n, what) },
		func(from, to *Environment) { to.Approve = from.Approve },
	},
	"queue": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) {
			e.Queue = Queue(r.oneOf(n, "", what, string(QueueNewest), string(QueueAll)))
		},
		func(from, to *Environment) { to.Queue = from.Queue },
	},
	"on_fail": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) {
			e.OnFail = OnFail(r.oneOf(n, "", what, string(OnFailStop), string(OnFailRollback)))
		},
		func(from, to *Environment) { to.OnFail = from.OnFail },
	},
	"after_rollback": {
		func(r *reader, e *entry, n *yamldoc.Node, what string) {
			e.After = AfterRollback(r.oneOf(n, "", what, string(AfterHold), string(AfterNext)))
		},
		func(from, to *Environment) { to.After = from.After },
	},
	"extends": {read: func(r *reader, e *entry, n *yamldoc.Node, what string) { e.extends, _ = r.text(n, "", what) }},
	"each":    {read: func(r *reader, e *entry, n *yamldoc.Node, what string) { e.each = r.gitFile(n, what) }},
}

// environments reads environments:. It must have an entry: an empty map would allow every name, as
// none does, or no name at all, and nobody would know which.
func (r *reader) environments(n *yamldoc.Node) []entry {
	switch {
	case n.Kind != yamldoc.Map && n.Kind != yamldoc.Null:
		_ = r.fault(n, "environments: must be a map, not %s", shown(n)).Hinted("write environments: {staging: {}, production: {from: staging}}")
	case len(n.Pairs) == 0:
		_ = r.fault(n, "environments is empty").Hinted("add an environment, or remove the key: without it every name is allowed")
	}
	return r.entries(n, "")
}

// entries reads the entries of a map, sorted by name; group is the entry whose each: file it is.
func (r *reader) entries(n *yamldoc.Node, group string) (all []entry) {
	for _, p := range n.Pairs {
		if e, ok := r.entry(p, group); ok {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// entry reads one entry; false when its name is not valid.
func (r *reader) entry(p yamldoc.Pair, group string) (entry, bool) {
	e := entry{at: map[string]string{}, has: map[string]bool{}}
	e.Name, e.Group, e.Place = p.Key, group, p.At.Place(r.file)
	what := "environment " + p.Key
	// A star stands for what a name may have in its place.
	if strings.Contains(p.Key, "**") || !IsEnvironment(strings.ReplaceAll(p.Key, "*", "x")) {
		r.fault(p.At, "environment name %q is not valid; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit, not ending in .lock, and * for a pattern", p.Key)
		return e, false
	}
	if p.Value.Kind != yamldoc.Map && p.Value.Kind != yamldoc.Null {
		r.fault(p.Value, "%s: must be a map, not %s", what, shown(p.Value))
	}
	for _, f := range p.Value.Pairs {
		field, known := entryFields[f.Key]
		switch {
		case !known:
			r.unknown(f, what+": ", nil, keys(entryFields))
		case group != "" && field.give == nil:
			r.fault(f.At, "%s: %s is not allowed in the file of an each", what, f.Key)
		default:
			e.at[f.Key], e.has[f.Key] = f.Value.Place(r.file), true
			field.read(r, &e, f.Value, what+": "+f.Key)
		}
	}
	if e.IsPattern() && (group != "" || e.has["each"]) {
		r.fault(p.At, "%s: a pattern cannot be combined with each", what)
		return e, false
	}
	return e, true
}

// entryEnv reads env: of an entry. A value is a text as written, as a stage's is.
func (r *reader) entryEnv(e *entry, n *yamldoc.Node, what string) {
	if n.Kind != yamldoc.Map {
		_ = r.fault(n, "%s: must be a map, not %s", what, shown(n)).Hinted("write env: {NAME: value}")
		return
	}
	for _, p := range n.Pairs {
		v := p.Value
		switch {
		case !dotenv.IsName(p.Key):
			r.fault(p.At, "%s: %q is not a valid environment variable name; use letters, digits and _, not starting with a digit", what, p.Key)
		case strings.HasPrefix(p.Key, reservedEnv):
			r.fault(p.At, "%s %s: names that start with %s are reserved for pipe", what, p.Key, reservedEnv)
		case v.Kind == yamldoc.Null:
			_ = r.fault(v, "%s %s: value is missing", what, p.Key).Hinted(`write {%s: ""} for an empty value`, p.Key)
		case v.Kind == yamldoc.List, v.Kind == yamldoc.Map, strings.ContainsRune(v.Value, 0):
			r.fault(v, "%s %s: must be a string without NUL, not %s", what, p.Key, shown(v))
		default:
			e.Env = append(e.Env, EnvVar{Name: p.Key, Value: v.Value, Place: p.At.Place(r.file)})
		}
	}
}

// merged returns the variables of base, and over them those of top, sorted by name.
func merged(base, top []EnvVar) []EnvVar {
	all := map[string]EnvVar{}
	for _, v := range slices.Concat(base, top) {
		all[v.Name] = v
	}
	return slices.SortedFunc(maps.Values(all), func(a, b EnvVar) int { return strings.Compare(a.Name, b.Name) })
}

// auto reads a branch, true or false. yes and on are meant to be true, and are texts in YAML 1.2;
// "true" in quotes is a branch that would be taken for true.
func (r *reader) auto(n *yamldoc.Node, what string) string {
	if n.Kind == yamldoc.Bool {
		return map[bool]string{true: AutoPromote}[strings.EqualFold(n.Value, "true")]
	}
	s, ok := r.text(n, "", what)
	word := strings.ToLower(s)
	switch {
	case !ok:
	case word == "true", word == "false", n.Kind == yamldoc.Source && slices.Contains([]string{"y", "yes", "n", "no", "on", "off"}, word), !IsRef(s):
		r.fault(n, "%s: must be a branch, true or false, not %s", what, shown(n))
	default:
		return r.branch(n, what)
	}
	return ""
}

// branch reads the name of a branch. As git's full name of it, it would be that of no branch, and nothing
// would ever be deployed.
func (r *reader) branch(n *yamldoc.Node, what string) string {
	s, ok := r.text(n, "", what)
	name, full := strings.CutPrefix(s, "refs/heads/")
	switch {
	case !ok:
		return ""
	case !IsRef(name):
		r.fault(n, "%s: must be the name of a branch, not %s", what, shown(n))
	case full:
		_ = r.fault(n, "%s: must be the name of a branch, without refs/heads/", what).Hinted("write %s", name)
	}
	return name
}

// from reads an environment, or a list of them. Whether they exist is known at the end of the file.
func (r *reader) from(e *entry, n *yamldoc.Node, what string) {
	items := []*yamldoc.Node{n}
	if n.Kind == yamldoc.List {
		items = n.Items
	}
	if len(items) == 0 {
		r.fault(n, "%s: the list is empty", what)
	}
	e.fromAt = map[string]string{}
	for _, it := range items {
		name, ok := r.text(it, "", what)
		switch {
		case !ok:
		case strings.Contains(name, "*"):
			_ = r.fault(it, "%s: %s is a pattern, not an environment", what, name).Hinted("name each environment in which a release must be verified")
		case e.fromAt[name] != "":
			r.fault(it, "%s: %s is already in the list", what, name)
		default:
			e.From = append(e.From, name)
			e.fromAt[name] = it.Place(r.file)
		}
	}
	slices.Sort(e.From)
}

// approve reads ci, or a map that says who must sign.
func (r *reader) approve(n *yamldoc.Node, what string) *Approve {
	if n.Kind == yamldoc.String && n.Value == "ci" {
		return &Approve{CI: true}
	}
	if n.Kind != yamldoc.Map {
		_ = r.fault(n, "%s: must be ci, or a map with signers, not %s", what, shown(n)).Hinted("write approve: {signers: .approvers}")
		return nil
	}
	a := &Approve{Count: 1}
	for _, f := range n.Pairs {
		switch f.Key {
		case "signers":
			a.Signers = r.gitFile(f.Value, what+": signers")
		case "count":
			a.Count = r.whole(f.Value, 1, what+": count")
		case "not_self":
			a.NotSelf = r.flag(f.Value, "", what+": not_self")
		default:
			r.unknown(f, what+": ", nil, []string{"count", "not_self", "signers"})
		}
	}
	if n.Get("signers") == nil {
		_ = r.fault(n, "%s: signers is missing", what).Hinted("write approve: {signers: .approvers}, a file in the form of ssh's allowed_signers")
	}
	return a
}

// gitFile reads the path of a file that git has: what is written there needs a commit.
func (r *reader) gitFile(n *yamldoc.Node, what string) repopath.Path {
	p, slash, ok := r.path(n, repopath.Root, what)
	switch {
	case !ok || !r.reserved(n, p, what):
		return ""
	case slash:
		r.fault(n, "%s: %s must be a file, not a directory", what, p)
		return ""
	}
	r.kept = append(r.kept, keptFile{p, what, n.Place(r.file)})
	return p
}
