package source_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestARefIsABranchATagOrACommit(t *testing.T) {
	w := newWorld(t)
	one := w.commit(map[string]string{"a": "1"})
	w.git("tag", "-a", "-m", "x", "v1")
	w.git("branch", "team/feature")
	two := w.commit(map[string]string{"a": "2"})
	w.git("tag", "both", one)
	w.git("branch", "both")
	w.git("tag", "agree")
	w.git("branch", "agree")
	for ref, want := range map[string]string{"": two, "main": two, "HEAD": two, "v1": one, "refs/tags/v1": one, "team/feature": one, one: one, "refs/heads/both": two, "agree": two} {
		w.src.Ref = ref
		if tip, err := w.keeper().Tip(t.Context(), w.src); err != nil || tip != want {
			t.Errorf("%q: %v, %v", ref, tip, err)
		}
	}
	for ref, kind := range map[string]diag.Kind{"both": diag.Usage, "feature": diag.NotFound, one[:12]: diag.NotFound, "none": diag.NotFound} {
		w.src.Ref = ref
		if tip, err := w.keeper().Tip(t.Context(), w.src); !diag.Is(err, kind) {
			t.Errorf("%q: %v, %v", ref, tip, err)
		}
	}
	w.src.Git = "file://" + w.tmp + "/none"
	if tip, err := w.keeper().Tip(t.Context(), w.src); !diag.Is(err, diag.Network) || !strings.Contains(err.Error(), "source src/api") {
		t.Errorf("no repository: %v, %v", tip, err)
	}
}

func TestARepositoryMayBeADirectoryAndHaveLongHashes(t *testing.T) {
	w := newWorld(t, "--object-format=sha256")
	c := w.commit(map[string]string{"a": "1"})
	for _, url := range []string{w.repo, "../repo", "file://" + w.repo} {
		w.must(os.RemoveAll(w.work.Root() + "/.pipe"))
		w.must(os.RemoveAll(w.work.OS("src")))
		w.src.Git = url
		tip, err := w.keeper().Tip(t.Context(), w.src)
		if err != nil || tip != c || len(c) != 64 {
			t.Fatalf("%s: %v, %v", url, tip, err)
		}
		w.mustKeep(c)
		w.want("a=1")
	}
}

// A server may give out tips alone, and by protocol version 0 that is the rule.
func TestAServerThatGivesOutTipsAloneIsAskedForAll(t *testing.T) {
	w := newWorld(t)
	one := w.commit(map[string]string{"a": "1"})
	two := w.commit(map[string]string{"a": "2"})
	w.env = append(w.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.version", "GIT_CONFIG_VALUE_0=0")
	w.reopen()
	if _, _, err := keep(w, w.keeper(), two); err != nil {
		t.Fatal(err)
	}
	w.want("a=2")
	all := filepath.Join(w.work.Root(), ".pipe", "sources", "*", "refs", "all")
	if found, _ := filepath.Glob(all); len(found) > 0 {
		t.Error("everything was fetched where the tip would do")
	}
	w.mustKeep(one)
	w.want("a=1")
	if found, _ := filepath.Glob(all); len(found) == 0 {
		t.Error("the older commit came by its hash: the server is no such one")
	}
	w.git("checkout", "-q", "--orphan", "gone")
	gone := w.commit(map[string]string{"a": "3"})
	w.git("checkout", "-q", "main")
	w.git("branch", "-q", "-D", "gone")
	if _, _, err := w.keep(gone); !diag.Is(err, diag.NotFound) || !strings.Contains(err.Error(), gone[:12]) {
		t.Errorf("%v", err)
	}
	w.want("a=1")
}

func TestNothingThatARepositoryHoldsIsRun(t *testing.T) {
	w := newWorld(t)
	trap := filepath.Join(w.tmp, "trap")
	sh := "touch " + trap
	c := w.commit(map[string]string{".gitattributes": "* filter=evil diff=evil\n", ".gitconfig": "[filter \"evil\"]\nsmudge = " + sh + "\n", "hooks/post-checkout": "#!/bin/sh\n" + sh, "config": "[core]\nfsmonitor = " + sh + "\n", "HEAD": "ref: refs/heads/main\n", "objects/x": "x"})
	for _, key := range []string{"core.fsmonitor", "filter.evil.smudge", "core.sshCommand"} {
		w.git("config", key, sh)
	}
	next := w.commit(map[string]string{"a": "1"})
	w.must(os.RemoveAll(trap)) // the user's own git runs what its repository says
	w.mustKeep(c)
	w.mustKeep(next)
	if _, err := os.Lstat(trap); err == nil {
		t.Error("something was run")
	}
	w.src.Git = "ext::sh -c " + strings.ReplaceAll(sh, " ", "% ")
	if _, err := w.keeper().Tip(t.Context(), w.src); err == nil {
		t.Error("ext:: was taken")
	}
	if _, err := os.Lstat(trap); err == nil {
		t.Error("ext:: was run")
	}
}

func TestATreeThatLeavesItsDirectoryIsRefused(t *testing.T) {
	for name, link := range map[string]string{"absolute": "/etc/passwd", "upwards": "../../pipe.yaml"} {
		w := newWorld(t)
		w.must(os.Symlink(link, filepath.Join(w.repo, "link")))
		w.git("add", "link")
		if _, _, err := w.keep(w.commit(nil)); !diag.Is(err, diag.Policy) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(w.work.OS("src")); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
	w := newWorld(t)
	w.commit(map[string]string{"a": "1"})
	w.git("config", "core.protectHFS", "false")
	blob := w.git("rev-parse", "HEAD:a")
	cmd := exec.Command("git", "mktree")
	cmd.Dir, cmd.Env, cmd.Stdin = w.repo, w.env, strings.NewReader("100644 blob "+blob+"\t.GIT\n")
	tree, err := cmd.Output()
	w.must(err)
	evil := w.git("commit-tree", "-m", "x", strings.TrimSpace(string(tree)))
	w.git("branch", "evil", evil)
	if _, _, err := w.keep(evil); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
}

func TestSubmodulesAreNamed(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"a": "1"})
	w.git("update-index", "--add", "--cacheinfo", "160000,"+c+",vendor/lib")
	st, _, err := w.keep(w.commit(nil))
	if err != nil || len(st.Omitted) != 1 || st.Omitted[0] != repopath.Path("vendor/lib") {
		t.Errorf("%+v, %v", st, err)
	}
}
