package view

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Control sequences of terminals, as ECMA-48 has them: a CSI with its parameters, a string (a
// title, a link) to its end, and the short ones.
var (
	sequence = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[PX\]^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?`)
	colour   = regexp.MustCompile(`\x1b\[[0-9;:]*m`)
)

// tame returns a line of a command that cannot move the cursor: colours stay and end with the
// line, all else that acts on a terminal is dropped.
func tame(line string) string {
	if strings.IndexFunc(line, acting) < 0 {
		return line
	}
	coloured := false
	line = sequence.ReplaceAllStringFunc(line, func(s string) string {
		if !colour.MatchString(s) {
			return ""
		}
		coloured = true
		return s
	})
	line = strings.Map(func(r rune) rune {
		if acting(r) && r != '\x1b' {
			return -1
		}
		return r
	}, line)
	if coloured {
		line += reset
	}
	return line
}

// acting reports whether a terminal does something with r instead of showing it.
func acting(r rune) bool { return unicode.IsControl(r) && r != '\t' }

// longest is how many bytes of a line are looked at to show its beginning on a screen.
const longest = 4096

// plain returns the beginning of a command's line without colours, with all else that is not
// printable shown as Print shows it.
func plain(line string) string {
	line = sequence.ReplaceAllString(line[:min(len(line), longest)], "")
	return visible(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")))
}

// cut shortens a printable text to so many columns.
func cut(text string, columns int) string {
	if columns <= 0 {
		return ""
	}
	n := 0
	end := 0 // where the text is cut if it does not fit: the sign takes a column
	for i, r := range text {
		if n <= columns-1 {
			end = i
		}
		if n += cell(r); n > columns {
			return text[:end] + "…"
		}
	}
	return text
}

// cells returns how many columns a text takes, which may have colours of ours.
func cells(text string) (n int) {
	for _, r := range sequence.ReplaceAllString(text, "") {
		n += cell(r)
	}
	return n
}

// cell returns how many columns a printable character takes at most: characters of East Asia
// and emoji take two, accents none. What makes an emoji of the character before it widens that.
func cell(r rune) int {
	const emoji = '\ufe0f'
	switch {
	case r < 0x300:
		return 1
	case unicode.Is(unicode.M, r) && r != emoji:
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}
