package view

import (
	"io"
	"strings"
)

// Colour is how a word stands out, as terminals number it (ECMA-48, SGR).
type Colour string

// The colours that pipe uses. None carries a meaning that the words lack.
const (
	Bold   Colour = "1"
	Dim    Colour = "2"
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Cyan   Colour = "36"
)

// reset ends all colours.
const reset = "\x1b[m"

// Paint returns a word of our own in a colour where w shows colours. It is for the format of
// Print: what comes from outside is an argument, and argument's colours are escaped.
func Paint(w io.Writer, c Colour, word string) string {
	if s, ok := w.(Stream); !ok || !s.Colours || c == "" {
		return word
	}
	return "\x1b[" + string(c) + "m" + word + reset
}

// verbs have the colours of the second column.
var verbs = map[string]Colour{
	"run": Bold, "deploy": Bold, "check": Bold, "restore": Cyan, "skip": Dim, "frozen": Dim, "omit": Dim,
	"done": Green, "FAILED": Red, "note": Yellow, "blocked": Yellow, "unknown": Yellow, "depends": Yellow,
}

// PrintRow prints "stage  verb  text", the stage in a column of this width.
func PrintRow(w io.Writer, width int, stage, verb, text string) {
	if text == "" {
		Print(w, "%-*s  "+Paint(w, verbs[verb], "%s")+"\n", width, stage, verb)
		return
	}
	// The spaces stand outside of the colour.
	gap := strings.Repeat(" ", max(0, len("restore")-len(verb)))
	Print(w, "%-*s  "+Paint(w, verbs[verb], "%s")+gap+"  %s\n", width, stage, verb, text)
}
