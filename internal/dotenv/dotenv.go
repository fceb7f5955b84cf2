// Package dotenv reads files of environment variables, strictly.
//
// There is no standard for these files, and the tools that read them differ in silence: over what #
// begins, what becomes of an unset $NAME, which of two lines counts. Parse takes what they agree on and
// refuses the rest, each fault with its place (adr/0038):
//
//	# a comment
//	NAME=value          # up to the end of the line, or a blank and a #; blanks around it do not count
//	export NAME=value   # the same
//	NAME='value'        # as it stands, over several lines if need be
//	NAME="value"        # likewise, with \n \r \t \\ \" \$
//	URL=http://$HOST:${PORT}/   # not in single quotes; \$ is a plain $
//
// No error shows a part of a value, nor a line that cannot be read: it may be one of a private key.
package dotenv

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/diag"
)

// Var is a variable of a file.
type Var struct {
	Name  string
	Value string
	Place string // file:line:col of its name
}

// maxFaults is how many faults of a file are told: in one of another form each line is one.
const maxFaults = 20

// Parse reads a file; file is its name in places. What a $NAME stands for says env, the environment, or
// else a line above, or else earlier, the variables of the files before this one: as what a command gets
// is found. The error is a diag.List of kind Usage.
func Parse(file string, data []byte, env func(name string) (string, bool), earlier []Var) ([]Var, error) {
	text := strings.ReplaceAll(string(bytes.TrimPrefix(data, []byte("\ufeff"))), "\r\n", "\n")
	r := &reader{file: file, text: text, env: env, earlier: earlier, at: map[string]int{}}
	switch nul := strings.IndexByte(text, 0); {
	case nul >= 0:
		_ = r.fault(nul, "the file contains NUL").Hinted("save it as UTF-8")
	case !utf8.ValidString(text):
		_ = r.fault(0, "the file is not UTF-8").Hinted("save it as UTF-8")
	default:
		for r.pos < len(text) && len(r.faults) < maxFaults {
			r.line()
		}
	}
	return r.vars, r.faults.OrNil()
}

// reader goes through one file.
type reader struct {
	file    string
	text    string
	pos     int
	env     func(string) (string, bool)
	earlier []Var
	vars    []Var
	at      map[string]int // index in vars of each name
	faults  diag.List
}

// place returns the place of an offset of the text.
func (r *reader) place(at int) string {
	before := r.text[:at]
	return fmt.Sprintf("%s:%d:%d", r.file, strings.Count(before, "\n")+1, at-strings.LastIndexByte(before, '\n'))
}

// fault notes a fault at an offset of the text, and returns it for a hint.
func (r *reader) fault(at int, format string, args ...any) *diag.Error {
	e := diag.New(diag.Usage, format, args...).At(r.place(at))
	r.faults = append(r.faults, e)
	return e
}

