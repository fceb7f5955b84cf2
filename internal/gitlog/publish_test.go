package gitlog_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// upstream makes a bare repository with a few commits on main, and returns it. No push may be forced
// there. Most tests begin here, so it takes few processes.
func upstream(t *testing.T, format string) *sandbox {
	t.Helper()
	s := newSandbox(t)
	s.git("init", "-q", "--bare", "-b", "main", "--object-format="+format, "../up.git")
	up := s.at(filepath.Join(s.tmp, "up.git"))
	config, err := os.ReadFile(filepath.Join(up.dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	up.write("config", string(config)+"[receive]\n\tdenyNonFastForwards = true\n\tfsckObjects = true\n[uploadpack]\n\tallowFilter = true\n[core]\n\tlogAllRefUpdates = true\n")
	var in strings.Builder
	for i, files := range [][][2]string{
		{
			{".gitattributes", "* text eol=crlf\n"},
			{"staged", "old"},
			{"dirty", "old"},
			{"removed", "old"},
			{"app/main.go", "old"},
			{"app-x", "old"},
			{"web/deep/x", "old"},
			{"other/y", "old"},
		},
		{{"app/pipe.lock", "one\n"}},
		{{"web/deep/pipe.lock", "one\n"}},
		{{"app/main.go", "second"}},
	} {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter C O Mitter <c@example.com> %d +0000\ndata 7\nset %03d\n", 1_700_000_000+60*i, i)
		for _, f := range files {
			fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", f[0], len(f[1]), f[1])
		}
	}
	up.run(strings.NewReader(in.String()), "fast-import", "--quiet")
	return up
}

// clone clones it, with options of git clone, into a directory of a name.
func (s *sandbox) clone(name string, options ...string) *sandbox {
	s.tb.Helper()
	s.git(append(append([]string{"clone", "-q"}, options...), "file://"+s.dir, "../"+name)...)
	return s.at(filepath.Join(s.tmp, name))
}

// advance adds a commit to main of a bare repository, by hand, and returns it.
func (s *sandbox) advance(name, text string) string {
	s.tb.Helper()
	dir := filepath.Join(s.tmp, "other")
	if err := os.RemoveAll(dir); err != nil {
		s.tb.Fatal(err)
	}
	o := s.clone("other")
	h := o.commit(9, name, text)
	o.git("push", "-q", "origin", "HEAD:main")
	return h
}

// add is a Publication.File that adds a line.
func add(line string) func([]byte) ([]byte, error) {
	return func(tip []byte) ([]byte, error) {
		if strings.Contains(string(tip), line) {
			return tip, nil
		}
		return append(append([]byte{}, tip...), line...), nil
	}
}

// toPublish is a Publication of a line.
func toPublish() gitlog.Publication {
	return gitlog.Publication{Remote: "origin", Branch: "main", Path: "app/pipe.lock", Message: "m", File: add("two\n")}
}

// publish is Publish that must not fail. What the Publication does not say is that of toPublish.
func (s *sandbox) publish(p gitlog.Publication) *gitlog.Published {
	s.tb.Helper()
	usual := toPublish()
	p.Remote, p.Branch, p.Message = cmp.Or(p.Remote, usual.Remote), cmp.Or(p.Branch, usual.Branch), cmp.Or(p.Message, usual.Message)
	if p.Note == nil {
		p.Note = func(text string) { s.tb.Log(text) }
	}
	done, err := s.open(s.dir).Publish(s.tb.Context(), p)
	if err != nil {
		s.tb.Fatal(err)
	}
	return done
}

// pushed is publish of a commit that must get to the target.
func (s *sandbox) pushed(up *sandbox, p gitlog.Publication) string {
	s.tb.Helper()
	done := s.publish(p)
	if done.Refused != nil || done.Commit == "" {
		s.tb.Fatalf("not pushed: %+v", done.Refused)
	}
	branch := p.To
	if branch == "" {
		branch = "main"
	}
	if tip := up.git("rev-parse", branch); tip != done.Commit {
		s.tb.Fatalf("%s is %s, not %s", branch, tip, done.Commit)
	}
	return done.Commit
}

// forms are the clones that Publish must work in, each with the path of its lock.
func forms() map[string]func(t *testing.T) (up, clone *sandbox) {
	in := func(options ...string) func(t *testing.T) (up, clone *sandbox) {
		return func(t *testing.T) (*sandbox, *sandbox) {
			up := upstream(t, "sha1")
			return up, up.clone("clone", options...)
		}
	}
	then := func(make func(t *testing.T) (up, clone *sandbox), f func(c *sandbox) *sandbox) func(t *testing.T) (up, clone *sandbox) {
		return func(t *testing.T) (*sandbox, *sandbox) {
			up, c := make(t)
			return up, f(c)
		}
	}
	run := func(args ...string) func(c *sandbox) *sandbox {
		return func(c *sandbox) *sandbox { c.git(args...); return c }
	}
	return map[string]func(t *testing.T) (up, clone *sandbox){
		"plain":                in(),
		"shallow":              in("--depth=1"),
		"no blobs":             in("--filter=blob:none"),
		"no trees":             in("--filter=tree:0"),
		"both":                 in("--depth=1", "--filter=tree:0"),
		"split index":          then(in(), run("update-index", "--split-index")),
		"sparse":               then(in(), run("sparse-checkout", "set", "--cone", "--sparse-index", "other")),
		"sparse without blobs": then(in("--filter=blob:none", "--sparse"), run("sparse-checkout", "set", "app")),
		"detached":             then(in(), run("checkout", "-q", "--detach")),
		"renamed":              then(in(), run("branch", "-m", "mine")),
		"untracked cache":      then(in(), run("update-index", "--untracked-cache")),
		"worktree": then(in(), func(c *sandbox) *sandbox {
			c.git("checkout", "-q", "-b", "elsewhere")
			c.git("worktree", "add", "-q", "../linked", "main")
			return c.at(filepath.Join(c.tmp, "linked"))
		}),
		"sha256": func(t *testing.T) (*sandbox, *sandbox) {
			up := upstream(t, "sha256")
			return up, up.clone("clone")
		},
		"submodule": func(t *testing.T) (*sandbox, *sandbox) {
			up := upstream(t, "sha1")
			s := up.at(filepath.Join(up.tmp, "repo"))
			s.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", "file://"+up.dir, "part")
			return up, s.at(filepath.Join(s.dir, "part"))
		},
		"submodule's parent": func(t *testing.T) (*sandbox, *sandbox) {
			up := upstream(t, "sha1")
			o := up.clone("other")
			o.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+up.dir, "part")
			o.git("commit", "-qm", "a part")
			o.git("push", "-q", "origin", "main")
			return up, up.clone("clone")
		},
	}
}

// snapshot is all that a user sees of a clone, but for what a push of the file changes.
func (s *sandbox) snapshot() string {
	s.tb.Helper()
	all := s.git("status", "--porcelain=v2", "--untracked-files=all")
	for _, f := range []string{"staged", "dirty", "added", "untracked", "app/main.go", "app/pipe.lock", "web/deep/pipe.lock"} {
		b, err := os.ReadFile(filepath.Join(s.dir, f))
		all += "\n" + f + ": " + string(b)
		if err != nil {
			all += "none"
		}
	}
	return all
}

// mess makes what a user may have around.
func (s *sandbox) mess() {
	s.tb.Helper()
	s.write("staged", "staged")
	s.write("added", "added")
	s.git("add", "--sparse", "staged", "added")
	s.write("staged", "dirty on top")
	s.write("dirty", "changed")
	s.write("untracked", "x")
	s.git("rm", "-q", "--sparse", "--cached", "removed")
	s.write("app/pipe.lock", "what the build has made\n")
}

func TestPublishWorksInEachKindOfClone(t *testing.T) {
	for name, form := range forms() {
		for _, path := range []string{"pipe.lock", "app/pipe.lock", "web/deep/pipe.lock"} {
			t.Run(name+" "+path, func(t *testing.T) {
				t.Parallel()
				up, c := form(t)
				c.mess()
				c.publishesAmongAMess(up, path)
			})
		}
	}
}

// publishesAmongAMess publishes the path on the tip, then once more when somebody else has pushed.
func (s *sandbox) publishesAmongAMess(up *sandbox, path string) {
	s.tb.Helper()
	t := s.tb
	before, tip := s.snapshot(), up.git("rev-parse", "main")
	p := gitlog.Publication{Path: repopath.Path(path), File: add("two\n")}
	if path == "app/pipe.lock" { // a hook that sees the whole commit
		hooks := s.git("rev-parse", "--path-format=absolute", "--git-path", "hooks")
		rel, err := filepath.Rel(s.dir, hooks)
		if err != nil {
			t.Fatal(err)
		}
		s.script(rel+"/pre-commit", `git write-tree >"$HOME/seen"`)
	}
	commit := s.pushed(up, p)
	if path == "app/pipe.lock" && strings.TrimSpace(s.at(s.tmp).read("seen")) != s.git("rev-parse", commit+"^{tree}") {
		t.Error("the hook saw another tree than that of the commit")
	}
	if head := s.git("rev-parse", "HEAD"); head != commit {
		t.Errorf("HEAD is %s, not the commit", head)
	}
	clean := func(status string) string { // of the one file's own line, and what names HEAD
		var kept []string
		for line := range strings.Lines(status) {
			if !strings.HasPrefix(line, "1 ") || !strings.HasSuffix(line, " "+path+"\n") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	if after := s.snapshot(); clean(after) != clean(before) {
		t.Errorf("the user had\n%s\nand has\n%s", before, after)
	}
	if out := up.git("diff-tree", "-r", "--name-only", tip, commit); out != path {
		t.Errorf("the commit changes %s", out)
	}
	if out := s.git("diff", "--cached", "--", path); out != "" {
		t.Errorf("the index: %s\n%s", out, s.git("ls-files", "-s", path))
	}
	s.git("fsck", "--no-dangling", "HEAD")
	if done := s.publish(p); done.Commit != "" || done.Refused != nil {
		t.Errorf("pushed again: %+v", done)
	}

	other := up.advance("other/y", "of somebody else")
	p.File = add("three\n")
	before = s.snapshot()
	commit = s.pushed(up, p)
	if up.git("rev-parse", commit+"^") != other || !strings.HasSuffix(up.git("show", commit+":"+path), "two\nthree") {
		t.Error("not on top of the other push")
	}
	if after := s.snapshot(); after != before {
		t.Errorf("behind: the user had\n%s\nand has\n%s", before, after)
	}
	up.git("fsck", "--strict", "--no-dangling")
}
