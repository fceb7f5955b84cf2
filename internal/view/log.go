package view

import (
	"io"
	"strings"

	"github.com/pipe-build/pipe/pkg/event"
)

// Log prints what a command printed. Of this machine's own runs it is passed on as it is; another
// machine's comes from outside, see foreign.
func Log(w io.Writer, text string, own bool) {
	if own {
		raw(w, text)
		return
	}
	for line := range strings.Lines(text) {
		raw(w, foreign(strings.TrimSuffix(line, "\n"))+"\n")
	}
}

// replayed prints a line of what a command printed earlier, with its stage in front.
func (p *Progress) replayed(e event.Event) {
	for line := range strings.SplitSeq(foreign(e.Text), "\n") {
		p.print(e.Stage, line)
	}
}

// foreign makes a line of a log harmless that was printed elsewhere: colours and tabs are kept,
// everything else that would act on a terminal or a CI service is shown as Print shows it. A
// carriage return, with which programs write over their line, begins a new one.
func foreign(line string) string {
	var lines []string
	for part := range strings.SplitSeq(line, "\r") {
		if part == "" {
			continue
		}
		var b strings.Builder
		from, last := 0, reset
		for _, at := range colour.FindAllStringIndex(part, -1) {
			b.WriteString(tabbed(part[from:at[0]]) + part[at[0]:at[1]])
			from, last = at[1], part[at[0]:at[1]]
		}
		b.WriteString(tabbed(part[from:]))
		if last != reset && last != "\x1b[0m" {
			b.WriteString(reset) // the next line may not be this command's
		}
		lines = append(lines, inert(b.String()))
	}
	return strings.Join(lines, "\n")
}

// tabbed is visible, and keeps tabs.
func tabbed(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = visible(parts[i])
	}
	return strings.Join(parts, "\t")
}
