package template

import (
	"slices"
	"strings"
)

// where is a sort of place in a shell's script.
type where uint8

const (
	words     where = iota // of commands: at the top, and inside ( ) and $( )
	double                 // inside "..."
	single                 // inside '...'
	dollared               // inside $'...'
	braced                 // inside ${...} that is the shell's
	counted                // inside $((...)), ((...)) and $[...]
	backward               // inside `...`
	heredoc                // in a here-document that the shell expands
	heredocIs              // in one that it takes as it is: <<'EOF'
	comment
	lost // shells disagree about what stands here
)

// frame is a place that has a place around it.
type frame struct {
	where
	sub    bool   // of words: $( ), which is a part of a word
	outer  word   // of words: that word, without its text
	array  bool   // of words: =( ), in which there are no commands
	cases  int    // of words: case without esac
	in     int    // of words: so many words until that of the last case must be in
	match  bool   // of words: a pattern of a case, which ) ends
	odd    bool   // of words: the word case where no command seems to begin
	parens int    // of counted: open ones
	close  string // of counted: what ends it; of a here-document: the word
	tabs   bool   // <<-
	inner  bool   // of a here-document: it stands in ( ) or $( )
	plain  bool   // of braced: inside "..." or a here-document, where quotes are no quotes
	value  bool   // of braced: ${x:-...}, whose text is a text and no pattern
}

// lexer follows a script and knows the place where it is. It knows POSIX's shell language and
// bash's, and is lost, rather than wrong, where they differ in what a quote means.
type lexer struct {
	bash  bool
	stack []frame
	docs  []frame // here-documents that begin at the next line
	depth int     // of the stack where the first of them was announced

	word   word // the current one, as far as it is plain text
	begun  bool // there is a current word
	quoted bool // a part of it is not plain text
	first  bool // the next word is a command's first

	dollar bool   // the text has just ended with $
	name   string // the text has just ended with $ and this name
	line   []byte // of a here-document: what stands in its line so far
	glued  bool   // of a here-document: its line goes on from one with a backslash at its end
	row    []byte // the line as it stands, so far
	looped bool   // the word for stands before, which may have (( behind it
}

func newLexer(bash bool) *lexer {
	return &lexer{bash: bash, stack: []frame{{where: words}}, first: true}
}

func (l *lexer) top() *frame { return &l.stack[len(l.stack)-1] }

func (l *lexer) push(f frame) { l.stack = append(l.stack, f) }

func (l *lexer) pop() { l.stack = l.stack[:len(l.stack)-1] }

// lose is for a text that shells read in different ways: from here on no quoting is safe.
func (l *lexer) lose() { l.stack = []frame{{where: lost}} }

// value says that a value stands here, which is quoted for the place.
func (l *lexer) value() {
	l.dollar, l.name = false, ""
	l.row = append(l.row, 0) // no value has one, so the line is not yet the last of a here-document
	switch l.top().where {
	case words:
		l.begun, l.quoted = true, true
	case heredoc, heredocIs:
		l.line = append(l.line, 0)
	}
}

// feed follows a text.
func (l *lexer) feed(text string) {
	l.dollar, l.name = false, ""
	for text = l.glue(text); text != ""; text = l.glue(text) {
		n := 1
		switch l.top().where {
		case words:
			n = l.inWords(text)
		case double, heredoc:
			n = l.inText(text)
		case braced:
			n = l.inBraces(text)
		case counted:
			n = l.inNumbers(text)
		case single:
			if text[0] == '\'' {
				l.pop()
			}
		case dollared:
			n = l.inDollared(text)
		case backward:
			n = l.inBackward(text)
		case comment:
			if text[0] == '\n' {
				l.pop()
				n = 0 // it ends the command, too
			}
		case heredocIs:
			n = l.inDoc(text)
		case lost:
			l.tail(text)
			return
		}
		l.follow(text[:n])
		text = text[n:]
	}
}

// tail looks how a text ends that is not followed.
func (l *lexer) tail(text string) {
	name := len(text)
	for name > 0 && isVariable(text[name-1], false) {
		name--
	}
	if name > 0 && text[name-1] == '$' {
		l.dollar, l.name = name == len(text), text[name:]
	}
}

// escaped is how long a backslash and what it stands before are.
func escaped(text string) int { return min(2, len(text)) }

// meta are the characters that end a word.
const meta = " \t\n;&|<>()"

// inWords follows a text that is words of commands.
func (l *lexer) inWords(text string) int {
	c := text[0]
	switch {
	case c == '\n':
		l.endWord()
		l.first = true
		l.newline()
		return 1
	case c == '#' && !l.begun:
		l.push(frame{where: comment})
		return 1
	case l.top().array && strings.IndexByte("(;&|<>", c) >= 0: // bash goes on behind the error
		l.lose()
		return 1
	case c == '(':
		return l.open(text)
	case c == ')':
		l.close()
		return 1
	case strings.HasPrefix(text, ";;"), strings.HasPrefix(text, ";&"):
		l.endWord()
		l.first, l.top().match = true, l.top().cases > 0
		return 2
	case strings.HasPrefix(text, "<<") && !strings.HasPrefix(text, "<<<"):
		l.endWord()
		return l.announce(text)
	case strings.IndexByte(meta, c) >= 0:
		l.endWord()
		if strings.HasPrefix(text, "<<<") {
			return 3
		}
		l.first = l.first || c == ';' || c == '&' || c == '|'
		return 1
	}
	l.begun = true
	if n := l.special(text); n > 0 {
		l.quoted = true
		return n
	}
	l.word.add(c, l.top().array)
	return 1
}

