package lockfile

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
)

// Text returns a lock in short lines, for git diff: what counts of each block, with hashes that are as
// long as people need them. Each line stands for itself, so that a change of one changes no other. What
// is not a whole block stands there as it is: conflict markers, broken blocks, those with fields
// of a later version. So does all that is not a pipe.lock, or that a newer pipe wrote.
func Text(data []byte) []byte {
	f, err := Parse(FileName, data)
	if err != nil {
		return data
	}
	short := map[string]func(*bytes.Buffer){} // by the whole text of the block
	for i := range f.Stages {
		if s := &f.Stages[i]; s.raw == "" {
			short[string(s.append(nil))] = s.short
		}
	}
	for i := range f.Sources {
		if s := &f.Sources[i]; s.raw == "" {
			short[string(s.append(nil))] = s.short
		}
	}
	var b bytes.Buffer
	rest := string(unixLines(data))
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		whole := rest[:len(rest)-len(after)]
		if name, ok := strings.CutPrefix(line, beginField); ok {
			if block, tail, ok := strings.Cut(rest, endField+name+"\n"); ok && short[block+endField+name+"\n"] != nil {
				short[block+endField+name+"\n"](&b)
				rest = tail
				continue
			}
		}
		if line+"\n" != banner && line != "schema: 1" && line != "stages:" && line != "stages: {}" {
			b.WriteString(whole)
		}
		rest = after
	}
	return b.Bytes()
}

func (s *Stage) short(b *bytes.Buffer) {
	kind := "stage "
	if strings.Contains(s.Name, ":") {
		kind = "" // an input's name says so
	}
	fmt.Fprintf(b, "%s%s\n  key %s", kind, s.Name, s.Key.Short())
	if s.Generation > 0 {
		fmt.Fprintf(b, ", rebuild %d", s.Generation)
	}
	fmt.Fprintf(b, "\n  cmd %s\n", s.Cmd.Short())
	for _, d := range s.Deps {
		fmt.Fprintf(b, "  dep %s %s%s", plain(d.Name()), d.Digest.Short(), extent(d.Kind, d.Exec, d.Size, d.Files))
		if !d.In.IsZero() {
			fmt.Fprintf(b, ", in %s", d.In.Short())
		}
		b.WriteByte('\n')
	}
	for _, t := range s.Tools {
		fmt.Fprintf(b, "  tool %s %s %d bytes", plain(t.Cmd), t.Digest.Short(), t.Size)
		if t.Line != "" {
			fmt.Fprintf(b, ", %s", plain(t.Line))
		}
		b.WriteByte('\n')
	}
	for _, p := range s.Params {
		value := plain(p.Value)
		if !p.Hash.IsZero() {
			value = p.Hash.Short()
		}
		fmt.Fprintf(b, "  param %s %s\n", plain(strings.TrimSuffix(string(p.File)+":"+p.Key, ":")), value)
	}
	for _, e := range s.Env {
		fmt.Fprintf(b, "  env %s %s\n", plain(e.Name), plain(e.Hash+e.Value))
	}
	for _, o := range s.Outs {
		kind := artifact.OneFile
		if o.Dir {
			kind = artifact.Dir
		}
		fmt.Fprintf(b, "  out %s %s%s", plain(string(o.Path)), o.Digest.Short(), extent(kind, o.Exec, o.Size, o.Files))
		if o.SHA256 != "" {
			fmt.Fprintf(b, ", sha256 %.12s", o.SHA256)
		}
		b.WriteByte('\n')
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

func (s *Source) short(b *bytes.Buffer) {
	fmt.Fprintf(b, "source %s\n  git %s\n", plain(string(s.Path)), plain(s.Git))
	if s.Ref != "" {
		fmt.Fprintf(b, "  ref %s\n", plain(s.Ref))
	}
	fmt.Fprintf(b, "  commit %.12s\n", s.Commit)
}
