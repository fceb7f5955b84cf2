package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

const (
	maxAnnotations = 10  // errors of one step that GitHub shows; it drops the others without a word
	maxTail        = 10  // lines of a command's output in one of them
	maxTitle       = 200 // bytes; GitHub takes 255 characters
)

// annotate has GitHub show failures at their places, and on the page of the run. With --json, whoever
// reads the errors does that.
func (a *app) annotate(problems []pipe.Problem) {
	if ci.SystemOf(a.Environ) != ci.GitHub {
		return
	}
	problems = slices.DeleteFunc(problems, func(p pipe.Problem) bool { // GitHub says so itself
		return p.Kind == diag.Interrupted.String() || p.Kind == diag.Terminated.String()
	})
	for i, p := range problems {
		if i == maxAnnotations-1 && len(problems) > maxAnnotations {
			text := "the log of this step shows them all"
			view.Annotate(a.Err, view.Annotation{Title: view.Count(len(problems)-i, "more error"), Text: []string{text}})
			return
		}
		view.Annotate(a.Err, a.annotation(p))
	}
}

// annotation words a problem: its first line is the title, unless there is nothing else to say.
func (a *app) annotation(p pipe.Problem) view.Annotation {
	lines := strings.Split(p.Message, "\n")
	n := view.Annotation{Title: lines[0], Text: lines[1:]}
	if n.File, n.Line, n.Column = a.locate(p.Place); n.File == "" && p.Place != "" {
		n.Title = p.Place + ": " + n.Title
	}
	n.Text = append(n.Text, p.Output[max(0, len(p.Output)-maxTail):]...)
	if p.Hint != "" {
		n.Text = append(n.Text, "hint: "+p.Hint)
	}
	if len(n.Text) == 0 || len(n.Title) > maxTitle {
		n.Text = append([]string{n.Title}, n.Text...)
		n.Title = fmt.Sprintf("%.*s", maxTitle, n.Title)
	}
	return n
}

// position is the place of an error in a file.
var position = regexp.MustCompile(`^(.+?):(\d+)(?::(\d+))?$`)

// locate returns where a place is in the repository, if it is a file there. Places of errors are relative
// to the project, which may lie above the directory in which pipe works.
func (a *app) locate(place string) (file string, line, column int) {
	name := filepath.FromSlash(place)
	if m := position.FindStringSubmatch(name); m != nil {
		name = m[1]
		line, _ = strconv.Atoi(m[2])
		column, _ = strconv.Atoi(m[3])
	}
	dir, err := filepath.Abs(a.dir)
	for err == nil && name != "" {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return fromTop(path), line, column
		}
		above := filepath.Dir(dir)
		if above == dir || filepath.IsAbs(name) {
			break
		}
		dir = above
	}
	return "", 0, 0
}

// fromTop returns the path of a file from the top of its repository; "" if it lies in none.
func fromTop(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return ""
	}
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			rel, err := filepath.Rel(top, filepath.Join(dir, filepath.Base(path)))
			if err != nil {
				return ""
			}
			return filepath.ToSlash(rel)
		}
		if top == filepath.Dir(top) {
			return ""
		}
	}
}
