package params

import (
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// parseTOML reads TOML into the nodes that YAML and JSON give, without places.
// It stands on the library's syntax tree, because a decoder gives numbers and
// dates, and not how they were written. The tree is what stands in the file, so
// the rules on keys and tables are here.
func parseTOML(file string, data []byte) (*yamldoc.Node, error) {
	d := &tomlDoc{root: newTable(0, header)}
	d.current = d.root
	d.parser.Reset(data)
	err := d.read()
	if err == nil {
		return d.root.node, nil
	}
	var at *unstable.ParserError
	if !errors.As(err, &at) {
		return nil, err
	}
	place := file
	// The library's error knows the bytes, not their place.
	if len(at.Highlight) > 0 {
		start := d.parser.Shape(d.parser.Range(at.Highlight)).Start
		place += ":" + strconv.Itoa(start.Line) + ":" + strconv.Itoa(start.Column)
	}
	return nil, diag.List{diag.New(diag.Usage, "not valid TOML: %s", at.Message).At(place)}
}

// tomlDoc is a document while it is being read; current is the table of the last header.
type tomlDoc struct {
	parser        unstable.Parser
	root, current *table
}

// table is a TOML table while it is being read.
type table struct {
	node  *yamldoc.Node
	list  *yamldoc.Node // of an element of an array of tables: the array
	below map[string]*table
	made  origin
	depth int
}

// origin is how a table came to be, which decides what may still add to it.
type origin uint8

const (
	implied origin = iota // by the header of a table below it: may get its own
	header                // by [a]
	element               // by [[a]]; the table is the last of its array
	dotted                // by a dotted key: more dotted keys may add to it
	value                 // no table, or one written in one piece: nothing may be added
)

// newTable returns an empty table that lies depth levels below the root.
func newTable(depth int, made origin) *table {
	return &table{node: &yamldoc.Node{Kind: yamldoc.Map}, below: map[string]*table{}, made: made, depth: depth}
}

// read adds the document's lines to the tables, one after the other. The parser yields one
// expression at a time and reuses its memory, so nothing of an expression is kept but copies.
func (d *tomlDoc) read() error {
	for d.parser.NextExpression() {
		x := d.parser.Expression()
		var err error
		if x.Kind == unstable.KeyValue {
			err = d.keyValue(d.current, x)
		} else {
			err = d.header(x)
		}
		if err != nil {
			return err
		}
	}
	return d.parser.Error()
}

// fault makes an error that points at a node's bytes, as the parser's own errors do.
func (d *tomlDoc) fault(at *unstable.Node, format string, args ...any) error {
	return unstable.NewParserError(d.parser.Raw(at.Raw), format, args...)
}

// header makes [a.b] or [[a.b]] the current table.
func (d *tomlDoc) header(x *unstable.Node) (err error) {
	t := d.root
	for keys := x.Key(); keys.Next(); {
		switch key := keys.Node(); {
		case !keys.IsLast():
			t, err = d.step(t, key, implied)
		case x.Kind == unstable.ArrayTable:
			t, err = d.element(t, key)
		default:
			t, err = d.step(t, key, header)
		}
		if err != nil {
			return err
		}
	}
	d.current = t
	return nil
}

// step returns the table at key below t for the way that how says, and makes it where there is
// none. TOML lets each table be defined once; which later additions are still allowed depends
// on how it came to be (see origin).
func (d *tomlDoc) step(t *table, key *unstable.Node, how origin) (*table, error) {
	sub := t.below[string(key.Data)]
	switch {
	case sub == nil:
		sub = newTable(t.depth+1, how)
		return sub, d.put(t, key, sub, sub.node)
	case sub.made == value,
		how == header && sub.made != implied,
		how == dotted && sub.made != dotted:
		return nil, d.fault(key, "duplicate key %q", key.Data)
	case how == header:
		sub.made = header
	}
	return sub, nil
}

// element adds a table to the array of tables at key below t.
func (d *tomlDoc) element(t *table, key *unstable.Node) (*table, error) {
	last := t.below[string(key.Data)]
	sub := newTable(t.depth+2, element)
	switch {
	case last == nil:
		sub.list = &yamldoc.Node{Kind: yamldoc.List}
		if err := d.put(t, key, sub, sub.list); err != nil {
			return nil, err
		}
	case last.made != element:
		return nil, d.fault(key, "duplicate key %q", key.Data)
	default:
		sub.list = last.list
		t.below[string(key.Data)] = sub
	}
	sub.list.Items = append(sub.list.Items, sub.node)
	return sub, nil
}

// put adds a key to t, unless it lies deeper than values of any format may.
func (d *tomlDoc) put(t *table, key *unstable.Node, sub *table, n *yamldoc.Node) error {
	if sub.depth > yamldoc.MaxDepth {
		return d.fault(key, "values nested too deeply")
	}
	name := string(key.Data)
	t.below[name] = sub
	t.node.Pairs = append(t.node.Pairs, yamldoc.Pair{Key: name, At: &yamldoc.Node{Kind: yamldoc.String, Value: name}, Value: n})
	return nil
}

// keyValue adds key = value to t.
func (d *tomlDoc) keyValue(t *table, x *unstable.Node) (err error) {
	for keys := x.Key(); keys.Next(); {
		key := keys.Node()
		if !keys.IsLast() {
			if t, err = d.step(t, key, dotted); err != nil {
				return err
			}
			continue
		}
		// A key may be taken by a table as well as by a value.
		if t.below[string(key.Data)] != nil {
			return d.fault(key, "duplicate key %q", key.Data)
		}
		n, err := d.value(x.Value(), key, t.depth+1)
		if err != nil {
			return err
		}
		return d.put(t, key, &table{made: value, depth: t.depth + 1}, n)
	}
	return nil
}

// value reads what stands at key.
func (d *tomlDoc) value(x, key *unstable.Node, depth int) (*yamldoc.Node, error) {
	if depth > yamldoc.MaxDepth {
		return nil, d.fault(key, "values nested too deeply")
	}
	n := &yamldoc.Node{Kind: yamldoc.Source, Value: string(x.Data)}
	switch x.Kind {
	case unstable.Bool:
		n.Kind = yamldoc.Bool
	case unstable.String:
		n.Kind = yamldoc.String
	case unstable.Integer, unstable.Float:
		if jsonNumber.MatchString(n.Value) {
			n.Kind = yamldoc.Number
		}
	case unstable.Array:
		return d.array(x, key, depth)
	case unstable.InlineTable:
		return d.inline(x, depth)
	default:
		if !isDate(n.Value) {
			return nil, d.fault(x, "%s is not a date or time", n.Value)
		}
	}
	return n, nil
}

// array reads a list; its items lie one level deeper.
func (d *tomlDoc) array(x, key *unstable.Node, depth int) (*yamldoc.Node, error) {
	n := &yamldoc.Node{Kind: yamldoc.List}
	for items := x.Children(); items.Next(); {
		it, err := d.value(items.Node(), key, depth+1)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, it)
	}
	return n, nil
}

// inline reads a table written as {a = 1}. Its caller enters it as a value, so that no header
// or dotted key can add to it later.
func (d *tomlDoc) inline(x *unstable.Node, depth int) (*yamldoc.Node, error) {
	t := newTable(depth, value)
	for pairs := x.Children(); pairs.Next(); {
		if err := d.keyValue(t, pairs.Node()); err != nil {
			return nil, err
		}
	}
	return t.node, nil
}

// jsonNumber is RFC 8259's number.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// dateTime is TOML's date, time, or both, with the date as its first group; the
// library finds only where it ends.
var dateTime = regexp.MustCompile(`^(?:(\d{4}-\d\d-\d\d)(?:[Tt ]` + clock + `(?:[Zz]|[-+](?:[01]\d|2[0-3]):[0-5]\d)?)?|` + clock + `)$`)

const clock = `(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d+)?)?`

// A day that the calendar does not have, such as February 30, is none.
func isDate(s string) bool {
	m := dateTime.FindStringSubmatch(s)
	if m == nil || m[1] == "" {
		return m != nil
	}
	_, err := time.Parse(time.DateOnly, m[1])
	return err == nil
}
