package expr

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// A value is nil, a bool, a number, a string, []any or a map[string]any.

// kind is a set of kinds of values: those that a part of a condition can have.
type kind uint8

const (
	isNull kind = 1 << iota
	isBool
	isNumber
	isString
	isList
	isMap
)

// String names the kinds for people.
func (k kind) String() string {
	var names []string
	for i, name := range [...]string{"null", "a boolean", "a number", "a string", "a list", "a map"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

func kindOf(v any) kind {
	switch v.(type) {
	case bool:
		return isBool
	case number:
		return isNumber
	case string:
		return isString
	case []any:
		return isList
	case map[string]any:
		return isMap
	}
	return isNull
}

// equatable reports whether == has an answer for two values of some of these kinds: they may be of one kind, or one
// of them is null. A number is no branch, though there may be no branch. What lists and maps have in them
// is asked for by in.
func equatable(a, b kind) bool {
	return a == isNull || b == isNull || a&b&(isBool|isNumber|isString) != 0
}

// orderable is equatable for <.
func orderable(a, b kind) bool { return a&b&(isNumber|isString) != 0 }

// holdable is equatable for in, but for the items of a list.
func holdable(item, in kind) bool {
	return in&isList != 0 || item&isString != 0 && in&(isString|isMap) != 0
}

// number is a decimal number of any size: 0.digits times ten to the power of exp. So numbers are compared as
// they are written, and no float rounds them.
type number struct {
	text     string // as it was written
	negative bool
	digits   string // without zeros at either end; "": zero
	exp      int
}

// decimal has the numbers of JSON, and those with a plus or without a digit before or behind the point, as YAML has
// them. What readers of YAML disagree about (010, 0x1f, 1_000) is none.
var decimal = regexp.MustCompile(`^([-+]?)(0|[1-9][0-9]*)?(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]{1,9}))?$`)

// parseNumber reads a number; false for anything else.
func parseNumber(text string) (n number, ok bool) {
	m := decimal.FindStringSubmatch(text)
	if m == nil || m[2] == "" && m[3] == "" {
		return n, false
	}
	exp, _ := strconv.Atoi(m[4]) // of 0 to 9 digits
	digits := m[2] + m[3]
	short := strings.TrimLeft(digits, "0")
	n = number{text: text, negative: m[1] == "-", digits: strings.TrimRight(short, "0"), exp: exp + len(m[2]) - (len(digits) - len(short))}
	return n, true
}

// compare orders two numbers exactly.
func (n number) compare(o number) int {
	if n.sign() != o.sign() {
		return cmp.Compare(n.sign(), o.sign())
	}
	// Digits begin with no zero, so the exponent decides, and then the texts do.
	return n.sign() * cmp.Or(cmp.Compare(n.exp, o.exp), strings.Compare(n.digits, o.digits))
}

func (n number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// valueOf returns a node of a document as a value. What is written without quotes and is no number, such as a date, is the
// string that stands there.
func valueOf(n *yamldoc.Node) any {
	switch n.Kind {
	case yamldoc.Null:
		return nil
	case yamldoc.Bool:
		return strings.EqualFold(n.Value, "true")
	case yamldoc.Number, yamldoc.Source:
		if v, ok := parseNumber(n.Value); ok {
			return v
		}
	case yamldoc.List:
		list := make([]any, 0, len(n.Items))
		for _, it := range n.Items {
			list = append(list, valueOf(it))
		}
		return list
	case yamldoc.Map:
		m := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			m[p.Key] = valueOf(p.Value)
		}
		return m
	}
	return n.Value
}

// equal compares two values that are equatable.
func equal(a, b any) bool {
	if x, ok := a.(number); ok {
		y, ok := b.(number)
		return ok && x.compare(y) == 0
	}
	switch a.(type) {
	case []any, map[string]any: // only null is equatable with them
		return false
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

// order compares two values that are orderable. Strings go by their bytes.
func order(a, b any) int {
	if x, ok := a.(number); ok {
		return x.compare(b.(number))
	}
	return strings.Compare(a.(string), b.(string))
}

// holds reports whether an item is in a list, a part of a string, or a key of a map; they are holdable. Bind has refused
// a list with an item that is not equatable: what only a run knows may be null, and null is equatable with all.
func holds(in, item any) bool {
	switch in := in.(type) {
	case []any:
		return slices.ContainsFunc(in, func(v any) bool { return equal(item, v) })
	case map[string]any:
		_, ok := in[item.(string)]
		return ok
	}
	return strings.Contains(in.(string), item.(string))
}
