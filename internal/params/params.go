// Package params reads plain keys from YAML, JSON and TOML files.
package params

import (
	"path"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Value is what a key of a params file holds.
type Value struct {
	File  repopath.Path
	Key   string // dotted; empty: the whole file
	Value string // canonical JSON text, the same for YAML, JSON and TOML
}

// Read returns the values of keys in a file's data, in the order of keys, or of
// the whole file when there are no keys. A dotted key goes down maps, the longest
// matching key first, and lists by number: a.0.b. The error is a diag.List of
// kind Usage that names every missing key.
func Read(file repopath.Path, data []byte, keys []string) ([]Value, error) {
	root, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return []Value{{File: file, Value: root.Canonical()}}, nil
	}
	t := &tree{root: root, maps: map[*yamldoc.Node]map[string]*yamldoc.Node{}}
	var faults diag.List
	values := make([]Value, 0, len(keys))
	for _, key := range keys {
		n := t.find(root, key)
		if n == nil {
			faults = append(faults, t.missing(file, key))
			continue
		}
		values = append(values, Value{File: file, Key: key, Value: n.Canonical()})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return values, nil
}

func parse(file repopath.Path, data []byte) (*yamldoc.Node, error) {
	switch ext := strings.ToLower(path.Ext(string(file))); ext {
	case ".yaml", ".yml":
		return yamldoc.Parse(string(file), data, yamldoc.Options{})
	case ".json":
		return yamldoc.ParseJSON(string(file), data)
	case ".toml":
		return parseTOML(string(file), data)
	}
	return nil, diag.List{diag.New(diag.Usage, "params are read from .yaml, .yml, .json and .toml files alone").At(string(file))}
}

// tree is a document with indices of its maps and keys, made when first asked for.
type tree struct {
	root *yamldoc.Node
	maps map[*yamldoc.Node]map[string]*yamldoc.Node
	all  []string
}

// find returns what key names below n, nil when it names nothing.
func (t *tree) find(n *yamldoc.Node, key string) *yamldoc.Node {
	switch n.Kind {
	case yamldoc.Map:
		fields := t.fields(n)
		for end := len(key); end > 0; end = strings.LastIndexByte(key[:end], '.') {
			child := fields[key[:end]]
			if child == nil || end == len(key) {
				if child != nil {
					return child
				}
				continue
			}
			if found := t.find(child, key[end+1:]); found != nil {
				return found
			}
		}
	case yamldoc.List:
		first, rest, deeper := strings.Cut(key, ".")
		i, err := strconv.Atoi(first)
		if err != nil || i < 0 || i >= len(n.Items) || strconv.Itoa(i) != first {
			return nil
		}
		if !deeper {
			return n.Items[i]
		}
		return t.find(n.Items[i], rest)
	}
	return nil
}

func (t *tree) fields(n *yamldoc.Node) map[string]*yamldoc.Node {
	if t.maps[n] == nil {
		fields := make(map[string]*yamldoc.Node, len(n.Pairs))
		for _, p := range n.Pairs {
			fields[p.Key] = p.Value
		}
		t.maps[n] = fields
	}
	return t.maps[n]
}

// maxKeys is how many keys are looked through for a hint.
const maxKeys = 10_000

func (t *tree) missing(file repopath.Path, key string) *diag.Error {
	e := diag.New(diag.Usage, "no key %q", key).At(string(file))
	if t.all == nil {
		t.list(t.root, "")
	}
	if near := yamldoc.Nearest(key, t.all); near != "" {
		return e.Hinted("did you mean %s?", near)
	}
	return e
}

// list collects the dotted names of all keys below n.
func (t *tree) list(n *yamldoc.Node, prefix string) {
	for _, p := range n.Pairs {
		if len(t.all) >= maxKeys {
			return
		}
		t.all = append(t.all, prefix+p.Key)
		t.list(p.Value, prefix+p.Key+".")
	}
}
