package cli

import (
	"io"
	"strings"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// mostFiles is how many changed files people are shown of one thing: a screen has room for that
// and what stands around it.
const mostFiles = 20

// few returns those that are shown.
func few(files []lockfile.Change) []lockfile.Change {
	if len(files) > mostFiles+1 {
		return files[:mostFiles]
	}
	return files
}

// printMore says how many are not shown.
func printMore(w io.Writer, indent string, files []lockfile.Change) {
	if n := len(files) - len(few(files)); n > 0 {
		view.Print(w, indent+"and %d more (--json lists all)\n", n)
	}
}

// printFiles prints a line for each file that changed, in which way and how large it is.
func printFiles(w io.Writer, indent string, files []lockfile.Change) {
	for _, f := range few(files) {
		if f.From != "" {
			view.Print(w, indent+"renamed %s -> %s\n", f.From, f.Path)
			continue
		}
		view.Print(w, indent+"%s %s%s\n", sign(f), f.Path, extent(f))
	}
	printMore(w, indent, files)
}

// sign is + for what is new, - for what is gone, ~ for what is different.
func sign(c lockfile.Change) string {
	switch {
	case c.Old == "":
		return "+"
	case c.New == "":
		return "-"
	}
	return "~"
}

// extent says how large something is, and was, and whether only its mode changed.
func extent(c lockfile.Change) string {
	was, is := strings.CutSuffix(c.Old, lockfile.Executable)
	now, will := strings.CutSuffix(c.New, lockfile.Executable)
	switch {
	case was == now && will && !is:
		return "  now executable"
	case was == now && is && !will:
		return "  no longer executable"
	case c.Old == "":
		return "  " + view.Bytes(c.NewSize)
	case c.New == "":
		return "  " + view.Bytes(c.OldSize)
	case c.OldSize == c.NewSize:
		return "  " + view.Bytes(c.NewSize)
	}
	return "  " + view.Bytes(c.OldSize) + " -> " + view.Bytes(c.NewSize)
}
