package view

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// Diff prints how a text becomes another one, in the form of diff -u. It takes both line by line and
// looks for no moved lines, which is the shortest way for a text of which only white space changes.
func Diff(w io.Writer, name, before, after string) {
	changes := lineChanges(slices.Collect(strings.Lines(before)), slices.Collect(strings.Lines(after)))
	Print(w, "--- %s\n", name)
	Print(w, "+++ %s\n", name)
	const around = 3 // lines, as diff -u shows
	for at := 0; at < len(changes); at++ {
		if changes[at].sign == ' ' {
			continue
		}
		from, end := max(at-around, 0), at+1
		for i := at; i < len(changes) && i < end+2*around; i++ {
			if changes[i].sign != ' ' {
				end = i + 1
			}
		}
		at = end
		hunk(w, changes[from:min(end+around, len(changes))])
	}
}

// lineChange is a line of a diff: ' ' both have it, '-' one, '+' the other.
type lineChange struct {
	sign     byte
	text     string
	old, new int // the number of the next line in each, from 1
}

// lineChanges walks through both texts. An empty line that the other one has not here is its own
// change; any other line has become the one at its place.
func lineChanges(before, after []string) (all []lineChange) {
	i, j := 0, 0
	add := func(sign byte, text string) { all = append(all, lineChange{sign, text, i + 1, j + 1}) }
	for i < len(before) || j < len(after) {
		switch {
		case i < len(before) && j < len(after) && before[i] == after[j]:
			add(' ', before[i])
			i, j = i+1, j+1
		case j == len(after), i < len(before) && strings.TrimSpace(before[i]) == "" && strings.TrimSpace(after[j]) != "":
			add('-', before[i])
			i++
		case i == len(before):
			add('+', after[j])
			j++
		default:
			add('-', before[i])
			i++
			add('+', after[j])
			j++
		}
	}
	return all
}

// hunk prints changes with their place.
func hunk(w io.Writer, changes []lineChange) {
	old, added := 0, 0
	for _, c := range changes {
		if c.sign != '+' {
			old++
		}
		if c.sign != '-' {
			added++
		}
	}
	Print(w, "@@ -%s +%s @@\n", lineRange(changes[0].old, old), lineRange(changes[0].new, added))
	// What is taken away comes before what takes its place.
	var rest []lineChange
	for _, c := range changes {
		if c.sign == '+' {
			rest = append(rest, c)
			continue
		}
		if c.sign == ' ' {
			rest = printChanges(w, rest)
		}
		printChanges(w, []lineChange{c})
	}
	printChanges(w, rest)
}

// lineRange is a place in a diff. One without lines is behind the line before.
func lineRange(first, count int) string {
	if count == 0 {
		first--
	}
	return strconv.Itoa(first) + "," + strconv.Itoa(count)
}

// printChanges prints lines of a diff and returns none. Tabs stay, so that the diff can be applied.
func printChanges(w io.Writer, changes []lineChange) []lineChange {
	for _, c := range changes {
		text, broken := strings.CutSuffix(c.text, "\n")
		parts := strings.Split(text, "\t")
		for i := range parts {
			parts[i] = visible(parts[i])
		}
		line := string(c.sign) + strings.Join(parts, "\t")
		if strings.HasSuffix(text, "\r") {
			line = strings.TrimSuffix(line, `\r`) + "\r"
		}
		colour := map[byte]Colour{'-': Red, '+': Green}[c.sign]
		raw(w, Paint(w, colour, inert(line))+"\n")
		if !broken {
			raw(w, "\\ No newline at end of file\n")
		}
	}
	return nil
}
