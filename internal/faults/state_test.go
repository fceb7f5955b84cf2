//go:build linux && amd64

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"syscall"

	"github.com/pipe-build/pipe/pkg/digest"
)

// state is what a world is like: for each thing that is compared, what it is.
type state struct {
	same map[string]string // must be equal
	kept []string          // objects and records, which must not become fewer
}

// state describes a world. The digest of stamp, which is another one in each run of its
// command, is called STAMP: wherever the undisturbed run has it, all must have the one
// that lies in the workspace.
func (w *world) state() *state {
	w.t.Helper()
	s := &state{same: map[string]string{}}
	say := func(what, is string) { s.same[what] = is }
	for _, top := range []string{"work", "tmp", "got"} {
		w.tree(top, say)
	}
	w.git(say)
	for _, verb := range []string{"status --exit-code", "verify", "verify --remote"} {
		r := w.pipe(strings.Fields(verb)...)
		say("exit code of "+verb, fmt.Sprint(r.code))
	}
	w.live(say)
	w.elsewhere(say)
	s.kept = append(w.objects("work/.pipe/cache", w.path("work", ".pipe", "cache")), w.objects("remote", w.store())...)
	stamp, err := os.ReadFile(w.path("work", "stamp"))
	if err == nil {
		name := strings.NewReplacer(digest.Of(stamp).Hex(), "STAMP", string(stamp), "STAMP")
		for what, is := range s.same {
			s.same[what] = name.Replace(is)
		}
		for i := range s.kept {
			s.kept[i] = name.Replace(s.kept[i])
		}
	}
	sort.Strings(s.kept)
	return s
}

// tree tells every file below a directory but git's, the stores and what is made again
// at no loss.
func (w *world) tree(top string, say func(what, is string)) {
	leave := regexp.MustCompile(`^work/(\.git|\.pipe/(cache|declared\.json|index|lock|\.gitignore|partial|remotes|runs|seconds|sources))$`)
	waste := w.waste()
	err := filepath.WalkDir(w.path(top), func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.dir, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if leave.MatchString(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		is := d.Type().String()
		switch {
		case d.IsDir() && strings.HasPrefix(rel, "work/.pipe"): // made when needed
			return nil
		case d.Type() == fs.ModeSymlink:
			is, err = os.Readlink(path)
		case d.Type().IsRegular():
			var b []byte
			b, err = os.ReadFile(path)
			is = string(b)
			if info, ierr := d.Info(); ierr == nil && info.Sys().(*syscall.Stat_t).Nlink > 1+waste[inode(info)] {
				is += " (has another name)" // who writes to one would change the other
			}
			if strings.HasSuffix(rel, "/pipe.lock") {
				is = regexp.MustCompile(`(?m)^ *sum: .*\n`).ReplaceAllString(is, "")
			}
		}
		say(rel, is)
		return err
	})
	must(w.t, err)
}

// waste counts the names of each file in what pipe has yet to remove, which nobody writes to.
func (w *world) waste() map[uint64]uint64 {
	names := map[uint64]uint64{}
	for _, dir := range []string{"tmp", "trash"} {
		_ = filepath.WalkDir(w.path("work", ".pipe", dir), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // what is not there has no names
			}
			if info, err := d.Info(); err == nil {
				names[inode(info)]++
			}
			return nil
		})
	}
	return names
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// git tells what git thinks, and that nothing of pipe's is in its way.
func (w *world) git(say func(what, is string)) {
	for _, c := range []string{"log --format=%s", "status --porcelain", "ls-files -s -- src", "show HEAD:pipe.lock", "fsck --connectivity-only"} {
		r := w.run("git", strings.Fields(c)...)
		is := regexp.MustCompile(`(?m)^( *sum: |dangling ).*\n`).ReplaceAllString(r.text, "")
		say("git "+c, fmt.Sprintf("%d %s", r.code, is))
	}
	locks, err := filepath.Glob(w.path("work", ".git", "*.lock"))
	must(w.t, err)
	say("locks of git", fmt.Sprint(locks))
}

// live tells what the deploy stage said last, and what the environment says about it.
func (w *world) live(say func(what, is string)) {
	b, err := os.ReadFile(w.path("live", "log"))
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	say("live", lines[len(lines)-1])
	var env struct {
		Stages map[string]struct{ Status, Key string }
	}
	b, err = os.ReadFile(filepath.Join(w.store(), "projects", "shop", "env", "default", "state"))
	must(w.t, err)
	must(w.t, json.Unmarshal(b, &env))
	say("environment", fmt.Sprint(env.Stages))
}

