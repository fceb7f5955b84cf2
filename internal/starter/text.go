package starter

import (
	"regexp"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// The items of deps and outs below are texts in the form in which they stand in a YAML list.

// plainScalar matches what YAML reads as that text, in a list in brackets, too.
var plainScalar = regexp.MustCompile(`^[A-Za-z_./][A-Za-z0-9_./+@=-]*$`)

// notText matches words that YAML reads as another kind of value.
var notText = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$`)

// item quotes a text where YAML needs that.
func item(s string) string {
	if plainScalar.MatchString(s) && !notText.MatchString(s) {
		return s
	}
	return yamldoc.Quote(s)
}

// file is the item for a path. A name with the characters of
// patterns is written in the form that takes it literally.
func file(name string) string {
	if strings.HasPrefix(name, "!") || strings.ContainsAny(name, "*?[{") {
		return "{path: " + yamldoc.Quote(name) + "}"
	}
	return item(name)
}

// files are the items for paths.
func files(names ...string) (items []string) {
	for _, n := range names {
		items = append(items, file(n))
	}
	return items
}

// not is the item for an exclusion.
func not(pattern string) string { return yamldoc.Quote("!" + pattern) }

// literal makes a pattern that matches a name alone: a class is the only way to escape.
func literal(name string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", "{", "[{]").Replace(name)
}

// width is where a list in brackets becomes too long to read.
const width = 90

// flow is a list in brackets.
func flow(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

// list is what follows a key: a list in brackets, or when it is long, one item a line.
func list(items []string) string {
	if s := flow(items); len(s) <= width {
		return " " + s
	}
	return block(items)
}

// block is a list with one item a line.
func block(items []string) string {
	return "\n      - " + strings.Join(items, "\n      - ")
}

// scalar is the value of a key, or an item of a list that is not in brackets. A text in which
// nothing but spaces could mean something else to YAML needs no quotes.
func scalar(s string) string {
	if plainScalar.MatchString(strings.ReplaceAll(s, " ", "_")) && strings.TrimSpace(s) == s && !notText.MatchString(s) {
		return s
	}
	return yamldoc.Quote(s)
}

// stage is the text of a stage: a note about it, and its keys. Empty keys are skipped.
func stage(note, name string, keys ...string) string {
	text := comment(note) + "  " + name + ":\n"
	for _, k := range keys {
		if k != "" {
			text += "    " + k + "\n"
		}
	}
	return text
}

// script is the key for a command of several lines. Empty lines are skipped.
func script(lines ...string) string {
	text := "cmd: |"
	for _, l := range lines {
		if l != "" {
			text += "\n      " + l
		}
	}
	return text
}

// comment puts each line of a text behind "# ".
func comment(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight("  # "+strings.TrimRight(l, "\r"), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}
