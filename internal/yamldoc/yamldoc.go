// Package yamldoc reads YAML and JSON strictly, into nodes that know their place.
//
// pipe.yaml and files of params come this way. A Node keeps how a value was written and where
// it stands, which a decoder into Go values throws away: messages need the place, and hashes
// need a text that does not depend on how some parser reads 1.0 or yes. Only what all readers
// of YAML agree to be a text is one; null and booleans are those of YAML 1.2; anything else
// without quotes stays Source.
//
// The YAML parser of gopkg.in/yaml.v3 is used for syntax alone. What it lets pass and must not
// (duplicate keys, lone tags, a second document, aliases that explode) is refused here, and
// its panics end here. Canonical gives a value's one text; its form is frozen, see
// internal/params/FORMAT.md.
package yamldoc

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pipe-build/pipe/internal/diag"
)

// MaxSize is the largest document in bytes: the parser's memory is a large multiple of it.
const MaxSize = 64 << 20

// MaxDepth is how many lists and maps a value may stand in. Walks over nodes call themselves,
// so it bounds their stack, too.
const MaxDepth = 200

// Kind is the sort of a node.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Number // of JSON or TOML, written as JSON writes numbers
	Source // anything else that is written without quotes and is not a text: 1 in YAML, 0xff or a date in TOML
	String
	List
	Map
)

// String names the kind for people.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a plain value", "a string", "a list", "a map"}[k]
}

// Node is one value of a document.
type Node struct {
	Kind  Kind
	Line  int    // from 1
	Col   int    // from 1
	Value string // a scalar's text; of what is no String, the source as written
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
func (n *Node) Place(file string) string { return place(file, n.Line, n.Col) }

func place(file string, line, col int) string {
	return file + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(col)
}

// Get returns the value of a map's key, nil when there is none or n is no map. It looks at one
// key after the other: use it on maps of a few keys.
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
	NoAnchors bool // anchors, aliases and merge keys are faults; else they are expanded
	PlainKeys bool // 1 and "1" are two keys of one map; else the second is a duplicate
}

// Parse reads one document. Faults (syntax, duplicate keys, a second document,
// keys that are null, lists or maps, unknown tags, cyclic or exploding aliases) come as a
// diag.List of kind Usage with places in file; unless the syntax is broken or
// the bounds are passed, the node is there too, with what could be read. An empty document is a Null node.
// What an alias names is shared, not copied: callers must not change nodes.
func Parse(file string, data []byte, opt Options) (*Node, error) {
	p := &parser{file: file, data: data, opt: opt, made: map[*yaml.Node]built{}, at: cursor{line: 1, col: 1}}
	if err := CheckSize(file, data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decode(dec, &doc)
	if err == io.EOF {
		return &Node{Kind: Null, Line: 1, Col: 1}, nil
	}
	if err != nil {
		return nil, diag.List{p.syntax(err)}
	}
	// A document node has exactly one child.
	root := p.convert(doc.Content[0], 0).node
	if p.full {
		return nil, p.faults
	}
	// Asking for a second document also finds errors of syntax behind the first.
	switch err := decode(dec, &second); {
	case err == nil:
		p.fault(&second, "a second document starts here; only one is allowed")
	case err != io.EOF:
		p.faults = append(p.faults, p.syntax(err))
	}
	return root, p.faults.OrNil()
}

// CheckSize refuses more bytes than MaxSize.
func CheckSize(file string, data []byte) error {
	if len(data) > MaxSize {
		return diag.List{diag.New(diag.Usage, "too large: %d bytes, more than %d", len(data), MaxSize).At(file)}
	}
	return nil
}

// decode keeps the third-party parser's panics on bad input inside this door.
func decode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(into)
}

// parser turns the library's nodes of one document into ours. made has the nodes with an
// anchor, once they are complete: an alias to one that is not stands inside its own anchor.
type parser struct {
	file   string
	data   []byte
	opt    Options
	faults diag.List
	weight int  // of all that was built, aliases expanded
	full   bool // the bounds were passed: the rest is left out
	made   map[*yaml.Node]built
	at     cursor
}

// built is a node with what it would cost to write it out. weight and height are known when an
// alias names it again, without another walk over it.
type built struct {
	node           *Node
	weight, height int
}

// fault notes a fault at a node, and returns it for a hint.
func (p *parser) fault(y *yaml.Node, format string, args ...any) *diag.Error {
	e := diag.New(diag.Usage, format, args...).At(place(p.file, max(y.Line, 1), max(y.Column, 1)))
	p.faults = append(p.faults, e)
	return e
}

var (
	lineNo        = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// parserError matches the errors whose line yaml.v3 counts from 0 (parser.fail in its decode.go).
	parserError = regexp.MustCompile(`^did not find expected (<|node content|'-' indicator|key|',' or)`)
)

// syntax finds out where the YAML parser's error is. The library's errors are texts, and some
// of them count lines from 0 or name no line.
func (p *parser) syntax(err error) *diag.Error {
	text, line, col := err.Error(), 0, 1
	if m := lineNo.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if parserError.MatchString(text) {
		line++
	}
	if m := unknownAnchor.FindStringSubmatch(text); m != nil {
		before, _, _ := bytes.Cut(p.data, []byte("*"+m[1]))
		line, col = bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n')
	}
	line = max(line, 1)
	if strings.HasPrefix(text, "did not find expected key") || strings.HasPrefix(text, "did not find expected '-'") {
		line = met(p.data, line, text)
	}
	return diag.New(diag.Usage, "not valid YAML: %s", text).At(place(p.file, line, col)).Hinted("%s", slip(text, lineOf(p.data, line)))
}

