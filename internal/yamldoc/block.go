package yamldoc

import (
	"regexp"
	"strconv"
	"strings"
)

// blockHead begins a block scalar: how deep it is indented, and which line breaks at its end count.
var blockHead = regexp.MustCompile(`^[|>](?:([0-9])[-+]?|[-+]?([0-9])?)`)

// block takes a block scalar: its head, a comment behind it, and its lines, which keep all but
// their indentation.
func (t *tokens) block(p spot) {
	head := blockHead.FindStringSubmatch(t.rest())
	if head == nil {
		t.bad = true
		return
	}
	t.add(word, len(head[0]), p)
	for rest := t.rest(); rest != ""; rest = t.rest() {
		if n := breakLen(rest); n > 0 {
			t.add(lineEnd, n, spot{})
			break
		}
		if rest[0] == '#' {
			t.add(comment, lineLen(rest), spot{}, strings.TrimRight(rest[:lineLen(rest)], " \t"))
			continue
		}
		t.pos++ // white space: nothing else stands behind the head
	}
	depth, at := 0, max(p.at, 2)
	if digit := head[1] + head[2]; digit != "" {
		n, _ := strconv.Atoi(digit)
		depth, at = max(p.block, 0)+n, max(p.at-2, 0)+n
	} else if depth = firstDepth(t.rest()); depth <= p.block {
		depth = len(t.text) // no line has text
	}
	lines, size := blockLines(t.rest(), depth, strings.Contains(head[0], "+"))
	if len(lines) > 0 {
		t.add(content, size, spot{at: at}, lines...)
	}
}

// firstDepth is the indentation of the first line that is more than spaces, -1 when there is none.
func firstDepth(s string) int {
	for s != "" {
		line := s[:lineLen(s)]
		if text := strings.TrimLeft(line, " "); text != "" {
			return len(line) - len(text)
		}
		s = s[len(line):]
		s = s[breakLen(s):]
	}
	return -1
}

// blockLines returns the lines that s begins with and that are indented, without that, and how
// long they are in s, without the last break. Empty lines at the end are among them if keep.
func blockLines(s string, depth int, keep bool) (lines []string, size int) {
	count := 0
	for at := 0; at < len(s); {
		line := s[at : at+lineLen(s[at:])]
		text := strings.TrimLeft(line, " ")
		spaces := len(line) - len(text)
		if text != "" && spaces < depth {
			break
		}
		lines = append(lines, line[min(spaces, depth):])
		if at += len(line); text != "" || keep || spaces > depth {
			count, size = len(lines), at
		}
		at += breakLen(s[at:])
	}
	return lines[:count], size
}
