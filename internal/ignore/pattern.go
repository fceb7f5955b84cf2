package ignore

import (
	"bytes"
	"strings"
)

// pattern is one line of an ignore file, by the rules of gitignore(5) as git
// itself applies them (dir.c and wildmatch.c). go-git's own matcher differs from git
// in several. Most patterns are a plain name or *suffix; these are compared as text,
// and tokens are for the rest. Bytes are matched, not characters, as in git: ? is one
// byte of a UTF-8 sequence.
type pattern struct {
	negated  bool
	dirOnly  bool
	anywhere bool    // matched against the base name alone
	literal  string  // what it begins with, up to the first special character
	glob     []token // the rest; nil: the literal is all
	suffix   string  // set for *suffix, the commonest glob, which needs no tokens
	never    bool    // malformed
}

type kind uint8

const (
	oneByte kind = iota // any of set
	star                // any number of bytes other than a slash
	stars               // any number of bytes
	dirs                // nothing, or what inDirs matches, which always follows
	inDirs              // any number of bytes and a slash
)

type token struct {
	kind kind
	set  *[256]bool
}

// parsePatterns reads an ignore file. A byte order mark is skipped. The # of a comment
// and the ! of a negation count only as the first character of a line.
func parsePatterns(file []byte, fold bool) []pattern {
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	var out []pattern
	for line := range strings.SplitSeq(string(file), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if line = trimSpaces(line); line != "" {
			out = append(out, parsePattern(line, fold))
		}
	}
	return out
}

// trimSpaces cuts spaces at the end that no backslash protects. Tabs stay, as in git.
func trimSpaces(s string) string {
	end := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = i + 1
	}
	return s[:min(end, len(s))]
}

// parsePattern reads one line. A slash at the end asks for a directory; any other
// slash ties the pattern to the directory of its file, and one at the beginning does
// only that.
func parsePattern(s string, fold bool) pattern {
	var p pattern
	s, p.negated = strings.CutPrefix(s, "!")
	s, p.dirOnly = strings.CutSuffix(s, "/")
	p.anywhere = !strings.Contains(s, "/")
	s = strings.TrimPrefix(s, "/")
	n := strings.IndexAny(s, `*?[\`)
	if n < 0 {
		n = len(s)
	}
	p.literal = s[:n]
	if n < len(s) {
		if p.anywhere && n == 0 && s[0] == '*' && !strings.ContainsAny(s[1:], `*?[\`) {
			p.suffix = s[1:]
		}
		c := compiler{s: s[n:], paths: !p.anywhere, fold: fold}
		p.glob, p.never = c.compile(n == 0 || s[n-1] == '/')
	}
	return p
}

// match reports whether the pattern names path, which is relative to the
// directory of the pattern's file; base is its last element.
func (p *pattern) match(path, base []byte, isDir, fold bool) bool {
	if p.dirOnly && !isDir || p.never {
		return false
	}
	s := path
	if p.anywhere {
		s = base
	}
	if n := len(s) - len(p.suffix); p.suffix != "" {
		return n >= 0 && same(s[n:], p.suffix, fold)
	}
	n := len(p.literal)
	if n > len(s) || p.glob == nil && n != len(s) {
		return false
	}
	if !same(s[:n], p.literal, fold) {
		return false
	}
	return p.glob == nil || matchTokens(p.glob, s[n:])
}

// same compares two texts of one length. Only ASCII letters are folded, as git does
// for core.ignoreCase.
func same(b []byte, s string, fold bool) bool {
	if string(b) == s || !fold {
		return string(b) == s
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// lower folds an ASCII letter; bytes of other characters stay.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// matchTokens follows all ways through the tokens at once: now[i] says that the text
// so far can be matched by the tokens before i. A pattern such as *a*a*a*b takes
// tokens times bytes steps; trying one way after the other may take exponentially many. Up to 63 tokens need no memory from the heap.
func matchTokens(tokens []token, s []byte) bool {
	var buf [2][64]bool
	now, next := buf[0][:], buf[1][:]
	if n := len(tokens) + 1; n > len(now) {
		now, next = make([]bool, n), make([]bool, n)
	}
	now[0] = true
	for _, c := range s {
		skipEmpty(tokens, now)
		alive := false
		for i, t := range tokens {
			if !now[i] {
				continue
			}
			switch t.kind {
			case oneByte:
				next[i+1] = next[i+1] || t.set[c]
			case star:
				next[i] = next[i] || c != '/'
			case stars:
				next[i] = true
			case inDirs:
				next[i] = true
				next[i+1] = next[i+1] || c == '/'
			}
			alive = alive || next[i] || next[i+1]
		}
		if !alive {
			return false
		}
		now, next = next, now
		clear(next)
	}
	skipEmpty(tokens, now)
	return now[len(tokens)]
}

// skipEmpty adds the ways where a token matches nothing. It goes from left to right, so
// a run of such tokens is skipped in one pass. dirs skips also the inDirs after it: that
// is how a/**/b matches a/b.
func skipEmpty(tokens []token, now []bool) {
	for i, t := range tokens {
		if now[i] && t.kind != oneByte && t.kind != inDirs {
			now[i+1] = true
			if t.kind == dirs {
				now[i+2] = true
			}
		}
	}
}

// compiler turns a glob into tokens. Its methods take what they read off the front of s.
type compiler struct {
	s     string
	paths bool // * and ? stop at slashes
	fold  bool
	out   []token
}

// compile returns the tokens; never when nothing can match them: a class that is not
// closed, a backslash at the end. Such a pattern is not an error, as in git, it just
// matches nothing. start tells whether s begins at the beginning of an element of
// the path.
func (c *compiler) compile(start bool) (tokens []token, never bool) {
	for c.s != "" {
		ch := c.s[0]
		switch ch {
		case '*':
			c.stars(start)
		case '?':
			c.s = c.s[1:]
			c.oneByte(func(b byte) bool { return !c.paths || b != '/' })
		case '[':
			if !c.class() {
				return nil, true
			}
		default:
			if ch == '\\' {
				if len(c.s) == 1 {
					return nil, true
				}
				c.s = c.s[1:]
				ch = c.s[0]
			}
			c.s = c.s[1:]
			c.oneByte(func(b byte) bool { return b == ch || c.fold && lower(b) == lower(ch) })
		}
		start = ch == '/' || c.out[len(c.out)-1].kind == inDirs
	}
	return c.out, false
}

// oneByte adds a token for the bytes that in accepts. The table is made once, so that
// a match is one look-up for literals, ? and classes alike.
func (c *compiler) oneByte(in func(byte) bool) {
	var set [256]bool
	for i := range set {
		set[i] = in(byte(i))
	}
	c.out = append(c.out, token{oneByte, &set})
}

// stars reads a run of stars. Two or more cross slashes only as a whole element: **/
// is any number of directories or none, and a final ** is all that lies below. In
// another place they are one star. A pattern for the base name alone has no slashes to
// stop at. \/ is an escaped slash, which ends an element just as well.
func (c *compiler) stars(start bool) {
	rest := strings.TrimLeft(c.s, "*")
	many := len(c.s)-len(rest) > 1
	c.s = rest
	k := star
	switch {
	case !c.paths:
		k = stars
	case many && start && (rest == "" || strings.HasPrefix(rest, `\/`)):
		k = stars
	case many && start && rest[0] == '/':
		k = inDirs
		c.out = append(c.out, token{kind: dirs})
		c.s = rest[1:]
	}
	c.out = append(c.out, token{kind: k})
}
