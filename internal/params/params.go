// Package params reads plain keys from YAML, JSON and TOML files.
//
// A stage declares keys of a file as inputs, so that a change of any other value does not run
// it. Read is the one way in: it gives each key's Value as one canonical text, which goes into
// the stage's key and into pipe.lock.
//
// Values are not interpreted (ADR 0012). What 1.0, 0x1f or 2020-01-01 is, parsers disagree
// about, and so do versions of one parser; each counts as it is written. Writing a value
// differently may cost one run, but two values that a program can tell apart never have one
// text. FORMAT.md has the rules, which are frozen; testdata/vectors/params has the cases.
package params

import (
	"bytes"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Value is what a key of a params file holds.
type Value struct {
	File  repopath.Path
	Key   string // dotted; empty: the whole file
	Value string // in the form of FORMAT.md
}

// Read returns the values of keys in a file's data, in the order of keys, or of
// the whole file when there are no keys. A dotted key goes down maps, where the
// longest key wins, and lists by number: a.0.b. The error is a diag.List of kind
// Usage that names every missing key. FORMAT.md has all rules.
func Read(file repopath.Path, data []byte, keys []string) ([]Value, error) {
	root, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	return Values(file, root, keys)
}

// Values is Read of a file that was parsed.
func Values(file repopath.Path, root *yamldoc.Node, keys []string) ([]Value, error) {
	if len(keys) == 0 {
		return []Value{{File: file, Value: root.Canonical()}}, nil
	}
	t := newTree(root)
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

// Parse reads a file by the ending of its name. A byte order mark is not a part of the
// document.
func Parse(file repopath.Path, data []byte) (*yamldoc.Node, error) {
	// Editors on Windows write one; it is no part of the first key.
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		// encoding/json reads each wrong byte as U+FFFD: two texts would be one value.
		return nil, diag.List{diag.New(diag.Usage, "not valid UTF-8").At(string(file))}
	}
	if err := yamldoc.CheckSize(string(file), data); err != nil {
		return nil, err
	}
	switch ext := strings.ToLower(path.Ext(string(file))); ext {
	case ".yaml", ".yml":
		return yamldoc.Parse(string(file), data, yamldoc.Options{PlainKeys: true})
	case ".json":
		return yamldoc.ParseJSON(string(file), data)
	case ".toml":
		return parseTOML(string(file), data)
	}
	return nil, diag.List{diag.New(diag.Usage, "params files must end in .yaml, .yml, .json or .toml").At(string(file))}
}

// tree is a document with indices of its maps and keys, made when first asked for. A file may
// have many thousands of keys, and a stage may ask for many of them.
type tree struct {
	root *yamldoc.Node
	maps map[*yamldoc.Node]map[string]*yamldoc.Node
	all  []string
}

func newTree(root *yamldoc.Node) *tree {
	return &tree{root: root, maps: map[*yamldoc.Node]map[string]*yamldoc.Node{}}
}

// find returns what key names below n, nil when it names nothing. The longest
// part of the key that a map has is taken, and stays taken: no other way down is
// tried, so that a key has one meaning.
func (t *tree) find(n *yamldoc.Node, key string) *yamldoc.Node {
	for {
		child, rest := t.step(n, key)
		if child == nil || rest == len(key) {
			return child
		}
		n, key = child, key[rest+1:]
	}
}

// step returns the part of n that the first bytes of key name, and how many. A list is indexed
// by a plain number without leading zeros; 0 as the second result goes with a nil node.
func (t *tree) step(n *yamldoc.Node, key string) (*yamldoc.Node, int) {
	switch n.Kind {
	// From the longest beginning that ends at a dot down to the shortest.
	case yamldoc.Map:
		fields := t.fields(n)
		for end := len(key); end >= 0; end = strings.LastIndexByte(key[:end], '.') {
			if child := fields[key[:end]]; child != nil {
				return child, end
			}
		}
	case yamldoc.List:
		first, _, _ := strings.Cut(key, ".")
		i, err := strconv.Atoi(first)
		if err == nil && i >= 0 && i < len(n.Items) && strconv.Itoa(i) == first {
			return n.Items[i], len(first)
		}
	}
	return nil, 0
}

// fields returns a map's values by key. Where 1 and "1" are both keys, 1 means the text.
func (t *tree) fields(n *yamldoc.Node) map[string]*yamldoc.Node {
	if t.maps[n] == nil {
		fields := make(map[string]*yamldoc.Node, len(n.Pairs))
		for _, p := range n.Pairs {
			if fields[p.Key] == nil || p.At.Kind == yamldoc.String {
				fields[p.Key] = p.Value
			}
		}
		t.maps[n] = fields
	}
	return t.maps[n]
}

// maxKeys is how many keys are looked through for a hint.
const maxKeys = 10_000

// NoKey is the cause of an error for a key that names nothing.
type NoKey string

// Error implements error.
func (k NoKey) Error() string { return "key " + strconv.Quote(string(k)) + " does not exist" }

// missing is the fault of a key that names nothing, with the most similar key as a hint.
func (t *tree) missing(file repopath.Path, key string) *diag.Error {
	e := diag.New(diag.Usage, "%w", NoKey(key)).At(string(file))
	if t.all == nil {
		t.list(t.root, "")
	}
	if other, k, ok := strings.Cut(key, ":"); ok {
		return e.Hinted("for a key of another file write {%s: [%s]}", other, k)
	}
	if near := yamldoc.Nearest(key, t.all); near != "" {
		return e.Hinted("did you mean %s?", near)
	}
	return e
}

// list collects the dotted names of all keys below n. It stops at maxKeys: what aliases expand
// to can be far larger than the file.
func (t *tree) list(n *yamldoc.Node, prefix string) {
	for _, p := range n.Pairs {
		if len(t.all) >= maxKeys {
			return
		}
		t.all = append(t.all, prefix+p.Key)
		t.list(p.Value, prefix+p.Key+".")
	}
}
