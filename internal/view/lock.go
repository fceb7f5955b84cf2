package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Lock prints a pipe.lock in short lines, for git diff: what counts of each block, with hashes that are as
// long as people need them. Each line stands for itself, so that a change of one changes no other. What
// is not a whole block is printed as it is, also bytes that are no lock at all.
func Lock(w io.Writer, data []byte) {
	b := bufio.NewWriter(w)
	for _, p := range lockfile.Pieces(data) {
		switch {
		case p.Stage != nil:
			stageInShort(b, p.Stage)
		case p.Source != nil:
			sourceInShort(b, p.Source)
		default:
			raw(b, p.Text)
		}
	}
	_ = b.Flush() // nobody may be there to read
}

func stageInShort(w io.Writer, s *lockfile.Stage) {
	kind := "stage "
	if strings.Contains(s.Name, ":") {
		kind = "" // an input's name says so
	}
	Print(w, "%s%s\n  key %s", kind, s.Name, s.Key.Short())
	if s.Generation > 0 {
		Print(w, ", rebuild %d", s.Generation)
	}
	Print(w, "\n  cmd %s\n", s.Cmd.Short())
	for _, d := range s.Deps {
		Print(w, "  dep %s %s%s", d.Name(), d.Digest.Short(), extent(d.Kind, d.Exec, d.Size, d.Files))
		if !d.In.IsZero() {
			Print(w, ", in %s", d.In.Short())
		}
		Print(w, "\n")
	}
	for _, t := range s.Tools {
		Print(w, "  tool %s %s %d bytes", t.Cmd, t.Digest.Short(), t.Size)
		if t.Line != "" {
			Print(w, ", %s", t.Line)
		}
		Print(w, "\n")
	}
	for _, n := range s.Images {
		Print(w, "  image %s %s\n", n.Name, artifact.ShortAnswer(n.Answer))
	}
	for _, n := range s.URLs {
		Print(w, "  url %s %s\n", n.Name, artifact.ShortAnswer(n.Answer))
	}
	for _, p := range s.Params {
		value := p.Value
		if !p.Hash.IsZero() {
			value = p.Hash.Short()
		}
		Print(w, "  param %s=%s\n", strings.TrimSuffix(string(p.File)+":"+p.Key, ":"), value)
	}
	for _, e := range s.Env {
		Print(w, "  env %s=%s\n", e.Name, e.Hash+e.Value)
	}
	for _, o := range s.Outs {
		kind := artifact.OneFile
		if o.Dir {
			kind = artifact.Dir
		}
		Print(w, "  out %s %s%s", o.Path, o.Digest.Short(), extent(kind, o.Exec, o.Size, o.Files))
		if o.SHA256 != "" {
			Print(w, ", sha256 %.12s", o.SHA256)
		}
		Print(w, "\n")
	}
}

// extent says what kind of thing lies at a path, and how large it is.
func extent(kind artifact.Kind, exec bool, size, files int64) string {
	text := fmt.Sprintf(" %d bytes", size)
	switch {
	case kind == artifact.OneFile || kind == artifact.TopFile:
	case files == 1:
		text = " 1 file," + text
	default:
		text = fmt.Sprintf(" %d files,%s", files, text)
	}
	if exec {
		text += ", executable"
	}
	return text
}

func sourceInShort(w io.Writer, s *lockfile.Source) {
	Print(w, "source %s\n  git %s\n", s.Path, s.Git)
	if s.Ref != "" {
		Print(w, "  ref %s\n", s.Ref)
	}
	Print(w, "  commit %.12s\n", s.Commit)
}
