package template

import (
	"slices"
	"strings"
)

// announce follows << and the word that ends the here-document.
func (l *lexer) announce(text string) int {
	n := 2
	tabs := strings.HasPrefix(text[n:], "-")
	if tabs {
		n++
	}
	n += len(text[n:]) - len(strings.TrimLeft(text[n:], " \t"))
	end, where := "", heredoc
	from := n
	for n < len(text) && strings.IndexByte(meta, text[n]) < 0 {
		switch c := text[n]; c {
		case '\'', '"':
			where = heredocIs
			to := strings.IndexByte(text[n+1:], c)
			if to < 0 || c == '"' && strings.ContainsAny(text[n+1:n+1+to], "\\$`") {
				l.lose()
				return len(text)
			}
			end += text[n+1 : n+1+to]
			n += to + 2
			continue
		case '\\':
			where = heredocIs
			if n++; n == len(text) || text[n] == '\n' {
				l.lose()
				return n
			}
		case '$', '`':
			l.lose()
			return len(text)
		}
		end += text[n : n+1]
		n++
	}
	if n == from || n == len(text) || strings.Contains(end, "\n") { // the word is a template, goes on with one, or no line is it
		l.lose()
		return len(text)
	}
	if len(l.docs) == 0 {
		l.depth = len(l.stack)
	}
	l.docs = append(l.docs, frame{where: where, close: end, tabs: tabs})
	return n
}

// newline begins the here-documents that were announced.
func (l *lexer) newline() {
	if len(l.docs) == 0 {
		return
	}
	if l.depth != len(l.stack) { // inside $( ) in the line that announces one
		l.lose()
		return
	}
	inner := len(l.stack) > 1
	for _, d := range slices.Backward(l.docs) {
		d.inner = inner
		l.push(d)
	}
	l.docs, l.line = nil, nil
}

// inDoc follows a line of a here-document, and ends it where the line is its word.
func (l *lexer) inDoc(text string) int {
	if text[0] != '\n' {
		l.line = append(l.line, text[0])
		return 1
	}
	switch ends := l.top().ends(string(l.line)); {
	case ends && l.glued, l.top().breaks(string(l.row)): // shells disagree
		l.lose()
	case ends:
		l.pop()
	}
	l.line, l.glued = l.line[:0], false
	return 1
}

// breaks reports whether a line ends the here-document for bash alone: in $( ), where it begins with the
// word and has a ) behind it.
func (f *frame) breaks(line string) bool {
	if f.tabs {
		line = strings.TrimLeft(line, "\t")
	}
	rest, begins := strings.CutPrefix(line, f.close)
	return f.inner && begins && strings.Contains(rest, ")")
}

// ends reports whether a line ends the here-document.
func (f *frame) ends(line string) bool {
	if f.tabs {
		line = strings.TrimLeft(line, "\t")
	}
	return line == f.close
}
