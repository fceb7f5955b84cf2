package ignore

import "strings"

// class reads a [class] and reports whether it is well formed. The rules are those of
// git's wildmatch.c: a ] that comes first is a member, ! and ^ negate, a backslash
// takes the next character as it is, a - at either end is itself. With fold a letter
// matches when either case is in the set. A slash is never matched where the pattern
// is one of paths.
func (c *compiler) class() bool {
	s := c.s[1:]
	negated := s != "" && (s[0] == '!' || s[0] == '^')
	if negated {
		s = s[1:]
	}
	var set [256]bool
	last := -1 // the character that a range may begin with
	for first := true; first || s == "" || s[0] != ']'; first = false {
		if s == "" {
			return false
		}
		switch {
		case s[0] == '-' && last >= 0 && len(s) > 1 && s[1] != ']':
			hi, rest, ok := classChar(s[1:])
			if !ok {
				return false
			}
			for b := last; b <= int(hi); b++ {
				set[b] = true
			}
			s, last = rest, -1
		case strings.HasPrefix(s, "[:") && named(s) > 0:
			in := classOf(s[2 : named(s)-2])
			if in == nil {
				return false
			}
			for b := range set {
				set[b] = set[b] || in(byte(b))
			}
			s, last = s[named(s):], -1
		default:
			ch, rest, ok := classChar(s)
			if !ok {
				return false
			}
			set[ch] = true
			s, last = rest, int(ch)
		}
	}
	c.s = s[1:]
	c.oneByte(func(b byte) bool {
		in := set[b] || c.fold && (set[lower(b)] || b >= 'a' && b <= 'z' && set[b-'a'+'A'])
		return in != negated && !(c.paths && b == '/')
	})
	return true
}

// classChar reads one character of a class, which a backslash may precede. s is not
// empty; ok is false when it ends after the backslash.
func classChar(s string) (ch byte, rest string, ok bool) {
	if s[0] == '\\' {
		s = s[1:]
	}
	if s == "" {
		return 0, "", false
	}
	return s[0], s[1:], true
}

// named returns where "[:name:]" ends in s; 0 when the first ] does not close one.
func named(s string) int {
	i := strings.IndexByte(s[2:], ']') + 2
	if i >= 3 && s[i-1] == ':' {
		return i + 1
	}
	return 0
}

// classOf returns the members of a POSIX class in the C locale, nil for a name that is
// none. Git has its own ctype tables, which do not depend on the user's locale; in
// them "space" is without \v and \f.
func classOf(name string) func(byte) bool {
	upper := func(b byte) bool { return 'A' <= b && b <= 'Z' }
	small := func(b byte) bool { return 'a' <= b && b <= 'z' }
	digit := func(b byte) bool { return '0' <= b && b <= '9' }
	graph := func(b byte) bool { return '!' <= b && b <= '~' }
	alnum := func(b byte) bool { return upper(b) || small(b) || digit(b) }
	switch name {
	case "alnum":
		return alnum
	case "alpha":
		return func(b byte) bool { return upper(b) || small(b) }
	case "blank":
		return func(b byte) bool { return b == ' ' || b == '\t' }
	case "cntrl":
		return func(b byte) bool { return b < ' ' || b == 0x7f }
	case "digit":
		return digit
	case "graph":
		return graph
	case "lower":
		return small
	case "print":
		return func(b byte) bool { return ' ' <= b && b <= '~' }
	case "punct":
		return func(b byte) bool { return graph(b) && !alnum(b) }
	case "space":
		return func(b byte) bool { return strings.IndexByte(" \t\n\r", b) >= 0 }
	case "upper":
		return upper
	case "xdigit":
		return func(b byte) bool { return digit(b) || 'a' <= lower(b) && lower(b) <= 'f' }
	}
	return nil
}
