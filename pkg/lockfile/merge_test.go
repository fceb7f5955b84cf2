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
	"strings"
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
// git program: whether git merges pipe.lock by union or plain.lock, which is the same, without,
// and however hunks are resolved, what is believed is a block of one side, and what one side left
// alone is there.
func TestNoMergeOfGitsMakesABlockThatNobodyWrote(t *testing.T) {
	n := rounds(150)
	for kind := range kinds {
		t.Run(kinds[kind].name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			git(t, dir, nil, "init", "-q")
			if err := os.WriteFile(filepath.Join(dir, ".gitattributes"), []byte(attributes), 0o666); err != nil {
				t.Fatal(err)
			}
			var in bytes.Buffer
			for seed := range uint64(n) {
				draw(kind, seed).commits(&in, seed)
			}
			if _, code := git(t, dir, in.Bytes(), "fast-import", "--quiet"); code != 0 {
				t.Fatal("git fast-import failed")
			}
			for i, style := range []string{"merge", "diff3", "zdiff3"} {
				for seed, got := range mergedBy(t, dir, style, n) {
					m, seed := draw(kind, uint64(seed)), uint64(seed)
					if i == 0 {
						m.tryUnion(t, seed, got)
					}
					// A merge that git can do is the same in each style; of the others, each second is enough.
					if i == 0 || !got.clean && seed%2 == uint64(i-1) {
						m.try(t, seed, style, got.plain, got.clean)
					}
				}
			}
		})
	}
}

// tryUnion checks a lock that was merged by union: it is both sides of each hunk.
func (m *merge) tryUnion(t *testing.T, seed uint64, got merged) {
	t.Helper()
	if want := resolve(got.plain, func() byte { return 'b' }); !bytes.Equal(got.union, want) {
		t.Fatalf("seed %d: a union is not both sides of each hunk:\n%s", seed, got.union)
	}
	if err := m.check(got.union, got.clean, true); err != nil {
		t.Fatalf("seed %d, union: %v\n%s", seed, err, got.union)
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

// merged is what git makes of two commits.
type merged struct {
	plain, union []byte
	clean        bool
}

// mergedBy merges the branches ours-N and theirs-N, as git merge does, by one process for all.
func mergedBy(t *testing.T, dir, style string, n int) (all []merged) {
	t.Helper()
	var in, ask bytes.Buffer
	for seed := range n {
		fmt.Fprintf(&in, "ours-%d theirs-%d\n", seed, seed)
	}
	out, _ := git(t, dir, in.Bytes(), "-c", "merge.conflictStyle="+style, "merge-tree", "--stdin", "--no-messages")
	fields := strings.Split(string(out), "\x00")
	for i, tree := range fields {
		// Before each tree stands whether it is clean; behind it, what is not, with spaces and tabs.
		if IsCommit(tree) {
			all = append(all, merged{clean: fields[i-1] == "1"})
			fmt.Fprintf(&ask, "%s:plain.lock\n%s:pipe.lock\n", tree, tree)
		}
	}
	if len(all) != n {
		t.Fatalf("git merged %d of %d: %s", len(all), n, out)
	}
	files, _ := git(t, dir, ask.Bytes(), "cat-file", "--batch")
	for i := range all {
		all[i].plain, files = nextBlob(t, files)
		all[i].union, files = nextBlob(t, files)
	}
	return all
}

// nextBlob takes one off the output of git cat-file --batch.
func nextBlob(t *testing.T, out []byte) (blob, rest []byte) {
	t.Helper()
	head, rest, _ := bytes.Cut(out, []byte("\n"))
	_, size, _ := strings.Cut(string(head), " blob ")
	n, err := strconv.Atoi(size)
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	return rest[:n], rest[n+1:]
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
