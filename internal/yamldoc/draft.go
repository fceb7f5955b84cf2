package yamldoc

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"
)

// Draft is a value of a YAML document that is changed and written again. It keeps comments, the
// order of keys and how texts are quoted; blank lines and other spacing are the writer's own.
type Draft struct{ n *yaml.Node }

// ReadDraft reads a document that Parse takes. Anchors are written out and merge keys are merged, so that a
// change in one place is a change in that place alone.
func ReadDraft(file string, data []byte) (*Draft, error) {
	if _, err := Parse(file, data, Options{}); err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := decode(yaml.NewDecoder(bytes.NewReader(data)), &doc); err != nil || len(doc.Content) == 0 {
		return &Draft{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}, nil //nolint:nilerr // Parse has taken it, so it is empty
	}
	root := written(doc.Content[0])
	root.HeadComment = joined(doc.HeadComment, root.HeadComment)
	root.FootComment = joined(root.FootComment, doc.FootComment)
	return &Draft{root}, nil
}

// joined puts two comments one below the other.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "\n\n" + b
}

// written returns a copy of a node in which aliases and merge keys are written out. Parse has
// bounded what that takes.
func written(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		named := *n.Alias
		named.HeadComment, named.LineComment, named.FootComment = n.HeadComment, n.LineComment, n.FootComment
		return written(&named)
	}
	c := *n
	c.Anchor, c.Content = "", nil
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.ShortTag() == "!!null" {
		c.Value = "null" // in a list on one line, the encoder writes nothing as an empty text
	}
	var merged []*yaml.Node
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Tag == "!!merge" {
			merged = append(merged, sources(n.Content[i+1])...)
			continue
		}
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Tag == "!!merge" {
			continue
		}
		c.Content = append(c.Content, written(child))
	}
	d := Draft{&c}
	for _, m := range merged {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if d.Get(m.Content[i].Value) == nil {
				c.Content = append(c.Content, m.Content[i], m.Content[i+1])
			}
		}
	}
	return &c
}

// sources returns the maps that a merge key names, written out, the strongest first.
func sources(n *yaml.Node) (maps []*yaml.Node) {
	w := written(n)
	if w.Kind == yaml.SequenceNode {
		return w.Content
	}
	return []*yaml.Node{w}
}

// NewText returns a text.
func NewText(s string) *Draft {
	n := &yaml.Node{}
	n.SetString(s)
	return &Draft{n}
}

// NewFlag returns true or false.
func NewFlag(v bool) *Draft {
	text := "false"
	if v {
		text = "true"
	}
	return &Draft{&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: text}}
}

// NewMap returns a map without keys; short ones are written on one line.
func NewMap(short bool) *Draft {
	return &Draft{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: style(short)}}
}

// NewList returns a list of items; short ones are written on one line.
func NewList(short bool, items ...*Draft) *Draft {
	d := &Draft{&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: style(short)}}
	for _, it := range items {
		d.Append(it)
	}
	return d
}

func style(short bool) yaml.Style {
	if short {
		return yaml.FlowStyle
	}
	return 0
}

// IsShort reports whether it is written on one line.
func (d *Draft) IsShort() bool { return d != nil && d.n.Style&yaml.FlowStyle != 0 }

// IsMap reports whether it is a map.
func (d *Draft) IsMap() bool { return d != nil && d.n.Kind == yaml.MappingNode }

// IsList reports whether it is a list.
func (d *Draft) IsList() bool { return d != nil && d.n.Kind == yaml.SequenceNode }

// IsText reports whether it is a scalar but for null.
func (d *Draft) IsText() bool {
	return d != nil && d.n.Kind == yaml.ScalarNode && d.n.ShortTag() != "!!null"
}

// Value returns a scalar's text.
func (d *Draft) Value() string { return d.n.Value }

// SetValue gives a scalar another text, and leaves its comments.
func (d *Draft) SetValue(text string) { d.n.Value = text }

// Line returns where it stood in the document, from 1; 0 of what is new.
func (d *Draft) Line() int { return d.n.Line }

// Keys returns a map's keys in their order.
func (d *Draft) Keys() (keys []string) {
	if d.IsMap() {
		for i := 0; i+1 < len(d.n.Content); i += 2 {
			keys = append(keys, d.n.Content[i].Value)
		}
	}
	return keys
}

// Items returns a list's items.
func (d *Draft) Items() (items []*Draft) {
	if d.IsList() {
		for _, c := range d.n.Content {
			items = append(items, &Draft{c})
		}
	}
	return items
}

func (d *Draft) index(key string) int {
	return 2 * slices.Index(d.Keys(), key)
}

// Get returns the value of a key, nil when there is none.
func (d *Draft) Get(key string) *Draft {
	if i := d.index(key); i >= 0 {
		return &Draft{d.n.Content[i+1]}
	}
	return nil
}

// Set gives a key a value; one that is new comes last.
func (d *Draft) Set(key string, v *Draft) {
	if i := d.index(key); i >= 0 {
		d.n.Content[i+1] = v.n
		return
	}
	d.n.Content = append(d.n.Content, NewText(key).n, v.n)
}

// Rename gives a key another name, in the same place.
func (d *Draft) Rename(key, to string) {
	if i := d.index(key); i >= 0 {
		d.n.Content[i].Value = to
	}
}

// Delete takes a key out, and its comments with it.
func (d *Draft) Delete(key string) {
	if i := d.index(key); i >= 0 {
		d.n.Content = slices.Delete(d.n.Content, i, i+2)
	}
}

// Append adds an item to a list.
func (d *Draft) Append(item *Draft) { d.n.Content = append(d.n.Content, item.n) }

// Head returns the comment above, with its number signs, and takes it away.
func (d *Draft) Head() string {
	text := d.n.HeadComment
	d.n.HeadComment = ""
	return text
}

// FirstHead is Head of a map's first key: a comment right above it is that of the document.
func (d *Draft) FirstHead() string {
	if len(d.Keys()) == 0 {
		return ""
	}
	return (&Draft{d.n.Content[0]}).Head()
}

// Pair writes one pair of a map as a document of its own, with its comments.
func (d *Draft) Pair(key string) string {
	i := d.index(key)
	if i < 0 {
		return ""
	}
	return (&Draft{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: d.n.Content[i : i+2]}}).Encode()
}

// Encode writes the value as a document.
func (d *Draft) Encode() string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(d.n); err != nil { // a buffer takes all, and the nodes are whole
		panic(err)
	}
	_ = e.Close()
	return b.String()
}

// NewPlain returns a scalar that is written as it is, without quotes: a number, a date, null.
func NewPlain(source string) *Draft {
	return &Draft{&yaml.Node{Kind: yaml.ScalarNode, Value: source}}
}

// SetKey adds a pair whose key is a scalar of any sort.
func (d *Draft) SetKey(key, v *Draft) { d.n.Content = append(d.n.Content, key.n, v.n) }
