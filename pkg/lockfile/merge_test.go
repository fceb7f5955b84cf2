package lockfile

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func (m *merge) bytes() map[string][]byte {
	return map[string][]byte{"base": m.base.Encode(), "ours": m.ours.Encode(), "theirs": m.theirs.Encode()}
}

// bytesOf returns a stage's block, "" for none.
func bytesOf(s *Stage) string {
	if s == nil {
		return ""
	}
	return string(s.append(nil))
}

// wanted returns the block that one side alone touched, as that side has it.
func (m *merge) wanted(name string) (block string, ok bool) {
	base, ours, theirs := bytesOf(m.base.Stage(name)), bytesOf(m.ours.Stage(name)), bytesOf(m.theirs.Stage(name))
	switch base {
	case ours:
		return theirs, true
	case theirs:
		return ours, true
	}
	return ours, ours == theirs
}

// names are those of all three.
func (m *merge) names() []string {
	var out []string
	for _, f := range []*File{m.base, m.ours, m.theirs} {
		for _, s := range f.Stages {
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// check holds what is read of a merged lock against the promises.
func (m *merge) check(got []byte, clean, union bool) error {
	f, err := Parse(FileName, got)
	if err != nil {
		return err
	}
	for i := range f.Stages {
		s := &f.Stages[i]
		if b := bytesOf(s); b != bytesOf(m.ours.Stage(s.Name)) && b != bytesOf(m.theirs.Stage(s.Name)) {
			return fmt.Errorf("a block of %s is believed that neither side wrote", s.Name)
		}
		if !bytes.Contains(got, []byte(bytesOf(s))) {
			return fmt.Errorf("the block of %s is not in the file", s.Name)
		}
	}
	if err := m.checkSources(f, got, clean); err != nil {
		return err
	}
	for _, name := range m.names() {
		want, alone := m.wanted(name)
		have := bytesOf(f.Stage(name))
		switch {
		case !alone || have == want:
		case clean:
			return fmt.Errorf("git merged cleanly, and %s is not as it was merged", name)
		case want == "":
			// Deleted by one side: it may have come back, and is pruned.
		case m.base.Stage(name) != nil:
			// It lay in one hunk with what both sides changed, and is as the hunk was
			// resolved: as one side has it, or absent, and then said to be.
			if have == "" && !slices.ContainsFunc(f.Absent, func(a Absent) bool { return a.Stage == name }) {
				return fmt.Errorf("%s was left alone by one side, and is gone without a word", name)
			}
		case union && !m.renamed(cmp.Or(m.ours.Stage(name), m.theirs.Stage(name))):
			return fmt.Errorf("%s was added by one side, and is gone after a union", name)
		}
	}
	if clean && (len(f.Absent) > 0 || !bytes.Equal(f.Encode(), got)) {
		return fmt.Errorf("git merged cleanly, and the lock is not canonical: %v", f.Absent)
	}
	return nil
}

// checkSources is check for sources: a commit that is believed is one that a side has locked.
func (m *merge) checkSources(f *File, got []byte, clean bool) error {
	for i := range f.Sources {
		s := &f.Sources[i]
		if o, t := m.ours.Source(s.Path), m.theirs.Source(s.Path); (o == nil || *o != *s) && (t == nil || *t != *s) {
			return fmt.Errorf("source %s at %s is believed, and neither side wrote it", s.Path, s.Commit)
		}
		if !bytes.Contains(got, s.append(nil)) {
			return fmt.Errorf("the block of source %s is not in the file", s.Path)
		}
	}
	for _, side := range [][2]*File{{m.ours, m.theirs}, {m.theirs, m.ours}} {
		for _, s := range side[0].Sources {
			other, have := side[1].Source(s.Path), f.Source(s.Path)
			if clean && other != nil && *other == s && (have == nil || *have != s) {
				return fmt.Errorf("both sides have source %s at %s, and a clean merge has not", s.Path, s.Commit)
			}
		}
	}
	return nil
}

// renamed reports whether a stage is one of before under a new name: its lines may
// meet those of the old one.
func (m *merge) renamed(s *Stage) bool {
	return slices.ContainsFunc(m.base.Stages, func(b Stage) bool { return b.Cmd == s.Cmd && b.Name != s.Name })
}

// resolve takes each hunk of a file with conflict markers by one way of ways: c for
// the current side, i for the incoming one, b for both, l to leave it as it is.
func resolve(merged []byte, way func() byte) []byte {
	var out, all, current, incoming []byte
	where := byte(0) // of the last marker
	for line := range bytes.Lines(merged) {
		marker := byte(0)
		if isMarker(string(bytes.TrimSuffix(line, []byte("\n")))) {
			marker = line[0]
		}
		if marker == '<' {
			all, current, incoming = nil, nil, nil
		}
		switch {
		case marker == 0 && where == 0:
			out = append(out, line...)
		case marker == 0 && where == '<':
			current = append(current, line...)
		case marker == 0 && where == '=':
			incoming = append(incoming, line...)
		}
		if marker != 0 {
			where = marker
		}
		if where != 0 {
			all = append(all, line...)
		}
		if where != '>' {
			continue
		}
		where = 0
		switch way() {
		case 'c':
			out = append(out, current...)
		case 'i':
			out = append(out, incoming...)
		case 'b':
			out = append(append(out, current...), incoming...)
		default:
			out = append(out, all...)
		}
	}
	return out
}

func git(t *testing.T, dir string, in []byte, args ...string) ([]byte, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.Output()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return out, cmd.ProcessState.ExitCode()
}

// rounds is how many merges of each kind are tried: n, or PIPE_SOAK times as many.
func rounds(n int) int {
	if k, err := strconv.Atoi(os.Getenv("PIPE_SOAK")); err == nil {
		return n * k
	}
	return n
}

// TestNoMergeOfGitsMakesABlockThatNobodyWrote is the promise of the sums, with the
// git program: however hunks are resolved, what is believed is a block of one
// side, and what one side left alone is there.
func TestNoMergeOfGitsMakesABlockThatNobodyWrote(t *testing.T) {
	n := rounds(150)
	for kind := range kinds {
		t.Run(kinds[kind].name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for seed := range uint64(n) {
				m := draw(kind, seed)
				for name, b := range m.bytes() {
					if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
						t.Fatal(err)
					}
				}
				plain, conflicts := git(t, dir, nil, "merge-file", "-p", "ours", "base", "theirs")
				m.try(t, seed, "plain", plain, conflicts == 0)
				if conflicts == 0 {
					continue
				}
				style := []string{"--diff3", "--zdiff3"}[seed%2]
				marked, _ := git(t, dir, nil, "merge-file", "-p", style, "ours", "base", "theirs")
				m.try(t, seed, style, marked, false)
				if seed%5 != 0 {
					continue
				}
				union, _ := git(t, dir, nil, "merge-file", "-p", "--union", "ours", "base", "theirs")
				if want := resolve(plain, func() byte { return 'b' }); !bytes.Equal(union, want) {
					t.Fatalf("seed %d: a union is not both sides of each hunk:\n%s", seed, union)
				}
			}
		})
	}
}

// try checks a merged lock as it stands and resolved in many ways.
func (m *merge) try(t *testing.T, seed uint64, style string, merged []byte, clean bool) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	ways := []string{"l", "c", "i", "b", "ci", "ci", "ci", "cib", "cibl", "cibl"}
	if clean {
		ways = ways[:1]
	}
	for _, way := range ways {
		got := resolve(merged, func() byte { return way[rnd.IntN(len(way))] })
		if err := m.check(got, clean, way == "b"); err != nil {
			t.Fatalf("seed %d, %s, resolved %q: %v\n--- base\n%s--- ours\n%s--- theirs\n%s--- merged\n%s", seed, style, way, err,
				m.base.Encode(), m.ours.Encode(), m.theirs.Encode(), got)
		}
	}
}

