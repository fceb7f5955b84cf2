// Package view puts events and answers into words.
//
// Both kinds of output go through here, so that they look alike: Progress prints a run's
// events as they come, and the functions word what a verb answers (verdicts, sizes, durations,
// counts). With --json the same values are printed as they are, one document an answer or one
// line an event.
//
// A line of progress is subject, verb and reason. What is printed stays, in the order in which
// it came, as logs of CI show it; only below it, on a terminal, a Screen has lines that live.
// Errors of the writer are dropped, because a run must not fail when nobody reads its progress.
//
// Nothing that comes from outside can act on the terminal or the CI service that shows it:
// Print and document see to that. Only the output of a stage's command is passed on as it is.
package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// Verdict returns what a stage must do and why, in words. Why is empty where it
// would only repeat the verb. No verb means that it could not be decided.
func Verdict(v event.Verb, deploy, check bool, because []event.Reason) (verb, why string) {
	verb, why = cmp.Or(string(v), "unknown"), Words(because)
	switch {
	case deploy && v == event.Run:
		verb = "deploy"
	case check && v == event.Run:
		verb = "check"
	}
	if why == verb {
		why = ""
	}
	return verb, why
}

// Words returns reasons in words, the first few in full.
func Words(because []event.Reason) string { return event.Words(because, 4) }

// Outs lists outputs with the beginnings of their hashes.
func Outs(outs []artifact.Output) string {
	var w []string
	for _, o := range outs {
		w = append(w, fmt.Sprintf("%s %s", o.Path, o.Digest.Short()))
	}
	return strings.Join(Few(w, 3), ", ")
}

// Few returns the first of the items, and in place of the others how many they are. A single one
// is shown: to count it takes as much room.
func Few(items []string, most int) []string {
	if n := len(items); n > most+1 {
		return append(items[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return items
}

// Seconds returns a duration for people.
func Seconds(s float64) string {
	if s < 9.95 { // what rounds to 10.0 is 10
		return fmt.Sprintf("%.1f s", s)
	}
	return whole(int(s + 0.5))
}

// whole returns whole seconds for people.
func whole(s int) string {
	if s < 120 {
		return fmt.Sprintf("%d s", s)
	}
	return fmt.Sprintf("%d min %d s", s/60, s%60)
}

// Bytes returns a size for people, in units of 1000.
func Bytes(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range [...]string{"kB", "MB", "GB", "TB"} {
		if f < 999.95 { // what rounds to 1000.0 is 1.0 of the next unit
			break
		}
		f, unit = f/1000, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// Count returns "1 object" or "2 objects".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Answer prints a value as one JSON document that names its form, and of several projects the
// directory of the one that it is about. An object gets them as its first members; a list becomes
// the member items of one. So every answer is an object, and can grow.
func Answer(w io.Writer, schema, project string, value any) error {
	head, err := json.Marshal(struct {
		Schema  string `json:"schema"`
		Project string `json:"project,omitempty"`
	}{schema, project})
	if err != nil {
		return err
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	// They are spliced in, which keeps the order of the struct's members.
	rest := `,"items":` + string(b) + "}"
	if b[0] == '{' {
		if rest = string(b[1:]); rest != "}" {
			rest = "," + rest
		}
	}
	return document(w, string(head[:len(head)-1])+rest)
}
