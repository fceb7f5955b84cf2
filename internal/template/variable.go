package template

import "strings"

// variable follows a $ where the shell expands it.
func (l *lexer) variable(text string) int {
	f := l.top()
	plain := f.where != words && (f.where != braced || f.plain)
	switch {
	case len(text) == 1:
		l.dollar = true
		return 1
	case strings.HasPrefix(text, "$(("):
		l.push(frame{where: counted, close: "))"})
		return 3
	case strings.HasPrefix(text, "$("):
		l.nest()
		return 2
	case strings.HasPrefix(text, "$["):
		l.push(frame{where: counted, close: "]"})
		return 2
	case strings.HasPrefix(text, "${"):
		return l.parameter(text, plain)
	}
	if strings.IndexByte("@*#?!-$0123456789", text[1]) >= 0 {
		return 2
	}
	n := 1
	for n < len(text) && isVariable(text[n], n == 1) {
		n++
	}
	if n == len(text) {
		l.name = text[1:]
	}
	return n
}

// nest begins the words of $( ).
func (l *lexer) nest() {
	outer := l.word
	outer.text = nil
	l.push(frame{where: words, sub: true, outer: outer})
	l.word, l.begun, l.quoted, l.first = word{}, false, false, true
}

// isVariable reports whether a character can stand in a shell variable's name.
func isVariable(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

// parameter follows ${ and the name behind it.
func (l *lexer) parameter(text string, plain bool) int {
	n := 2
	for n < len(text) && (isVariable(text[n], false) || n == 2 && strings.IndexByte("@*#?!-$", text[n]) >= 0) {
		n++
	}
	op := strings.TrimPrefix(text[n:], ":")
	l.push(frame{where: braced, plain: plain, value: op != "" && strings.IndexByte("-=?+", op[0]) >= 0})
	return n
}
