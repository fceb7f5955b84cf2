package expr

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func itoa(n int) string { return strconv.Itoa(n) }

// FuzzParse holds that nothing panics, that what is printed means the same, and that an error lies inside the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"branch == 'main' and not changed(build)", "n in [1, -2e3, null]", `"a''b" == 'c""d'`, "maps['odd key'] == 1 or maps.a.b[0] < 3", "'${n}\\${x}' != \"\\\\${\"",
		"changed(train@${s}/x) or ((a))", "${branch}.x == 1", "a < b < c", "not in", "env. == 1", "changed('", "[", "1.e5 == .5", "'\xff' == ''", "a['\x00'] == null", "x['${'] == 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			if col := err.(*Error).Col; col < 1 || col > len(text)+1 {
				t.Errorf("%q: an error in column %d", text, col)
			}
			return
		}
		form := e.String()
		again, err := Parse(form)
		if len(form) > maxText {
			return // quotes and parentheses have made it longer
		}
		if err != nil || again.String() != form {
			t.Fatalf("%q is %q, which is %v, %v", text, form, again, err)
		}
		faults := e.Bind(names(t))
		if more := again.Bind(names(t)); len(more) != len(faults) {
			t.Fatalf("%q: %v and %v", form, faults, more)
		}
		if len(faults) > 0 {
			return
		}
		got, err := e.Eval(world())
		other, oerr := again.Eval(world())
		if got != other || (err == nil) != (oerr == nil) {
			t.Errorf("%q is %v, %v, and %q is %v, %v", text, got, err, form, other, oerr)
		}
	})
}

// sample is a random condition: its text, and what it is by another way of thinking. There is no answer where kinds
// differ.
type sample struct {
	text  string
	is    any // bool, *big.Rat, string, nil
	wrong bool
}

var literals = []sample{
	{text: "n", is: big.NewRat(3, 1)},
	{text: "f", is: big.NewRat(1, 10)},
	{text: "s", is: "main"},
	{text: "branch", is: "main"},
	{text: "env.NONE"},
	{text: "null"},
	{text: "env.CI", is: "true"},
	{text: "'ma${n}'", is: "ma3"},
	{text: "${maps.a.b[0]}", is: big.NewRat(10, 1)},
}

func value(t *rapid.T) sample {
	switch rapid.IntRange(0, 3).Draw(t, "sort") {
	case 0:
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?(e[-+]?[0-9])?`).Draw(t, "number")
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatal(text)
		}
		return sample{text: text, is: r}
	case 1:
		text := rapid.StringMatching(`[a-c'"$ {]{0,3}`).Draw(t, "string")
		return sample{text: "'" + escaped(text) + "'", is: text}
	}
	return rapid.SampledFrom(literals).Draw(t, "literal")
}

// condition returns a random condition; of and and or the first operand that decides is the last that counts.
func condition(t *rapid.T, depth int) sample {
	if depth == 0 {
		b := rapid.Bool().Draw(t, "bool")
		if rapid.Bool().Draw(t, "changed") {
			return sample{text: map[bool]string{true: "changed(build)", false: "changed(x)"}[b], is: b}
		}
		return sample{text: fmt.Sprint(b), is: b}
	}
	switch o := rapid.SampledFrom([]string{"not", "and", "or", "==", "!=", "<", "<=", ">", ">=", "in", "not in"}).Draw(t, "operator"); o {
	case "not":
		a := condition(t, depth-1)
		return sample{"not (" + a.text + ")", a.is != true, a.wrong}
	case "and", "or":
		a, b := condition(t, depth-1), condition(t, depth-1)
		s := sample{fmt.Sprintf("(%s) %s (%s)", a.text, o, b.text), a.is, a.wrong}
		if !a.wrong && a.is == (o == "and") {
			s.is, s.wrong = b.is, b.wrong
		}
		return s
	case "in", "not in":
		a, items := value(t), rapid.SliceOfN(rapid.Custom(value), 0, 3).Draw(t, "items")
		s := sample{is: o == "not in"}
		var texts []string
		for _, it := range items {
			texts = append(texts, it.text)
			c, ok := compareNaively(a.is, it.is)
			s.wrong = s.wrong || !ok
			if ok && c == 0 {
				s.is = o == "in"
			}
		}
		s.text = a.text + " " + o + " [" + strings.Join(texts, ", ") + "]"
		return s
	default:
		a, b := value(t), value(t)
		c, ok := compareNaively(a.is, b.is)
		answer := map[string]bool{"==": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[o]
		null := (a.is == nil || b.is == nil) && o != "==" && o != "!="
		return sample{a.text + " " + o + " " + b.text, answer, !ok || null}
	}
}

// compareNaively compares two values; false where they are of different kinds.
func compareNaively(a, b any) (int, bool) {
	if a == nil || b == nil {
		if a == b {
			return 0, true
		}
		return 1, true
	}
	switch a := a.(type) {
	case *big.Rat:
		b, ok := b.(*big.Rat)
		if !ok {
			return 0, false
		}
		return a.Cmp(b), true
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	}
	return 0, false
}

func TestEvaluationAgreesWithANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := condition(t, rapid.IntRange(0, 3).Draw(t, "depth"))
		e, err := Parse(s.text)
		if err != nil {
			t.Fatalf("%s: %v", s.text, err)
		}
		if faults := e.Bind(names(t)); len(faults) > 0 {
			return // it may be in an operand that is not evaluated
		}
		got, err := e.Eval(world())
		if (err != nil) != s.wrong || err == nil && got != s.is {
			t.Fatalf("%s is %v, %v; want %v, an error: %v", s.text, got, err, s.is, s.wrong)
		}
	})
}

// Bind refuses a condition only if some value of what only a run knows could make its operands meet in vain: a
// condition that has an answer for each is let through.
func TestBindRefusesNothingThatHasAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := value(t), value(t)
		o := rapid.SampledFrom([]string{"==", "!=", "<"}).Draw(t, "operator")
		_, ok := compareNaively(a.is, b.is)
		null := a.is == nil || b.is == nil
		if !ok || null && (o == "<" || a.text != "null" && b.text != "null") {
			return
		}
		text := a.text + " " + o + " " + b.text
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if faults := e.Bind(names(t)); len(faults) > 0 {
			t.Fatalf("%s: %v", text, faults[0])
		}
	})
}

func TestNumbersAreOrderedAsRationals(t *testing.T) {
	number := rapid.StringMatching(`[-+]?(0|[1-9][0-9]{0,3})(\.[0-9]{0,4})?(e[-+]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, okx := parseNumber(a)
		y, oky := parseNumber(b)
		rx, _ := new(big.Rat).SetString(a)
		ry, _ := new(big.Rat).SetString(b)
		if !okx || !oky || x.compare(y) != rx.Cmp(ry) {
			t.Fatalf("%s and %s: %d, want %d", a, b, x.compare(y), rx.Cmp(ry))
		}
	})
}

func TestWhatReadersOfYAMLDisagreeAboutIsNoNumber(t *testing.T) {
	for _, text := range []string{"", "-", ".", "+.", "010", "0x1f", "0o17", "1_000", ".inf", "nan", "1e", "1e1.5", "1:30", "2020-01-01", "1e1234567890", "--1", " 1", "1 "} {
		if n, ok := parseNumber(text); ok {
			t.Errorf("%q is %v", text, n)
		}
	}
}
