package gitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/config"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Tracked tells which of the files and directories below dir git tracks: they, or
// anything inside them, have an entry in the index. One call of git answers for all
// of them. Where there is no git program, nothing is tracked.
func (r *Repo) Tracked(ctx context.Context, dir repopath.Path, paths []repopath.Path) (tracked []repopath.Path, err error) {
	if len(paths) == 0 {
		return nil, nil
	}
	args := []string{"ls-files", "-z", "--"}
	first := len(args)
	for _, p := range paths {
		args = append(args, string(dir.Child(string(p))))
	}
	out, err := r.git(ctx, nil, args...)
	if errors.Is(err, errNoProgram) {
		return nil, nil
	}
	names := strings.Split(string(out), "\x00")
	for i, p := range paths {
		at := repopath.Path(args[first+i])
		if slices.ContainsFunc(names, func(n string) bool { return n != "" && at.Holds(repopath.Path(n)) }) {
			tracked = append(tracked, p)
		}
	}
	return tracked, err
}

// Carries reports whether git tracks anything in a directory. It reads the index
// itself, to cost no process where the answer is no, which it nearly always is. Where
// git would have to be asked and there is none, that is an error: no is not known.
func (r *Repo) Carries(ctx context.Context, dir repopath.Path) (bool, error) {
	b, err := readFile(filepath.Join(r.gitDir, "index"))
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// The format is gitformat-index(5). Versions 2 and 3 have every path in full; 4
	// leaves out what a path shares with the one before, and a split index has a part
	// of its entries in another file, named in the extension "link". So for those git is
	// asked at once. The extension follows the zero bytes after the last entry, or the
	// extension IEOT of a large index; the size behind it begins with a zero byte. A
	// search of the bytes may find what is not a path, and then git has the last word;
	// what it does not find is not there.
	split := bytes.Contains(b, []byte("\x00link")) || bytes.Contains(b, []byte("IEOT")) && bytes.Contains(b, []byte("link\x00"))
	whole := len(b) > 8 && b[7] < 4 && !split
	if whole && !bytes.Contains(b, []byte(string(dir)+"/")) {
		return false, nil
	}
	names, err := r.git(ctx, nil, "ls-files", "-z", "--", string(dir))
	return len(names) > 0, err
}

// FileMode reports whether a file's mode tells that it is executable:
// core.fileMode, which git init finds out by trying, and which is true when it is
// not set. Where the mode does not tell, executable says what git's index has, if it
// knows the file; it reads the index once, when it is first called, and may be called
// by several goroutines. When the mode tells, executable is nil.
func (r *Repo) FileMode(ctx context.Context) (trust bool, executable func(repopath.Path) (exec, known bool, err error), err error) {
	// The repository's own configuration alone: asking git would cost every command a process.
	file := filepath.Join(r.commonDir, "config")
	b, err := readFile(file)
	if err != nil && !absent(err) {
		return false, nil, err
	}
	conf := config.New()
	if err := config.NewDecoder(bytes.NewReader(b)).Decode(conf); err != nil {
		return false, nil, fmt.Errorf("%s: %w", file, err)
	}
	switch v := strings.ToLower(conf.Section("core").Option("filemode")); v {
	case "false", "no", "off":
	default:
		// Git's booleans are also numbers, of which 0 is false.
		if n, err := strconv.Atoi(v); err != nil || n != 0 {
			return true, nil, nil
		}
	}
	read := sync.OnceValues(func() (map[string]bool, error) {
		out, err := r.git(ctx, nil, "ls-files", "-s", "-z")
		set := map[string]bool{}
		for line := range strings.SplitSeq(string(out), "\x00") {
			if info, name, ok := strings.Cut(line, "\t"); ok {
				set[name] = strings.HasPrefix(info, "100755 ")
			}
		}
		return set, err
	})
	return false, func(p repopath.Path) (exec, known bool, err error) {
		set, err := read()
		exec, known = set[string(p)]
		return exec, known, err
	}, nil
}
