// Package canon writes JSON in one form only, and takes no other.
//
// The form is RFC 8785 (JSON Canonicalization Scheme): members sorted by the UTF-16 units of
// their names, no space, no escapes but those that JSON demands. It departs from it twice:
// whole numbers keep all their digits beyond 2^53, and a document ends with one newline, so
// that it is a text file. Records and environment states are written this way. Equal content
// is then equal bytes, so that a record can be compared and found again by its bytes, and
// every reader reads the same: a document in any other form, which two parsers might read
// differently, is refused (ADR 0014). Members that a reader does not know are allowed, so that
// a form can grow; Schema tells whether it grew too far.
package canon

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// ErrForm is what every error about a document's form wraps.
var ErrForm = errors.New("not canonical JSON")

// Marshal returns the canonical document of v. v goes through encoding/json first, so its tags
// and MarshalText methods count.
func Marshal(v any) ([]byte, error) {
	// Through a tree and back, because encoding/json writes struct fields in the order of
	// their declaration.
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	tree, err := decode(plain)
	if err != nil {
		return nil, err
	}
	b, err := appendValue(nil, tree)
	return append(b, '\n'), err
}

// Unmarshal reads a document into v. It takes only the bytes that Marshal would write of the
// same content, and each member of v by its exact name, never null: encoding/json alone would
// also take "Outs" for "outs", the last of two, and null for nothing. It fails with ErrForm.
// What encoding/json took, written again, must be part of the document: that finds a member
// that was taken by another name, since at its exact name the document has none.
func Unmarshal(b []byte, v any) error {
	tree, err := decode(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if err := exact(tree, reflect.TypeOf(v), ""); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	// What v took, compared with the document: see within.
	known, err := json.Marshal(v)
	if err != nil {
		return err
	}
	taken, err := decode(known)
	if err != nil {
		return err
	}
	if err := within(taken, tree, ""); err != nil {
		return err
	}
	again, err := appendValue(nil, tree)
	if err != nil {
		return err
	}
	if !bytes.Equal(append(again, '\n'), b) {
		return fmt.Errorf("%w: members are unsorted or repeated, or there is white space or a value in another notation", ErrForm)
	}
	return nil
}

// within reports the first value of a that b does not have at the same place. a is what was
// decoded, b the document, which may have more members.
func within(a, b any, at string) error {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok {
			return fmt.Errorf("%w: %s is not an object", ErrForm, place(at))
		}
		for name, v := range a {
			w, ok := m[name]
			if !ok {
				return fmt.Errorf("%w: %s lacks the member %q", ErrForm, place(at), name)
			}
			if err := within(v, w, below(at, name)); err != nil {
				return err
			}
		}
		return nil
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			return fmt.Errorf("%w: %s is not the expected list", ErrForm, place(at))
		}
		for i := range a {
			if err := within(a[i], l[i], below(at, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	if a != b {
		return fmt.Errorf("%w: the value of %s cannot be read", ErrForm, place(at))
	}
	return nil
}

func below(at, name string) string { return strings.TrimPrefix(at+"/"+name, "/") }

// place names for people what lies at a path of members.
func place(at string) string { return cmp.Or(at, "the document") }

// decode reads one JSON value. Numbers stay text: a float64 would lose digits beyond 2^53.
func decode(b []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	// The digits as written, not a float64 that rounds them.
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	// Decode stops after the first value; what follows would go unread.
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return tree, nil
}

// appendValue adds the canonical text of a value that decode returned.
func appendValue(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return AppendString(b, v), nil
	case json.Number:
		return appendNumber(b, v.String())
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.SortedFunc(maps.Keys(v), less) {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(append(AppendString(b, name), ':'), v[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("%w: %T", ErrForm, v)
}

// less sorts as RFC 8785, 3.2.3 does: by UTF-16 units, in which a character beyond U+FFFF
// comes before U+E000. To compare the bytes of UTF-8 would put such a character behind it.
func less(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// integer is a whole number in the one notation that is canonical: no sign but minus, no
// leading zero, no -0.
var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// appendNumber writes whole numbers as they are, others as ECMAScript does, which is how
// encoding/json writes a float64. The zero with a sign or a fraction is plain 0.
func appendNumber(b []byte, s string) ([]byte, error) {
	if integer.MatchString(s) {
		return append(b, s...), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: number %s", ErrForm, s)
	}
	if f == 0 {
		return append(b, '0'), nil
	}
	text, err := json.Marshal(f)
	return append(b, text...), err
}

// AppendString adds s as a JSON string with no escapes but those that JSON demands. Bytes from
// 0x80 on are copied as they are: the caller's text is UTF-8.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		default:
			if short := strings.IndexByte("\b\t\n\f\r", c); short >= 0 {
				b = append(b, '\\', "btnfr"[short])
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(b, '"')
}

// Members returns those of a JSON object as they stand, by their exact names; nil
// when b is none. It is for what must be known before a document may be refused:
// what a newer pipe wrote is never malformed.
func Members(b []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	return all
}

// Text returns the text that a value is, "" when it is none.
func Text(value json.RawMessage) (s string) {
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// Schema returns the number of a document's form, 0 where there is none, and
// math.MaxInt for one beyond it.
func Schema(b []byte) int {
	text := string(Members(b)["schema"])
	if !integer.MatchString(text) || text[0] == '-' {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return math.MaxInt
	}
	return n
}
