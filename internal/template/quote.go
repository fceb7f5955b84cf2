package template

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// slot is the place of a value in a script.
type slot struct {
	frame
	begun  bool    // words: it is not the beginning of one
	word   word    // words: the plain text before it
	dollar bool    // $ stands directly before it
	name   string  // $ and this name stand directly before it
	next   byte    // what stands directly behind it; 0: nothing, or another value
	docs   []frame // here-documents that it is in, perhaps in a $( ) there: lines count before all else
}

// slot returns the place where the lexer is; rest is the text behind it.
func (l *lexer) slot(rest string) slot {
	s := slot{frame: *l.top(), begun: l.begun, word: l.word, dollar: l.dollar, name: l.name}
	if rest = l.glue(rest); rest != "" {
		s.next = rest[0]
	}
	for _, f := range l.stack {
		if f.isDoc() {
			s.docs = append(s.docs, f)
		}
	}
	return s
}

// quote returns the text that stands for a value at a place: the shell reads it as exactly the value,
// whatever it contains.
func (s *slot) quote(v string) (string, *diag.Error) {
	for _, d := range s.docs {
		if d.tabs && (strings.HasPrefix(v, "\t") || strings.Contains(v, "\n\t")) {
			return "", unsafe("in a here-document with <<-, which would lose its tab").Hinted("write << in place of <<-")
		}
	}
	joins := s.name != "" && (v == "" || isVariable(v[0], false)) // $name would become another one
	if s.word.index && !isSafe(v) {
		return "", unsafe("in an index, where a shell expands it again")
	}
	switch s.where {
	case single, comment, heredocIs, dollared:
	default:
		if s.dollar {
			return "", unsafe("directly behind $").Hinted(`write \$ for a dollar sign`)
		}
	}
	switch s.where {
	case words:
		if joins || !s.bare(v) {
			return quoted(v), nil
		}
		return v, nil
	case double:
		if v = escape(v, "\\$`\""); joins {
			v = `""` + v
		}
		return v, nil
	case single:
		return strings.ReplaceAll(v, "'", `'\''`), nil
	}
	if joins && s.where != comment && s.where != dollared && s.where != heredocIs {
		return "", unsafe("directly behind $%s", s.name).Hinted(`write \${%s}`, s.name)
	}
	return s.inside(v)
}

// inside is quote for the places in which only some values can be quoted.
func (s *slot) inside(v string) (string, *diag.Error) {
	switch s.where {
	case heredoc, heredocIs:
		if s.where == heredoc {
			v = escape(v, "\\$`")
		}
		return v, nil
	case comment:
		if strings.Contains(v, "\n") {
			return "", unsafe("in a comment, because it has a line break")
		}
		return v, nil
	case dollared:
		if strings.ContainsAny(v, `\'`) {
			return "", unsafe("in $'...'").Hinted(`write it in "..."`)
		}
		return v, nil
	case counted:
		if !isNumber(v) {
			return "", unsafe("in an arithmetic expression, because it is not a whole number")
		}
		return v, nil
	case braced:
		return s.inBraces(v)
	}
	if v == "" || !isSafe(v) {
		if s.where == backward {
			return "", unsafe("in `...`").Hinted("write $(...)")
		}
		return "", unsafe("here, where shells differ in what a quote means").Hinted("give it to a shell variable first: x=${...}")
	}
	return v, nil
}

// inBraces quotes a value in the shell's own ${...}.
func (s *slot) inBraces(v string) (string, *diag.Error) {
	switch {
	case isSafe(v) && (s.value || !strings.ContainsAny(v, "/%:@+,")):
		return v, nil
	case !s.value:
		return "", unsafe("in a pattern of ${...}").Hinted("give it to a shell variable first: x=${...}")
	case s.plain:
		return "", unsafe("in ${...} between quotes").Hinted("give it to a shell variable first: x=${...}")
	}
	return quoted(v), nil
}

