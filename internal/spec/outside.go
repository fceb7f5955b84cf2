package spec

import (
	"path"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// leaves reports whether a path or pattern, as a user wrote it in the stage's wdir, begins above
// the project. It may come back into it.
func (s *stageReader) leaves(text string) bool {
	j := path.Join(string(s.st.Wdir), text)
	return !strings.HasPrefix(text, "/") && (j == ".." || strings.HasPrefix(j, "../"))
}

// atTop is the stage's wdir from the top of the git repository; false, with a fault: there is none.
func (s *stageReader) atTop(n *yamldoc.Node) (repopath.Path, bool) {
	if s.Dir == "" {
		_ = s.bad(n, "dependency %q is outside the project, and the project is not in a git repository", n.Value).
			Hinted("move it into the project, or run git init in a directory that holds both")
		return "", false
	}
	dir := repopath.Path(path.Join(string(s.Dir), string(s.st.Wdir)))
	if j := path.Join(string(dir), strings.TrimSuffix(n.Value, "/")); j == ".." || strings.HasPrefix(j, "../") {
		_ = s.bad(n, "dependency %q is outside the git repository", n.Value).Hinted("move it into the repository, so that every clone has it")
		return "", false
	}
	return dir, true
}

// outsideDep reads a path that begins above the project.
func (s *stageReader) outsideDep(n *yamldoc.Node, d Dep) {
	text, ok := s.text(n, s.prefix(), "dependency")
	if !ok || !s.pathText(n, text, s.prefix()+"dependency") {
		return
	}
	dir, ok := s.atTop(n)
	if !ok {
		return
	}
	p, err := repopath.Join(dir, text)
	d.Dir = strings.HasSuffix(text, "/") || p == repopath.Root
	switch {
	case err != nil:
		s.bad(n, "dependency: %v", err)
	case s.Dir.Holds(p):
		d.Path = s.Dir.Rel(p)
		s.addDep(n, d, d.Path)
	case p.Holds(s.Dir):
		s.holdsProject(n)
	default:
		d.Path = p
		s.addOutside(n, d)
	}
}

// outsideGlob reads a pattern that begins above the project.
func (s *stageReader) outsideGlob(n *yamldoc.Node, text string) {
	dir, ok := s.atTop(n)
	if !ok {
		return
	}
	g, err := repopath.JoinPattern(dir, text)
	if err != nil {
		s.bad(n, "dependency: %v", err)
		return
	}
	if in, ok := g.Rel(s.Dir); ok {
		s.addDep(n, Dep{Glob: in, Place: n.Place(s.file)}, in.Base())
		return
	}
	if g.Reaches(s.Dir) {
		s.holdsProject(n)
		return
	}
	s.addOutside(n, Dep{Glob: g, Place: n.Place(s.file)})
}

// holdsProject refuses a dep outside that would take in the project: its outputs, its pipe.lock
// and its deps would count as they happen to lie there.
func (s *stageReader) holdsProject(n *yamldoc.Node) {
	_ = s.bad(n, "dependency %q includes the project itself", n.Value).Hinted("name the files and directories beside the project that the stage reads")
}

// addOutside adds a dep that lies outside the project.
func (s *stageReader) addOutside(n *yamldoc.Node, d Dep) {
	d.Top = true
	for _, elem := range strings.Split(string(d.Base()), "/") {
		if strings.EqualFold(elem, ".pipe") {
			s.bad(n, "dependency %s: .pipe is reserved for pipe", n.Value)
			return
		}
	}
	if s.once(n, "dependency", d.Name()) {
		s.st.Deps = append(s.st.Deps, d)
	}
}
