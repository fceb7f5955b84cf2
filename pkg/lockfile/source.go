package lockfile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Source says at which commit another git repository lies at a path of this one. It holds for
// what pipe.yaml says there, Git and Ref: when that changes, the source is not locked.
type Source struct {
	Path   repopath.Path // where its files lie
	Git    string        // where it is fetched from, as in pipe.yaml
	Ref    string        // as in pipe.yaml; empty: the repository's HEAD
	Commit string        // full hash: 40 digits, or 64 in a sha256 repository

	raw string // as in Stage
}

// SourcePrefix begins the name of a source's block. No stage of a pipe.yaml has a colon in its name.
const SourcePrefix = "source:"

// Name returns the name of its block.
func (s *Source) Name() string { return artifact.PathName(SourcePrefix, s.Path) }

// Source returns the source at a path, nil when there is none.
func (f *File) Source(at repopath.Path) *Source {
	i := slices.IndexFunc(f.Sources, func(s Source) bool { return s.Path == at })
	if i < 0 {
		return nil
	}
	return &f.Sources[i]
}

// SetSource puts s in place of the source at its path, or adds it.
func (f *File) SetSource(s Source) {
	if old := f.Source(s.Path); old != nil {
		*old = s
		return
	}
	f.Sources = append(f.Sources, s)
	slices.SortFunc(f.Sources, sourceOrder)
}

// KeepSources drops the sources for which keep is false, and reports whether there were any.
func (f *File) KeepSources(keep func(at repopath.Path) bool) bool {
	before := len(f.Sources)
	f.Sources = slices.DeleteFunc(f.Sources, func(s Source) bool { return !keep(s.Path) })
	return len(f.Sources) != before
}

// AbsentSource returns the block of a source that is there and does not count, nil when there is
// none. Unlike a stage, whose record answers, such a source has lost its commit.
func (f *File) AbsentSource(at repopath.Path) *Absent {
	i := slices.IndexFunc(f.Absent, func(a Absent) bool { return a.Stage == artifact.PathName(SourcePrefix, at) })
	if i < 0 {
		return nil
	}
	return &f.Absent[i]
}

// sourceOrder is that of the names of blocks.
func sourceOrder(a, b Source) int { return cmp.Compare(a.Name(), b.Name()) }

func (s *Source) append(b []byte) []byte {
	return framed(b, s.Name(), func(b []byte) []byte {
		if r, ok := scanSource(s.Name(), s.raw); ok && r.Path == s.Path && r.Git == s.Git && r.Ref == s.Ref && r.Commit == s.Commit {
			return append(b, s.raw...)
		}
		b = append(append(append(b, "  "...), plain(s.Name())...), ":\n"...)
		for _, f := range [...][2]string{{"path", string(s.Path)}, {"git", s.Git}, {"ref", s.Ref}} {
			if f[1] != "" {
				b = append(append(append(append(append(b, "    "...), f[0]...), ": "...), plain(f[1])...), '\n')
			}
		}
		return append(append(append(b, "    commit: "...), s.Commit...), '\n')
	})
}

// scanSource is scan for the block of a source.
func scanSource(name, text string) (Source, bool) {
	s := &scanner{stage: name, rest: text, ok: true}
	var src Source
	s.eat("  ")
	s.ok = s.scalar() == name && s.ok
	s.eat(":\n    path: ")
	src.Path = s.path()
	s.eat("\n    git: ")
	src.Git = s.scalar()
	if s.has("\n    ref: ") {
		src.Ref = s.scalar()
	}
	s.eat("\n    commit: ")
	src.Commit = s.until("\n")
	s.eat("\n")
	s.extraLines()
	if s.extra {
		src.raw = text
	}
	return src, s.ok && s.rest == "" && IsCommit(src.Commit) && src.Name() == name
}

// IsCommit reports whether s is the full hash of a commit, of either kind of repository.
func IsCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
