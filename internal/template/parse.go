package template

import (
	"strings"
	"unicode"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Has reports whether a text has something that Parse looks at: most have not, and cost nothing.
func Has(text string) bool { return strings.Contains(text, "${") }

// piece is a part of a text: as it is, or a ref.
type piece struct {
	text  string        // without escapes; of a ref, as it is written
	ref   Ref           // nil: a plain text
	raw   bool          // ${x | raw}
	maybe bool          // ${a-b}: a variable of that name, or the shell's ${a-b}
	value *yamldoc.Node // what the ref stands for, once it is known
}

// parse takes a text apart. \${ is the text ${. In a shell's script, what is not a name in ${} is the
// shell's own, as ${1} or ${x:-y}, and stays as it is; elsewhere it is an error.
func parse(text string, shell bool) (pieces []piece, err error) {
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			pieces = append(pieces, piece{text: plain.String()})
			plain.Reset()
		}
	}
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			plain.WriteString(text)
			flush()
			return pieces, nil
		}
		if i > 0 && text[i-1] == '\\' {
			plain.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		plain.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexByte(text, '}')
		p, fault := reference(text[:end+1])
		switch {
		case fault == nil:
			flush()
			pieces = append(pieces, p)
			text = text[end+1:]
		case p.ref == nil && shell:
			plain.WriteString("${")
			text = text[2:]
		default:
			return nil, fault
		}
	}
}

// reference reads ${...}; "" is one that does not end. A ref beside the error says that no shell
// could mean it.
func reference(text string) (piece, *diag.Error) {
	const form = "write ${NAME}, ${NAME.KEY} or ${NAME[0]}; \\${ stands for the text ${"
	if text == "" {
		return piece{}, diag.New(diag.Usage, "${ without }").Hinted(form)
	}
	name, filter, filtered := strings.Cut(text[2:len(text)-1], "|")
	ref := refOf(name)
	switch {
	case ref == nil:
		return piece{}, diag.New(diag.Usage, "%s is not a valid variable name", text).Hinted(form)
	case filtered && strings.TrimSpace(filter) != "raw":
		return piece{ref: ref}, diag.New(diag.Usage, "unknown filter in %s", text).Hinted("the only one is raw: ${%s | raw}", ref)
	}
	return piece{text: text, ref: ref, raw: filtered, maybe: len(ref) == 1 && strings.Contains(ref[0], "-")}, nil
}

// refOf reads a name and its parts, nil when it is none. A part is any text that could not be the shell's.
func refOf(text string) (ref Ref) {
	text = strings.TrimSpace(text)
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	if !IsName(text[:end]) {
		return nil
	}
	ref, text = append(ref, text[:end]), text[end:]
	for text != "" {
		var part string
		var ok bool
		switch text[0] {
		case '.':
			end := strings.IndexAny(text[1:], ".[")
			if end < 0 {
				end = len(text) - 1
			}
			part, text = text[1:end+1], text[end+1:]
		case '[':
			if part, text, ok = strings.Cut(text[1:], "]"); !ok {
				return nil
			}
		default:
			return nil
		}
		part = strings.TrimSpace(part)
		if part == "" || part == "@" || part == "*" || strings.ContainsAny(part, "[]{}$\"'`\\\n") {
			return nil
		}
		ref = append(ref, part)
	}
	return ref
}

// IsName reports whether a text can name a variable: letters, digits, _ and -, not first a digit or -.
func IsName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || r != '-' && !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
