package yamldoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/diag"
)

// ParseJSON reads one JSON value under the same rules. YAML is no true superset: its parser
// refuses JSON's surrogate pairs and long keys. The decoder's tokens are read one by one,
// because only they tell of duplicate keys and how numbers were written.
func ParseJSON(file string, data []byte) (*Node, error) {
	if err := CheckSize(file, data); err != nil {
		return nil, err
	}
	p := &jsonParser{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	p.dec.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, terr := p.dec.Token(); terr != io.EOF {
			err = errors.New("more than one value")
		}
	}
	// An empty file is an error, unlike in YAML.
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		at := p.at()
		p.faults = append(p.faults, diag.New(diag.Usage, "not valid JSON: %v", err).At(at.Place(file)))
		return nil, p.faults
	}
	return root, p.faults.OrNil()
}

// jsonParser reads one document. Tokens come in their order, so lines are counted once over
// the whole.
type jsonParser struct {
	file        string
	data        []byte
	dec         *json.Decoder
	faults      diag.List
	line        int // of the byte at seen
	start, seen int // where that line starts, and how far lines are counted
}

// at returns a node at the next token.
func (p *jsonParser) at() *Node {
	off := int(p.dec.InputOffset())
	for off < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[off]) >= 0 {
		off++
	}
	for ; p.seen < off; p.seen++ {
		if p.data[p.seen] == '\n' {
			p.line, p.start = p.line+1, p.seen+1
		}
	}
	return &Node{Line: p.line, Col: off - p.start + 1}
}

// value reads one value. Faults that do not stop the reading are collected; an error does.
func (p *jsonParser) value(depth int) (*Node, error) {
	if depth > MaxDepth {
		return nil, errors.New("values nested too deeply")
	}
	n, start := p.at(), p.dec.InputOffset()
	tok, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case nil:
		n.Kind = Null
	case bool:
		n.Kind, n.Value = Bool, strconv.FormatBool(t)
	case string:
		n.Kind, n.Value = String, t
		if half := loneSurrogate(string(p.data[start:p.dec.InputOffset()])); half != "" {
			p.faults = append(p.faults, diag.New(diag.Usage, "%s is an unpaired surrogate", half).At(n.Place(p.file)))
		}
	case json.Number:
		n.Kind, n.Value = Number, t.String()
	case json.Delim:
		if t == '[' {
			return n, p.list(n, depth)
		}
		return n, p.object(n, depth)
	}
	return n, nil
}

// loneSurrogate returns the first escape in a JSON text that is half of a character, "" when
// there is none. encoding/json reads them all as U+FFFD, and two different texts would be one
// value. raw is valid JSON, so a backslash is never the last byte and four digits follow a u.
func loneSurrogate(raw string) string {
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			return ""
		}
		raw = raw[i:]
		if raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		r := escaped(raw)
		switch {
		case !utf16.IsSurrogate(r):
			raw = raw[6:]
		case utf16.DecodeRune(r, escaped(raw[6:])) != utf8.RuneError:
			raw = raw[12:]
		default:
			return raw[:6]
		}
	}
}

// escaped is the code unit of the \uXXXX that raw begins with, 0 when there is none.
func escaped(raw string) rune {
	if !strings.HasPrefix(raw, `\u`) {
		return 0
	}
	u, _ := strconv.ParseUint(raw[2:6], 16, 16)
	return rune(u)
}

// list reads a list's items, up to and with its closing bracket.
func (p *jsonParser) list(n *Node, depth int) error {
	n.Kind, n.Items = List, []*Node{}
	for p.dec.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := p.dec.Token()
	return err
}

// object reads an object's members, up to and with its closing brace. Of two with one name the
// second is a fault: readers disagree which of them counts.
func (p *jsonParser) object(n *Node, depth int) error {
	n.Kind = Map
	seen := map[string]bool{}
	for p.dec.More() {
		key, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if seen[key.Value] {
			p.faults = append(p.faults, diag.New(diag.Usage, "duplicate key %q", key.Value).At(key.Place(p.file)))
			continue
		}
		seen[key.Value] = true
		n.Pairs = append(n.Pairs, Pair{Key: key.Value, At: key, Value: v})
	}
	_, err := p.dec.Token()
	return err
}
