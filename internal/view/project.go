package view

import (
	"strings"

	"github.com/pipe-build/pipe/pkg/event"
)

// subject is what a line about an event begins with: the stage, and of several projects whose.
// The directory's name comes from outside, and stands before the output of commands, too.
func subject(e event.Event) string {
	if e.Env != "" {
		e.Stage = inert(visible(e.Env)) + ":" + e.Stage
	}
	if e.Project == "" || e.Project == "." {
		return e.Stage
	}
	return strings.TrimSuffix(inert(visible(e.Project))+":"+e.Stage, ":")
}