// special follows what means something in words besides being a part of one, 0 when it is plain.
func (l *lexer) special(text string) int {
	switch text[0] {
	case '\\':
		return escaped(text)
	case '\'':
		l.push(frame{where: single})
		return 1
	case '"':
		l.push(frame{where: double})
		return 1
	case '`':
		l.push(frame{where: backward})
		return 1
	case '$':
		if strings.HasPrefix(text, "$'") {
			l.push(frame{where: dollared})
			return 2
		}
		return l.variable(text)
	}
	return 0
}

// open follows a ( among words.
func (l *lexer) open(text string) int {
	if l.top().match && !l.begun {
		return 1 // before a pattern it may stand or not
	}
	array := strings.HasSuffix(string(l.word.text), "=")
	if l.endWord(); l.top().where == lost {
		return 1
	}
	// A subshell in a subshell may look the same. A number is safe in both, and nothing else is tried.
	if (l.first || l.looped) && strings.HasPrefix(text, "((") {
		l.push(frame{where: counted, close: "))"})
		return 2
	}
	l.push(frame{where: words, array: array})
	l.first = !array
	return 1
}

// close follows a ) among words. Where it could end something else than it seems, the rest is lost.
func (l *lexer) close() {
	l.endWord()
	f := *l.top()
	l.first = true
	switch {
	case f.match:
		l.top().match = false
	case len(l.stack) == 1:
	case f.cases > 0 || f.odd:
		l.lose()
	default:
		l.pop()
		l.begun, l.quoted, l.word = f.sub, f.sub, f.outer
	}
}

// opens are the words behind which a command begins.
var opens = []string{"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time"}

// reserved are the words that mean something else than a command.
var reserved = []string{
	"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "select", "in", "case", "esac", "function", "time", "coproc", "{", "}", "!", "[[", "]]",
}

// endWord ends the current word.
func (l *lexer) endWord() {
	if !l.begun {
		return
	}
	if l.word.index { // for bash it goes on: a[1 + 2]=3
		l.lose()
		return
	}
	text := string(l.word.text)
	if l.quoted {
		text = ""
	}
	f := l.top()
	switch {
	case f.in > 0:
		if f.in--; f.in == 0 && text != "in" {
			l.lose()
			return
		}
		f.match = f.in == 0
	case text == "esac" && f.cases > 0 && (l.first || f.match):
		f.cases--
		f.match = false
	case text == "case" && l.first && !f.match:
		f.cases++
		f.in = 2
	case text == "case" && !f.match:
		f.odd = true
	}
	l.looped = l.first && text == "for"
	l.first = l.first && slices.Contains(opens, text) // elsewhere they are words as any other
	l.word, l.begun, l.quoted = word{}, false, false
}

// inText follows a text in which $, ` and \ mean something: of "..." and of here-documents.
func (l *lexer) inText(text string) int {
	f := l.top()
	switch c := text[0]; {
	case c == '"' && f.where == double:
		l.pop()
		return 1
	case c == '`':
		l.push(frame{where: backward})
		return 1
	case c == '$':
		if f.where == heredoc {
			l.line = append(l.line, '$')
		}
		return l.variable(text)
	case f.where == heredoc:
		if c == '\\' {
			n := escaped(text)
			l.line = append(l.line, text[:n]...)
			return n
		}
		return l.inDoc(text)
	case c == '\\':
		return escaped(text)
	}
	return 1
}

// inBraces follows a text in ${...}.
func (l *lexer) inBraces(text string) int {
	f := l.top()
	switch c := text[0]; {
	case c == '}':
		l.pop()
		return 1
	case c == '\'' || c == '"':
		if f.plain { // shells disagree what it means there
			l.lose()
			return 1
		}
		return l.special(text)
	case c == '$' && f.plain && strings.HasPrefix(text, "$'"):
		l.lose()
		return 1
	case c == '\\', c == '`', c == '$':
		return l.special(text)
	}
	return 1
}

// inNumbers follows a text in an arithmetic expression.
func (l *lexer) inNumbers(text string) int {
	f := l.top()
	switch c := text[0]; {
	case strings.HasPrefix(text, f.close) && f.parens == 0:
		n := len(f.close)
		l.pop()
		if l.top().where == words {
			l.begun, l.quoted = true, true
		}
		return n
	case c == '(' || c == '[' && f.close == "]":
		f.parens++
	case c == ')' && f.close == "))" || c == ']' && f.close == "]":
		f.parens--
	case c == '\'' || c == '"':
		l.lose()
	case c == '\\':
		return escaped(text)
	case c == '`':
		l.push(frame{where: backward})
	case c == '$':
		return l.variable(text)
	}
	return 1
}

// inDollared follows a text in $'...', which is bash's. For a plain shell it is a $ and '...'.
func (l *lexer) inDollared(text string) int {
	switch text[0] {
	case '\'':
		l.pop()
	case '\\':
		if !l.bash {
			l.lose()
			return 1
		}
		return escaped(text)
	}
	return 1
}

// inBackward follows a text in `...`. What is in it is not looked at: it is read twice.
func (l *lexer) inBackward(text string) int {
	switch text[0] {
	case '`':
		l.pop()
	case '\\':
		return escaped(text)
	case '$':
		l.tail(text)
	}
	return 1
}