// blanks passes over spaces and tabs.
func (r *reader) blanks() {
	for r.pos < len(r.text) && isBlank(r.text[r.pos]) {
		r.pos++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// rest passes over the rest of the line, and returns it.
func (r *reader) rest() string {
	line, _, _ := strings.Cut(r.text[r.pos:], "\n")
	r.pos = min(r.pos+len(line)+1, len(r.text))
	return line
}

// line reads a line, or as many as its value has.
func (r *reader) line() {
	r.blanks()
	begin := r.pos
	line, _, _ := strings.Cut(r.text[r.pos:], "\n")
	if line == "" || line[0] == '#' {
		r.rest()
		return
	}
	name, _, set := strings.Cut(line, "=")
	value := begin + len(name) + 1
	if after, exported := strings.CutPrefix(name, "export"); exported && after != "" && isBlank(after[0]) {
		name = strings.TrimLeft(after, " \t")
		begin = value - 1 - len(name)
	}
	name = strings.TrimRight(name, " \t")
	if !set {
		_ = r.fault(begin, "must be NAME=VALUE").Hinted("a value of several lines needs quotes")
		r.rest()
		return
	}
	if !IsName(name) {
		_ = r.fault(begin, "not a valid variable name before the =").Hinted("use letters, digits and _, not starting with a digit")
		r.rest()
		return
	}
	r.pos = value
	text, ok := r.value(name)
	if i, dup := r.at[name]; dup {
		_ = r.fault(begin, "%s is already set (%s)", name, r.vars[i].Place).Hinted("remove one of the two lines")
		return
	}
	if !ok {
		text = "" // known by its name: a $NAME further down is no second fault
	}
	r.at[name] = len(r.vars)
	r.vars = append(r.vars, Var{name, text, r.place(begin)})
}

// IsName reports whether a shell can use the name.
func IsName(name string) bool {
	for i := range len(name) {
		if !inName(name[i], i > 0) {
			return false
		}
	}
	return name != ""
}

func inName(c byte, digit bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit && '0' <= c && c <= '9'
}

// value reads what stands behind the =, to the end of the line.
func (r *reader) value(name string) (value string, ok bool) {
	r.blanks()
	if r.pos == len(r.text) {
		return "", true
	}
	switch quote := r.text[r.pos]; quote {
	case '\'', '"':
		return r.quoted(name, quote)
	case '`':
		_ = r.fault(r.pos, "%s: a value cannot begin with a backquote", name).Hinted("use single quotes")
		r.rest()
		return "", false
	}
	begin := r.pos
	line := r.rest()
	for i := range len(line) {
		// A # inside a word is a part of it: colors and URLs have one.
		if line[i] == '#' && isBlank(r.text[begin+i-1]) {
			line = line[:i]
			break
		}
	}
	line = strings.TrimRight(line, " \t")
	for i := range len(line) {
		if line[i] < ' ' && line[i] != '\t' {
			_ = r.fault(begin+i, "%s: the value contains a control character", name).Hinted("put the value in quotes")
			return "", false
		}
	}
	return r.expanded(name, begin, line, false)
}

// quoted reads a value in quotes.
func (r *reader) quoted(name string, quote byte) (value string, ok bool) {
	open := r.pos
	end := open + 1
	for end < len(r.text) && r.text[end] != quote {
		if quote == '"' && r.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.text) {
		_ = r.fault(open, "%s: the quote is not closed", name).Hinted("add %c at the end of the value", quote)
		r.pos = len(r.text)
		return "", false
	}
	value, ok = r.text[open+1:end], true
	if quote == '"' {
		value, ok = r.expanded(name, open+1, value, true)
	}
	r.pos = end + 1
	after := r.pos
	if behind := strings.TrimLeft(r.rest(), " \t"); behind != "" && behind[0] != '#' {
		_ = r.fault(after, "%s: there is text after the closing quote", name).Hinted("put the whole value into one pair of quotes")
		return "", false
	}
	return value, ok
}

// escapes are what stands behind a backslash in double quotes.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\', '"': '"', '$': '$'}

// expanded puts values in place of $NAME and ${NAME} in a value that begins at an offset, and takes
// backslashes away.
func (r *reader) expanded(name string, begin int, text string, quoted bool) (value string, ok bool) {
	var b strings.Builder
	ok = true
	for i := 0; i < len(text); i++ {
		var next byte
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch c := text[i]; {
		case c == '\\' && quoted && escapes[next] == 0:
			_ = r.fault(begin+i, `%s: unknown escape; in double quotes there are \n \r \t \\ \" and \$`, name).Hinted(`write \\ for a backslash, or use single quotes`)
			ok, i = false, i+1
		case c == '\\' && (quoted || next == '$'):
			b.WriteByte(escapes[next])
			i++
		case c == '$' && (next == '{' || next == '(' || next == '$' || inName(next, false)):
			is, length, found := r.variable(name, begin+i, text[i:])
			b.WriteString(is)
			ok, i = ok && found, i+length-1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ok
}

// variable reads a $NAME or ${NAME} at the beginning of text, which stands at an offset.
func (r *reader) variable(of string, at int, text string) (value string, length int, ok bool) {
	name, braces := text[1:], text[1] == '{'
	if braces {
		name, _, _ = strings.Cut(text[2:], "}")
	} else {
		n := 0
		for n < len(name) && inName(name[n], n > 0) {
			n++
		}
		name = name[:n]
	}
	const plain = `for a plain $ put the value in single quotes, or write \$`
	length = 1 + len(name)
	if braces {
		length = min(len(name)+len("${}"), len(text))
	}
	if !IsName(name) || braces && text[length-1] != '}' {
		_ = r.fault(at, "%s: only $NAME and ${NAME} are supported after a $", of).Hinted(plain)
		return "", max(length, 2), false
	}
	if value, ok = r.env(name); ok {
		return value, length, true
	}
	if i, above := r.at[name]; above {
		return r.vars[i].Value, length, true
	}
	if i := slices.IndexFunc(r.earlier, func(v Var) bool { return v.Name == name }); i >= 0 {
		return r.earlier[i].Value, length, true
	}
	_ = r.fault(at, "%s: the variable after the $ is set neither above nor in the environment", of).Hinted(plain)
	return "", length, false
}
