package view

import (
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/pkg/event"
)

// What GitHub draws at most: maxTextSize and maxEdges of mermaid's configuration, which its pages
// leave as they are.
const (
	maxDrawn = 50_000 // characters
	maxEdges = 500
)

// classes are the looks of stages, by what became of them.
const classes = `  classDef failed fill:#ffebe9,stroke:#cf222e,color:#1f2328
  classDef blocked fill:#fff8c5,stroke:#9a6700,color:#1f2328
  classDef run fill:#dafbe1,stroke:#1a7f37,color:#1f2328
  classDef restore fill:#ddf4ff,stroke:#0969da,color:#1f2328
  classDef unchanged fill:#f6f8fa,stroke:#d1d9e0,color:#59636e
`

// graph adds a drawing of what needs what, if anything does.
func (s *sheet) graph(stages []ReportStage) {
	at := map[string]int{}
	for i, t := range stages {
		at[t.Name] = i
	}
	var b strings.Builder
	b.WriteString("flowchart LR\n" + classes)
	edges := 0
	for i, t := range stages {
		b.WriteString(fmt.Sprintf("  n%d[\"%s\"]:::%s\n", i, label(t.Name), t.class()))
		for _, need := range t.Needs {
			if from, drawn := at[need]; drawn {
				b.WriteString(fmt.Sprintf("  n%d --> n%d\n", from, i))
				edges++
			}
		}
	}
	text := "\n```mermaid\n" + b.String() + "```\n"
	switch {
	case edges == 0:
	case edges > maxEdges || b.Len() > maxDrawn:
		s.WriteString(fmt.Sprintf("\nThe graph of the stages is left out: GitHub draws at most %d edges and %d characters, and it has %d and %d.\n", maxEdges, maxDrawn, edges, b.Len()))
	case !s.add(text):
		s.WriteString("\nThe graph of the stages is left out: there is no room for more.\n")
	}
}

// class is the stage's look.
func (t *ReportStage) class() string {
	switch {
	case t.Failed:
		return "failed"
	case t.Verb == event.Run || t.Verb == event.Add:
		return "run"
	case t.Verb == event.Restore:
		return "restore"
	case t.Verb == event.Skip || t.Verb == event.Frozen || t.Verb == event.Omit:
		return "unchanged"
	}
	return "blocked"
}

// label returns a name as mermaid shows it between quotes: all that could mean something there, or in
// the block of Markdown around it, is an entity.
func label(name string) string {
	var b strings.Builder
	for _, r := range visible(name) {
		if r == ' ' || r == '.' || r == '/' || sectionName(r) == r {
			b.WriteRune(r)
			continue
		}
		b.WriteString(fmt.Sprintf("#%d;", r))
	}
	return b.String()
}