// A "billion laughs" document stops at these bounds. Weight counts bytes of text
// and nodeWeight for each node, as if aliases were written out.
const (
	maxWeight  = 128 << 20
	nodeWeight = 32
)

// account adds b's weight to the whole and says whether it still fits.
func (p *parser) account(y *yaml.Node, weight, depth int) bool {
	p.weight += weight
	if !p.full && (p.weight > maxWeight || depth > MaxDepth) {
		p.full = true
		p.fault(y, "too many values, or values nested too deeply")
	}
	return !p.full
}

// convert turns a node and all below it into ours. After the bounds are passed it returns
// empty nodes, and Parse returns none of them.
func (p *parser) convert(y *yaml.Node, depth int) built {
	b := built{node: &Node{Line: y.Line, Col: y.Column}, weight: nodeWeight + len(y.Value)}
	if y.Kind == yaml.AliasNode {
		return p.alias(y, depth)
	}
	if !p.account(y, b.weight, depth) {
		return b
	}
	if y.Anchor != "" && p.opt.NoAnchors {
		p.fault(y, "anchor &%s is not allowed here", y.Anchor)
	}
	switch y.Kind {
	case yaml.SequenceNode:
		b.node.Kind = List
		p.checkTag(y, "!!seq")
		b.node.Items = make([]*Node, 0, len(y.Content))
		for _, c := range y.Content {
			b.node.Items = append(b.node.Items, b.add(p.convert(c, depth+1)))
		}
	case yaml.MappingNode:
		b.node.Kind = Map
		p.checkTag(y, "!!map")
		p.mapping(&b, y, depth)
	default:
		p.scalar(b.node, y)
	}
	if y.Anchor != "" {
		p.made[y] = b
	}
	return b
}

// add counts c as a part of b and returns its node.
func (b *built) add(c built) *Node {
	b.weight += c.weight
	b.height = max(b.height, c.height+1)
	return c.node
}

// alias returns what an alias names, with the alias's own place, at no cost but a node. It
// still weighs as much as a copy: whoever walks the nodes later visits all of it again.
func (p *parser) alias(y *yaml.Node, depth int) built {
	bad := built{node: &Node{Kind: String, Line: y.Line, Col: y.Column, Value: "*" + y.Value}, weight: nodeWeight}
	if p.opt.NoAnchors {
		p.fault(y, "alias *%s is not allowed here", y.Value)
		return bad
	}
	b, closed := p.made[y.Alias]
	if !closed && !p.full {
		p.fault(y, "alias *%s contains itself", y.Value)
	}
	if !closed || !p.account(y, b.weight, depth+b.height) {
		return bad
	}
	// A copy of the node alone, for the alias's own place; what is below is shared.
	n := *b.node
	n.Line, n.Col = y.Line, y.Column
	b.node = &n
	return b
}

// mapping reads the pairs of a map. Merged pairs come after all of the map's own, which win
// over them wherever the merge key stands.
func (p *parser) mapping(b *built, y *yaml.Node, depth int) {
	seen := make(map[string]bool, len(y.Content)/2)
	var merges []built
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		// An alias may be a key, so it is converted like any value.
		key := p.convert(k, depth+1)
		if p.full {
			return
		}
		name := p.name(key.node)
		switch kind := key.node.Kind; {
		case kind == Null, kind == List, kind == Map:
			p.fault(k, "a key must be a string, not %s", kind)
		case seen[name]:
			p.fault(k, "duplicate key %q", key.node.Value)
		case k.Tag == "!!merge":
			seen[name] = true
			merges = append(merges, p.merge(k, v, depth)...)
		default:
			seen[name] = true
			b.add(key)
			b.node.Pairs = append(b.node.Pairs, Pair{Key: key.node.Value, At: key.node, Value: b.add(p.convert(v, depth+1))})
		}
	}
	// After all own pairs, so that seen has every key that wins.
	for _, m := range merges {
		b.weight += m.weight
		b.height = max(b.height, m.height)
		for _, pair := range m.node.Pairs {
			if name := p.name(pair.At); !seen[name] {
				seen[name] = true
				b.node.Pairs = append(b.node.Pairs, pair)
			}
		}
	}
}

// name returns what tells a key from the others of its map. With PlainKeys 1 and "1" are two
// keys; pipe.yaml knows only the text.
func (p *parser) name(key *Node) string {
	if p.opt.PlainKeys && key.Kind < List {
		return key.Canonical()
	}
	return key.Value
}

// merge returns the maps that a merge key names, the strongest first
// (https://yaml.org/type/merge.html).
func (p *parser) merge(k, v *yaml.Node, depth int) []built {
	if p.opt.NoAnchors {
		p.fault(k, "a merge key (<<) is not allowed here")
		return nil
	}
	sources := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		sources = v.Content
	}
	var maps []built
	for _, s := range sources {
		m := p.convert(s, depth)
		if m.node.Kind == Map {
			maps = append(maps, m)
		} else if !p.full {
			p.fault(s, "a merge key (<<) needs a map or a list of maps, not %s", m.node.Kind)
		}
	}
	return maps
}

// checkTag refuses a tag on a list or map other than the one that it has anyway.
func (p *parser) checkTag(y *yaml.Node, want string) {
	if tag := y.ShortTag(); tag != want {
		p.fault(y, "tag %s is not supported", tag)
	}
}
