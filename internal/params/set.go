package params

import (
	"path"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Set returns a document in which a key that it has is another value, which is written as the file would
// write it. The document itself stays as it is. The error is of kind Usage.
func Set(file repopath.Path, root *yamldoc.Node, key, value string) (*yamldoc.Node, error) {
	v, err := written(file, value)
	if err != nil {
		return nil, diag.New(diag.Usage, "%q is not a value of a %s file: %w", value, path.Ext(string(file)), err)
	}
	t := newTree(root)
	next := t.set(root, key, v)
	if next == nil {
		return nil, t.missing(file, key)
	}
	return next, nil
}

// set returns n with another value at key, nil when it has no such key.
func (t *tree) set(n *yamldoc.Node, key string, v *yamldoc.Node) *yamldoc.Node {
	child, end := t.step(n, key)
	if child == nil {
		return nil
	}
	if end < len(key) {
		if v = t.set(child, key[end+1:], v); v == nil {
			return nil
		}
	}
	next := *n
	next.Items, next.Pairs = slices.Clone(n.Items), slices.Clone(n.Pairs)
	for i := range next.Items {
		if next.Items[i] == child {
			next.Items[i] = v
			break
		}
	}
	for i := range next.Pairs {
		if p := &next.Pairs[i]; p.Key == key[:end] && p.Value == child {
			p.Value = v
		}
	}
	return &next
}

// written reads a value as the file's format has it, so that the key of a stage is the one that it
// would have if somebody had changed the file. A text needs no quotes in JSON and TOML either.
func written(file repopath.Path, value string) (*yamldoc.Node, error) {
	text := &yamldoc.Node{Kind: yamldoc.String, Line: 1, Col: 1, Value: value}
	switch strings.ToLower(path.Ext(string(file))) {
	case ".json":
		if n, err := yamldoc.ParseJSON(string(file), []byte(value)); err == nil {
			return n, nil
		}
		return text, nil
	case ".toml":
		if n, err := parseTOML(string(file), []byte("v = "+value)); err == nil && len(n.Pairs) == 1 {
			return n.Pairs[0].Value, nil
		}
		return text, nil
	}
	return yamldoc.Parse(string(file), []byte(value), yamldoc.Options{PlainKeys: true})
}