// attributes is the line that makes git take both sides of each hunk.
const attributes = "pipe.lock merge=union text eol=lf linguist-generated\n"

// TestGitMergesLocksByUnionAndWithout merges whole commits: pipe.lock with the
// attribute, plain.lock, which is the same, without.
func TestGitMergesLocksByUnionAndWithout(t *testing.T) {
	n := rounds(150)
	for kind := range kinds {
		t.Run(kinds[kind].name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			git(t, dir, nil, "init", "-q")
			var in bytes.Buffer
			for seed := range uint64(n) {
				draw(kind, seed).commits(&in, seed)
			}
			if _, code := git(t, dir, in.Bytes(), "fast-import", "--quiet"); code != 0 {
				t.Fatal("git fast-import failed")
			}
			for seed := range uint64(n) {
				m := draw(kind, seed)
				if _, code := git(t, dir, nil, "checkout", "-qf", "--detach", fmt.Sprintf("ours-%d", seed)); code != 0 {
					t.Fatal("git checkout failed")
				}
				_, conflicts := git(t, dir, nil, "-c", "gc.auto=0", "-c", "maintenance.auto=false", "merge", "-q", "--no-edit", fmt.Sprintf("theirs-%d", seed))
				for _, name := range []string{"plain.lock", "pipe.lock"} {
					got, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatal(err)
					}
					if name == "pipe.lock" && bytes.Contains(got, []byte("<<<<<<<")) {
						t.Fatalf("seed %d: a union left conflict markers", seed)
					}
					if err := m.check(got, conflicts == 0, name == "pipe.lock"); err != nil {
						t.Fatalf("seed %d, %s: %v\n%s", seed, name, err, got)
					}
				}
			}
		})
	}
}

// commits writes the three commits for git fast-import.
func (m *merge) commits(w *bytes.Buffer, seed uint64) {
	for _, side := range []string{"base", "ours", "theirs"} {
		fmt.Fprintf(w, "commit refs/heads/%s-%d\ncommitter a <a@b> 1 +0000\ndata 0\n", side, seed)
		if side != "base" {
			fmt.Fprintf(w, "from refs/heads/base-%d\n", seed)
		}
		lock := m.bytes()[side]
		for name, b := range map[string][]byte{".gitattributes": []byte(attributes), "pipe.lock": lock, "plain.lock": lock} {
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(b), b)
		}
	}
}
