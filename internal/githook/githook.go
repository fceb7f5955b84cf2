// Package githook adds pipe's line to the scripts that git runs, and takes it out.
//
// Each hook has one line of pipe's in it, from the file of its name in lines; everything else
// in the script is somebody else's and stays, byte for byte. The line stands first: a script
// may end before its end, and its own last command decides whether git goes on. What it
// reads of its input the script gets again, and it does nothing where pipe is not installed.
package githook

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
)

//go:embed lines
var lines embed.FS

// first is the first line of a script that is pipe's alone.
const first = "#!/bin/sh\n"

// Hook is pipe's line in one of git's hooks.
type Hook struct {
	Name string // as git calls it: pre-push
	Line string // without a line break
	mark string // what its line ends with, and no other one
}

// Hooks returns those of the project in a directory of a repository, "." for its top.
func Hooks(dir string) ([]Hook, error) {
	if strings.ContainsAny(dir, "\n\r") {
		return nil, diag.New(diag.Usage, "a hook's line cannot name a directory with a line break").At(dir)
	}
	pipe := "pipe"
	if dir != "." {
		pipe = "pipe -C " + shell.Word(dir)
	}
	at := func(name string) string { return shell.Word(path.Join(dir, name)) }
	fill := strings.NewReplacer("{.pipe}", at(".pipe"), "{pipe.yaml}", at("pipe.yaml"), "{pipe.lock}", at("pipe.lock"), "{pipe}", pipe)
	entries, err := lines.ReadDir("lines")
	if err != nil {
		return nil, err
	}
	var hooks []Hook
	for _, e := range entries {
		line, err := lines.ReadFile("lines/" + e.Name())
		if err != nil {
			return nil, err
		}
		h := Hook{Name: e.Name(), mark: " # added by: " + pipe + " init hooks"}
		h.Line = fill.Replace(strings.TrimSuffix(string(line), "\n")) + h.mark
		hooks = append(hooks, h)
	}
	return hooks, nil
}

// add returns a script with pipe's line, once, and up to date. A script that is not there is
// empty. bare is for hooks that a shell runs without looking at their first line.
func (h Hook) add(script []byte, bare bool) ([]byte, error) {
	rest := h.remove(script)
	if len(rest) == 0 && !bare {
		return []byte(first + h.Line + "\n"), nil
	}
	shebang, body, found := bytes.Cut(rest, []byte("\n"))
	if !bytes.HasPrefix(rest, []byte("#!")) {
		if bytes.IndexByte(rest, 0) >= 0 {
			return nil, h.refuse("a program")
		}
		return fmt.Appendf(nil, "%s\n%s", h.Line, rest), nil
	}
	if !isShell(string(shebang)) {
		return nil, h.refuse("not a shell script")
	}
	if !found {
		body = nil
	}
	return fmt.Appendf(nil, "%s\n%s\n%s", shebang, h.Line, body), nil
}

// refuse is the error for a hook that cannot hold the line.
func (h Hook) refuse(why string) error {
	return diag.New(diag.Policy, "the hook is %s, so pipe does not change it", why).Hinted("call this from it: %s", strings.TrimSuffix(h.Line, h.mark))
}

// remove returns a script without pipe's line: what add was given. A script that add made is
// empty again.
func (h Hook) remove(script []byte) []byte {
	var rest []byte
	for line := range bytes.Lines(script) {
		if !bytes.HasSuffix(bytes.TrimRight(line, "\r\n"), []byte(h.mark)) {
			rest = append(rest, line...)
		}
	}
	if len(rest) < len(script) && string(rest) == first {
		return nil
	}
	return rest
}

// isShell reports whether a first line names a shell that knows the line's grammar.
func isShell(shebang string) bool {
	words := strings.Fields(strings.TrimPrefix(strings.TrimRight(shebang, "\r"), "#!"))
	if len(words) > 0 && path.Base(words[0]) == "env" {
		words = words[1:]
		for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return false
	}
	switch path.Base(words[0]) {
	case "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh":
		return true
	}
	return false
}