// elsewhere tells what a second workspace with the same sources and lock pulls.
func (w *world) elsewhere(say func(what, is string)) {
	second := &world{w.t, w.path("second"), w.s3}
	must(w.t, os.MkdirAll(second.path("work"), 0o755))
	for _, name := range []string{"pipe.yaml", "pipe.lock", "src"} {
		b, err := os.ReadFile(w.path("work", name))
		must(w.t, err)
		second.write(name, string(b))
	}
	r := second.execute(program(), []string{"pull"}, func(cmd *exec.Cmd) {
		if w.s3 == nil {
			cmd.Env = append(cmd.Env, "PIPE_REMOTE="+w.store())
		}
		_ = cmd.Run()
	})
	say("exit code of a pull elsewhere", fmt.Sprint(r.code))
	if r.code == 0 {
		second.tree("work", func(what, is string) { say("elsewhere "+what, is) })
	}
}

// objects lists what a store has, by names that are digests and keys.
func (w *world) objects(name, dir string) (names []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			names = append(names, name+regexp.MustCompile(`/[0-9a-f]{2}/`).ReplaceAllString(strings.TrimPrefix(path, dir), "/"))
		}
		return err
	})
	must(w.t, err)
	return names
}

// recorded returns the outputs of each record of the remote.
func (w *world) recorded() map[string][]string {
	all := map[string][]string{}
	records, err := filepath.Glob(filepath.Join(w.store(), "runs", "k1", "*", "*"))
	must(w.t, err)
	for _, name := range records {
		b, err := os.ReadFile(name)
		must(w.t, err)
		var record struct{ Outs []struct{ Digest string } }
		must(w.t, json.Unmarshal(b, &record))
		for _, o := range record.Outs {
			all[filepath.Base(name)] = append(all[filepath.Base(name)], strings.TrimPrefix(o.Digest, "blake3:"))
		}
	}
	return all
}

// compare checks a world against the undisturbed one.
func (w *world) compare(s *scenario, want *state) {
	w.t.Helper()
	got := w.state()
	for what, is := range want.same {
		if got.same[what] != is {
			w.t.Errorf("%s is\n%s", what, difference(got.same[what], is))
		}
	}
	for what, is := range got.same {
		if _, ok := want.same[what]; !ok && !temporary(what) {
			w.t.Errorf("left behind: %s: %.40q", what, is)
		}
	}
	for _, name := range want.kept {
		if !slices.Contains(got.kept, name) && !slices.Contains(got.kept, strings.Replace(name, "work/.pipe/cache/", "remote/", 1)) {
			w.t.Errorf("lost: %s", name)
		}
	}
	rest := w.rest(s, got, want)
	if len(rest) == 0 {
		return
	}
	// What a killed process left in a store may be a living one's until it is a day old.
	w.do("find .pipe "+w.store()+" -exec touch -h -d 2020-01-01 {} +", "pipe gc --yes", "pipe push")
	for _, name := range w.rest(s, w.state(), want) {
		if slices.Contains(rest, name) {
			w.t.Errorf("left behind for ever: %s", name)
		}
	}
}

// rest lists what the undisturbed run does not leave in a store. A command that ran
// twice has left more objects, which are garbage like others.
func (w *world) rest(s *scenario, got, want *state) (names []string) {
	for what := range got.same {
		if _, ok := want.same[what]; !ok && temporary(what) && !tolerated.MatchString(what) {
			names = append(names, what)
		}
	}
	object := regexp.MustCompile(`/(files|trees|inputs|logs|runs)/(blake3|k1)/[0-9a-f]{64}$`)
	// A deployment that was tried twice stands in the history twice.
	history := regexp.MustCompile(`^remote/projects/shop/env/default/log/[0-9]+(\.lock)?$`)
	for _, name := range got.kept {
		if w.s3 != nil && strings.HasPrefix(name, "remote/probe/") {
			continue // a few bytes that only a lifecycle rule can know to be old
		}
		if history.MatchString(name) {
			continue
		}
		if !slices.Contains(want.kept, name) && (s.exact || !object.MatchString(name)) {
			names = append(names, name)
		}
	}
	return names
}

// temporary says whether a file is one that pipe puts somewhere until it is done, or that could
// not be removed and waits for pipe gc --yes.
func temporary(name string) bool {
	return strings.HasPrefix(name, "tmp/") || strings.HasPrefix(name, "work/.pipe/tmp/") || strings.HasPrefix(name, "work/.pipe/trash/") || strings.Contains(name, "/.tmp-")
}

// tolerated is left behind, one small file for each kill at such a point: what lies in the
// system's directory for temporary files, which the system clears, and the next version of the
// index, which those who only read write without a lock.
var tolerated = regexp.MustCompile(`^(tmp/pipe-commit-|work/\.pipe/\.tmp-)`)

// difference shows the lines that only one of two texts has.
func difference(got, want string) string {
	var b strings.Builder
	only := func(sign, a, b2 string) {
		for _, line := range strings.Split(a, "\n") {
			if !slices.Contains(strings.Split(b2, "\n"), line) {
				fmt.Fprintf(&b, "%s %.200q\n", sign, line)
			}
		}
	}
	only("-", want, got)
	only("+", got, want)
	return b.String()
}
