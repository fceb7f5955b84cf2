package view

import (
	"fmt"
	"io"
	"strings"
)

// Annotation is what GitHub shows beside a line of a file, and on the page of a run.
//
// Secrets are masked by pipe itself, before anything is printed. pipe never prints ::add-mask::, which
// would show the secret wherever no runner reads the log.
type Annotation struct {
	Warning      bool   // else an error
	Title        string // a line
	File         string // from the top of the repository, with slashes; "": it is about no file
	Line, Column int    // 0: not known
	Text         []string
}

// Annotate prints a workflow command. Runners take it from any line of a step's output; the escapes are
// those of the runner's own toolkit (actions/toolkit, packages/core/src/command.ts).
func Annotate(w io.Writer, a Annotation) {
	command := "error"
	if a.Warning {
		command = "warning"
	}
	var properties []string
	add := func(name, value string) {
		properties = append(properties, name+"="+property(value))
	}
	if a.File != "" {
		add("file", a.File)
	}
	if a.File != "" && a.Line > 0 {
		add("line", fmt.Sprint(a.Line))
		if a.Column > 0 {
			add("col", fmt.Sprint(a.Column))
		}
	}
	add("title", visible(a.Title))
	lines := make([]string, len(a.Text))
	for i, line := range a.Text {
		lines[i] = shownLine(line)
	}
	line := "::" + command + " " + strings.Join(properties, ",") + "::" + data(strings.Join(lines, "\n"))
	raw(w, anyCommand.ReplaceAllString(line, `\x23$1`)+"\n")
}

// data escapes the text of a workflow command.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// property escapes the value of a workflow command's property.
func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}

// shownLine returns the beginning of a line of a command's output as text without colours.
func shownLine(line string) string {
	const columns = 300
	return cut(tabbed(sequence.ReplaceAllString(line, "")), columns)
}
