package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/template"
)

// token is a word of a condition.
type token struct {
	kind  kindOfToken
	at    int    // byte offset
	text  string // as written; of a name without what follows it
	value any    // of a literal
	ref   template.Ref
	parts []part
}

type kindOfToken uint8

const (
	tokEnd     kindOfToken = iota
	tokSign                // an operator, a parenthesis, a comma
	tokWord                // and, or, not, in
	tokConst               // a number, true, false, null, a string without ${}
	tokText                // a string with ${}
	tokName                // a name without ${}
	tokVar                 // ${name}
	tokChanged             // changed(...)
)

// lexer cuts a text into tokens.
type lexer struct {
	text string
	at   int
}

// fault makes an error at a byte offset.
func (l *lexer) fault(at int, format string, args ...any) *Error {
	return &Error{Col: l.col(at), What: fmt.Sprintf(format, args...)}
}

// hinted is fault with what to write instead.
func (l *lexer) hinted(at int, hint, format string, args ...any) *Error {
	e := l.fault(at, format, args...)
	e.Hint = hint
	return e
}

func (l *lexer) col(at int) int { return utf8.RuneCountInString(l.text[:at]) + 1 }

func (l *lexer) rest() string { return l.text[l.at:] }

func (l *lexer) skipSpace() { l.at = len(l.text) - len(strings.TrimLeft(l.rest(), " \t\r\n")) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isFirst reports whether a name may begin with c; isName, whether c may stand in it.
func isFirst(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isName(c byte) bool  { return isFirst(c) || isDigit(c) || c == '-' }

// signs are the operators, the longer ones first.
var signs = []string{"==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","}

// foreign are operators of other languages, and what they are called here.
var foreign = [][2]string{{"&&", "and"}, {"||", "or"}, {"=", "=="}, {"!", "not"}}

// next returns the next token.
func (l *lexer) next() (token, error) {
	l.skipSpace()
	t := token{at: l.at}
	if l.rest() == "" {
		return t, nil
	}
	for _, s := range signs {
		if strings.HasPrefix(l.rest(), s) {
			l.at += len(s)
			t.kind, t.text = tokSign, s
			return t, nil
		}
	}
	for _, f := range foreign {
		if strings.HasPrefix(l.rest(), f[0]) {
			return t, l.hinted(l.at, "write "+f[1], "unknown operator %s", f[0])
		}
	}
	switch c := l.text[l.at]; {
	case c == '\'' || c == '"':
		return t, l.quoted(&t)
	case c == '$':
		return t, l.variable(&t)
	case isDigit(c) || c == '-' || c == '+' || c == '.':
		return t, l.number(&t)
	case isFirst(c):
		return t, l.name(&t)
	}
	r, _ := utf8.DecodeRuneInString(l.rest())
	return t, l.fault(l.at, "unexpected character %q", r)
}

// number reads a number, in the form that JSON has for it.
func (l *lexer) number(t *token) error {
	end := l.at
	for end < len(l.text) && (isName(l.text[end]) || l.text[end] == '.' || l.text[end] == '+') {
		end++
	}
	t.text = l.text[l.at:end]
	n, ok := parseNumber(t.text)
	if !ok {
		return l.hinted(l.at, "write it as in JSON: 12, -0.5, 1e3; put a string in quotes", "%s is not a number", t.text)
	}
	l.at = end
	t.kind, t.value = tokConst, n
	return nil
}

// name reads a name or a word.
func (l *lexer) name(t *token) error {
	end := l.at
	for end < len(l.text) && isName(l.text[end]) {
		end++
	}
	t.text = l.text[l.at:end]
	switch t.text {
	case "and", "or", "not", "in":
		t.kind = tokWord
	case "true", "false":
		t.kind, t.value = tokConst, t.text == "true"
	case "null":
		t.kind = tokConst
	case "changed":
		l.at = end
		return l.changed(t)
	default:
		t.kind = tokName
		return l.ref(t)
	}
	l.at = end
	return nil
}

// ref reads a name and the way to a part of its value: a.b[0]['c'].
func (l *lexer) ref(t *token) error {
	if l.rest() == "" || !isFirst(l.text[l.at]) {
		return l.hinted(l.at, "a name begins with a letter or _", "a name is missing")
	}
	for {
		end := l.at
		for end < len(l.text) && isName(l.text[end]) {
			end++
		}
		if end == l.at {
			return l.fault(l.at, "a name is missing after the dot")
		}
		t.ref = append(t.ref, l.text[l.at:end])
		l.at = end
		for strings.HasPrefix(l.rest(), "[") {
			if err := l.index(t); err != nil {
				return err
			}
		}
		if !strings.HasPrefix(l.rest(), ".") {
			return nil
		}
		l.at++
	}
}

// index reads a part in brackets: a number, a name, or any text in quotes.
func (l *lexer) index(t *token) error {
	open := l.at
	l.at++
	var key string
	if c := l.peek(); c == '\'' || c == '"' {
		var q token
		if err := l.quoted(&q); err != nil {
			return err
		}
		if q.kind == tokText {
			return l.fault(open, "a key in brackets cannot have ${} in it")
		}
		key = q.value.(string)
	} else {
		end := l.at
		for end < len(l.text) && isName(l.text[end]) {
			end++
		}
		key, l.at = l.text[l.at:end], end
	}
	if l.peek() != ']' || key == "" {
		return l.hinted(open, "write [0] or ['key']", "a key in brackets is not complete")
	}
	l.at++
	t.ref = append(t.ref, key)
	return nil
}

// peek returns the byte that comes next, 0 at the end.
func (l *lexer) peek() byte {
	if l.at < len(l.text) {
		return l.text[l.at]
	}
	return 0
}

// variable reads ${name}.
func (l *lexer) variable(t *token) error {
	open := l.at
	if !strings.HasPrefix(l.rest(), "${") {
		return l.hinted(open, "write NAME for a variable of vars, env.NAME for one of the environment", "unexpected character '$'")
	}
	l.at += len("${")
	l.skipSpace()
	if err := l.ref(t); err != nil {
		return err
	}
	l.skipSpace()
	if l.peek() == '|' {
		return l.hinted(l.at, "leave it out: nothing is quoted in a condition", "${NAME | raw} is for commands")
	}
	if l.peek() != '}' {
		return l.fault(open, "${ is not closed by }")
	}
	l.at++
	t.kind = tokVar
	return nil
}

// quoted reads a string in single or double quotes. The quote itself is written twice; there are no other
// escapes but \${ for a ${ that is meant.
func (l *lexer) quoted(t *token) error {
	open, quote := l.at, l.text[l.at]
	l.at++
	var b strings.Builder
	for {
		switch c := l.peek(); {
		case l.rest() == "":
			return l.fault(open, "a string is not closed by %c", quote)
		case c == quote && strings.HasPrefix(l.text[l.at+1:], string(quote)):
			b.WriteByte(quote)
			l.at += 2
		case c == quote:
			l.at++
			t.finish(b.String(), tokText)
			return nil
		default:
			if err := l.piece(t, &b); err != nil {
				return err
			}
		}
	}
}

// piece reads one character of a string, or a ${name} in it.
func (l *lexer) piece(t *token, b *strings.Builder) error {
	switch {
	case strings.HasPrefix(l.rest(), `\${`):
		b.WriteString("${")
		l.at += len(`\${`)
	case strings.HasPrefix(l.rest(), "${"):
		p := part{text: b.String(), col: l.col(l.at)}
		b.Reset()
		var v token
		if err := l.variable(&v); err != nil {
			return err
		}
		p.ref = v.ref
		t.parts = append(t.parts, p)
	default:
		b.WriteByte(l.text[l.at])
		l.at++
	}
	return nil
}

// finish ends a string, which is a constant unless it has a ${} in it.
func (t *token) finish(last string, kind kindOfToken) {
	t.kind = kind
	if len(t.parts) == 0 && kind == tokText {
		t.kind, t.value = tokConst, last
		return
	}
	if last != "" || len(t.parts) == 0 {
		t.parts = append(t.parts, part{text: last})
	}
}

// changed reads what stands in changed(...): the name of a stage or a group, in quotes or without.
func (l *lexer) changed(t *token) error {
	open := t.at
	l.skipSpace()
	if l.peek() != '(' {
		return l.hinted(open, "write changed(STAGE), or ${changed} for a variable", "changed needs a stage")
	}
	l.at++
	l.skipSpace()
	if c := l.peek(); c == '\'' || c == '"' {
		var q token
		if err := l.quoted(&q); err != nil {
			return err
		}
		if t.parts = q.parts; q.kind == tokConst {
			t.parts = []part{{text: q.value.(string)}}
		}
		t.kind = tokChanged
	} else {
		var b strings.Builder
		for c := l.peek(); isName(c) || c != 0 && strings.IndexByte(`.@/=,+$\`, c) >= 0; c = l.peek() {
			if err := l.piece(t, &b); err != nil {
				return err
			}
		}
		t.finish(b.String(), tokChanged)
	}
	if l.skipSpace(); l.peek() != ')' {
		return l.hinted(open, "write changed(STAGE); put another name in quotes", "changed( is not closed by ) after the name of a stage")
	}
	l.at++
	if len(t.parts) == 1 && t.parts[0].ref == nil && t.parts[0].text == "" {
		return l.hinted(open, "write changed(STAGE)", "changed needs a stage")
	}
	return nil
}
