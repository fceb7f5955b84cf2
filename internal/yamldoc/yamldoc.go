// Package yamldoc reads YAML and JSON strictly, into nodes that know their place.
package yamldoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pipe-build/pipe/internal/diag"
)

// MaxSize is the largest document in bytes: the parser's memory is a large multiple of it.
const MaxSize = 64 << 20

// Kind is the sort of a node.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

// String names the kind for people.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a number", "a string", "a list", "a map"}[k]
}

// Node is one value of a document.
type Node struct {
	Kind  Kind
	Line  int    // from 1
	Col   int    // from 1
	Value string // a scalar's text as written, without quotes
	Items []*Node
	Pairs []Pair
}

// Pair is one key of a map and its value, in the order of the document.
type Pair struct {
	Key   string
	At    *Node // the key's own place
	Value *Node
}

// Place returns "file:line:col".
func (n *Node) Place(file string) string { return fmt.Sprintf("%s:%d:%d", file, n.Line, n.Col) }

// Get returns the value of a map's key, nil when there is none or n is no map.
func (n *Node) Get(key string) *Node {
	for _, p := range n.Pairs {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Options say what a document may hold beyond plain values.
type Options struct {
	NoAnchors bool // anchors and aliases are faults; else aliases are expanded
}

// Parse reads one document. Faults (syntax, duplicate keys, a second document,
// keys that are no strings, cyclic or exploding aliases) come as a diag.List of
// kind Usage with places in file. An empty document is a Null node.
func Parse(file string, data []byte, opt Options) (*Node, error) {
	p := &parser{file: file, opt: opt}
	if len(data) > MaxSize {
		return nil, diag.List{diag.New(diag.Usage, "%d bytes are more than the %d that are read", len(data), MaxSize).At(file)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if err == io.EOF {
		return &Node{Kind: Null, Line: 1, Col: 1}, nil
	}
	if err != nil {
		return nil, diag.List{p.syntax(err)}
	}
	root := p.convert(doc.Content[0], 0)
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		p.fault(second.Line, second.Column, "a second document starts here; only one is read")
	case err != io.EOF:
		p.faults = append(p.faults, p.syntax(err))
	}
	return root, p.faults.OrNil()
}

type parser struct {
	file   string
	opt    Options
	faults diag.List
	nodes  int
	open   []*yaml.Node
}

func (p *parser) fault(line, col int, format string, args ...any) {
	p.faults = append(p.faults, diag.New(diag.Usage, format, args...).At(fmt.Sprintf("%s:%d:%d", p.file, max(line, 1), max(col, 1))))
}

var lineNo = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (p *parser) syntax(err error) *diag.Error {
	text, line := err.Error(), 1
	if m := lineNo.FindStringSubmatch(text); m != nil {
		if n, aerr := strconv.Atoi(m[1]); aerr == nil {
			line = n
		}
		text = text[len(m[0]):]
	}
	return diag.New(diag.Usage, "not valid YAML: %s", text).At(fmt.Sprintf("%s:%d:1", p.file, line))
}

// maxNodes bounds what aliases may expand to: a "billion laughs" document stops here.
const maxNodes = 4 << 20

func (p *parser) convert(y *yaml.Node, depth int) *Node {
	n := &Node{Line: y.Line, Col: y.Column}
	p.nodes++
	if p.nodes > maxNodes || depth > 200 {
		if p.nodes != math.MaxInt32 {
			p.fault(y.Line, y.Column, "too many or too deep values")
			p.nodes = math.MaxInt32
		}
		return n
	}
	if y.Anchor != "" && p.opt.NoAnchors {
		p.fault(y.Line, y.Column, "anchor &%s is not allowed here", y.Anchor)
	}
	switch y.Kind {
	case yaml.AliasNode:
		return p.alias(y, depth)
	case yaml.SequenceNode:
		n.Kind = List
		for _, c := range y.Content {
			n.Items = append(n.Items, p.convert(c, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		p.mapping(n, y, depth)
	default:
		n.Kind, n.Value = scalarKind(y), y.Value
	}
	return n
}

func (p *parser) alias(y *yaml.Node, depth int) *Node {
	if p.opt.NoAnchors {
		p.fault(y.Line, y.Column, "alias *%s is not allowed here", y.Value)
		return &Node{Line: y.Line, Col: y.Column}
	}
	for _, o := range p.open {
		if o == y.Alias {
			p.fault(y.Line, y.Column, "alias *%s holds itself", y.Value)
			return &Node{Line: y.Line, Col: y.Column}
		}
	}
	p.open = append(p.open, y.Alias)
	n := p.convert(y.Alias, depth+1)
	p.open = p.open[:len(p.open)-1]
	n.Line, n.Col = y.Line, y.Column
	return n
}

func (p *parser) mapping(n *Node, y *yaml.Node, depth int) {
	seen := make(map[string]*yaml.Node, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			p.fault(k.Line, k.Column, "a key must be a plain text")
			continue
		}
		if k.Tag == "!!merge" {
			p.fault(k.Line, k.Column, "merge keys (<<) are not supported; write the keys out")
			continue
		}
		if first, dup := seen[k.Value]; dup {
			p.fault(k.Line, k.Column, "key %q is already given on line %d", k.Value, first.Line)
			continue
		}
		seen[k.Value] = k
		n.Pairs = append(n.Pairs, Pair{Key: k.Value, At: &Node{Kind: String, Line: k.Line, Col: k.Column, Value: k.Value}, Value: p.convert(v, depth+1)})
	}
}

func scalarKind(y *yaml.Node) Kind {
	switch y.ShortTag() {
	case "!!null":
		return Null
	case "!!bool":
		return Bool
	case "!!int":
		return Int
	case "!!float":
		return Float
	}
	return String
}

// Canonical returns the one text for a value: JSON with sorted keys, no space,
// numbers as written in their shortest form. Two documents that mean the same
// value, in YAML or JSON, have the same text.
func (n *Node) Canonical() string {
	var b strings.Builder
	n.canonical(&b)
	return b.String()
}

func (n *Node) canonical(b *strings.Builder) {
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Bool:
		b.WriteString(strings.ToLower(n.Value))
	case Int:
		b.WriteString(canonicalInt(n.Value))
	case Float:
		b.WriteString(canonicalFloat(n.Value))
	case String:
		writeQuoted(b, n.Value)
	case List:
		b.WriteByte('[')
		for i, it := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			it.canonical(b)
		}
		b.WriteByte(']')
	case Map:
		pairs := slices.SortedFunc(slices.Values(n.Pairs), func(x, y Pair) int { return strings.Compare(x.Key, y.Key) })
		b.WriteByte('{')
		for i, p := range pairs {
			if i > 0 {
				b.WriteByte(',')
			}
			writeQuoted(b, p.Key)
			b.WriteByte(':')
			p.Value.canonical(b)
		}
		b.WriteByte('}')
	}
}

func canonicalInt(s string) string {
	if i, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	return s
}

func canonicalFloat(s string) string {
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return strconv.Quote(s)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func writeQuoted(b *strings.Builder, s string) { b.WriteString(Quote(s)) }

// Quote returns s as a JSON string, which is a YAML double-quoted scalar too.
func Quote(s string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(buf.String(), "\n")
}
