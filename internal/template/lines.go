package template

import "strings"

// glue takes out a backslash at the end of a line where no shell sees it: before the token that begins
// the text, and inside of it. What is one token may be written in two lines.
func (l *lexer) glue(text string) string {
	switch l.top().where {
	case words, double, braced, counted, heredoc:
	default:
		return text
	}
	for strings.HasPrefix(text, "\\\n") {
		text, l.glued = text[2:], true
	}
	if text == "" || strings.IndexByte("$<();", text[0]) < 0 {
		return text
	}
	for i := 1; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "\\\n"):
			text, l.glued = text[:i]+text[i+2:], true
		case i < len("$((") && text[i] != '\\', text[0] == '$' && isVariable(text[i], false):
			i++
		default:
			return text
		}
	}
	return text
}

// follow looks at the lines of a text as they stand. Some shells end a here-document at its word wherever
// that stands alone in a line, others not in a $( ) that is open in it.
func (l *lexer) follow(text string) {
	for {
		line, rest, ended := strings.Cut(text, "\n")
		l.row = append(l.row, line...)
		if !ended {
			return
		}
		text = rest
		for i := range len(l.stack) - 1 {
			f, row := &l.stack[i], strings.TrimSuffix(string(l.row), "\\")
			if f.isDoc() && !l.stack[i+1].isDoc() && (f.ends(row) || f.breaks(row)) {
				l.lose()
				break
			}
		}
		l.row = l.row[:0]
	}
}

// isDoc reports whether a frame is a here-document.
func (f *frame) isDoc() bool { return f.where == heredoc || f.where == heredocIs }