// unsafe is the error for a place where a value cannot be quoted.
func unsafe(where string, args ...any) *diag.Error {
	return diag.New(diag.Usage, "the value cannot be quoted "+where, args...)
}

// bare reports whether a value can stand in a word as it is.
func (s *slot) bare(v string) bool {
	switch {
	case !isSafe(v), strings.Contains(v, ","):
		return false
	case s.next == '<' || s.next == '>' || s.next == '(': // 2> and name( are not two words
		return false
	case s.word.tilde:
		return false
	case s.word.brace && (strings.Contains(v, "..") || strings.HasPrefix(v, ".") || strings.HasSuffix(v, ".")): // {1..9}
		return false
	}
	return s.begun || !slices.Contains(reserved, v)
}

// isSafe reports whether no shell sees anything in a text but a part of a word.
func isSafe(v string) bool {
	for i := range len(v) {
		if c := v[i]; !isVariable(c, false) && strings.IndexByte("./:@%+,-", c) < 0 {
			return false
		}
	}
	return v != ""
}

// isNumber reports whether a text is a whole number.
func isNumber(v string) bool {
	digits := strings.TrimPrefix(v, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// quoted returns a value in single quotes.
func quoted(v string) string { return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'" }

// escape puts a backslash before some characters.
func escape(v, what string) string {
	if !strings.ContainsAny(v, what) {
		return v
	}
	var b strings.Builder
	for i := range len(v) {
		if strings.IndexByte(what, v[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// list returns the words that stand for a list or a map: a value for each item, --key value for each
// key.
func (s *slot) list(m *memory, ref Ref, n *yamldoc.Node) (string, *diag.Error) {
	if s.where != words || s.begun || s.dollar || s.next != 0 && strings.IndexByte(" \t\n;&|)", s.next) < 0 {
		return "", diag.New(diag.Usage, "%s is %s, which can only stand as words of a command, outside of quotes", ref, n.Kind)
	}
	all, err := s.items(m, ref, n)
	if n.Kind == yamldoc.Map {
		all, err = s.flags(m, nil, ref, "--", n)
	}
	return strings.Join(all, " "), err
}

// items returns the items of a list as words.
func (s *slot) items(m *memory, ref Ref, n *yamldoc.Node) (all []string, fault *diag.Error) {
	for i, it := range n.Items {
		text, err := Text(append(ref[:len(ref):len(ref)], strconv.Itoa(i)), it)
		if err == nil {
			err = m.spend(text)
		}
		if err != nil {
			return nil, err
		}
		one := slot{frame: s.frame}
		word, _ := one.quote(text) // among words any value can be quoted
		all = append(all, word)
	}
	return all, nil
}

// flags adds the keys of a map as DVC does: true is the flag alone, false is nothing, a list is several
// values, and keys of maps in it are joined by dots.
func (s *slot) flags(m *memory, all []string, ref Ref, prefix string, n *yamldoc.Node) ([]string, *diag.Error) {
	for _, p := range n.Pairs {
		flag, of := prefix+p.Key, append(ref[:len(ref):len(ref)], p.Key)
		name, _ := (&slot{frame: s.frame}).quote(flag)
		err := m.spend(name)
		if err != nil {
			return nil, err
		}
		var values []string
		switch v := p.Value; {
		case v.Kind == yamldoc.Map:
			if all, err = s.flags(m, all, of, flag+".", v); err != nil {
				return nil, err
			}
			continue
		case v.Kind == yamldoc.Bool && strings.EqualFold(v.Value, "false"):
			continue
		case v.Kind == yamldoc.Bool:
		case v.Kind == yamldoc.List:
			values, err = s.items(m, of, v)
			if len(v.Items) == 0 {
				continue
			}
		default:
			values, err = s.items(m, ref, &yamldoc.Node{Kind: yamldoc.List, Items: []*yamldoc.Node{v}})
			if _, fault := Text(of, v); fault != nil {
				err = fault // with the whole name
			}
		}
		if err != nil {
			return nil, err
		}
		all = append(append(all, name), values...)
	}
	return all, nil
}
