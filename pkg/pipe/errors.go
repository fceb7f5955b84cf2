package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/pipe-build/pipe/internal/diag"
)

// Problem is one failure, for people and for JSON.
type Problem struct {
	Kind    string `json:"kind"`            // the word behind the exit code: usage, auth, network, ...
	Place   string `json:"place,omitempty"` // file:line:column, a path or a URL
	Message string `json:"message"`         // what went wrong
	Hint    string `json:"hint,omitempty"`  // the next step
	// Output has the last lines that a failed command printed. Options.Emit has told them as
	// they came.
	Output []string `json:"output,omitempty"`
}

// Describe takes an error of this package apart: one Problem for each failure, once for all the
// stages that met the same one. It never
// returns nil, so that it encodes as a list.
func Describe(err error) []Problem {
	out := []Problem{}
	for _, e := range diag.All(err) {
		if e.Hint == "" {
			e = &diag.Error{Kind: e.Kind, Place: e.Place, What: e.What, Hint: nextStep(e), Output: e.Output}
		}
		p := Problem{Kind: e.Kind.String(), Place: e.Place, Message: e.What, Hint: e.Hint, Output: e.Output}
		if !slices.ContainsFunc(out, func(q Problem) bool { return q.Kind == p.Kind && q.Place == p.Place && q.Message == p.Message }) {
			out = append(out, p)
		}
	}
	return out
}

// nextStep is the hint for what the file system refused, wherever that was noticed.
func nextStep(err error) string {
	var at *fs.PathError
	var link *os.LinkError
	path := ""
	switch {
	case errors.As(err, &at):
		path = at.Path
	case errors.As(err, &link):
		path = link.New
	}
	// What is not there was to be made: its directory says no.
	for path != "" && path != filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on the disk; pipe gc shows how much the cache can free"
	case path == "":
		return ""
	case errors.Is(err, syscall.EROFS):
		return "check how the file system is mounted: findmnt -T " + path
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf(`chmod -R u+rwX %s; if another user owns it: sudo chown -R "$(id -un)" %s`, path, path)
	}
	return ""
}

// ExitCode returns the process's exit code for an error of this package.
func ExitCode(err error) int { return diag.ExitCode(err) }
