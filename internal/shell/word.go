package shell

import (
	"regexp"
	"strings"
)

// plain matches what a POSIX shell takes as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./+:@,%=-]+$`)

// Word returns a text as one word of a POSIX shell, in quotes where it needs them.
func Word(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
