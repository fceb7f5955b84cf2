// Package ignore says what git and .pipeignore leave out.
//
// Rules are what holds in one directory. A walk begins with Repo.Rules, which
// reads what lies above its top, and calls Enter with the ignore files of each
// directory on its way down. Match then answers for a name, without touching the
// disk. Digest names the rules: while it is the same, so are the answers, and the
// stat index may keep them.
//
// The rules are those of gitignore(5), and where the page is silent, what git
// does; a test compares the two at random. They are computed here, because asking
// git check-ignore costs a process in each command, and because go-git's matcher
// differs from git. A .pipeignore is read like a .gitignore. Unlike git,
// Rules do not look at the index: a tracked file that a pattern matches is ignored.
package ignore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Rules say what is ignored in one directory: the repository's own rules and
// those of the ignore files on the way down. They never change, so that
// goroutines share them.
type Rules struct {
	dir   string     // from where the rules began, with a slash behind it; "" at the top
	lists []list     // from the weakest source to the strongest: later ones win
	fold  bool       // core.ignoreCase
	key   digest.Key // of all that led here: fold, names, contents of the files
}

// list is the patterns of one file.
type list struct {
	from     int // length of the directory's name that the patterns are relative to
	patterns []pattern
}

// NoRepoRules returns the rules above the top of a directory tree that is no repository: none.
func NoRepoRules() *Rules { return rulesAbove(nil, false) }

// Repo says where a repository keeps the rules that hold above a directory.
type Repo struct {
	Root      string   // the top of the work tree
	GitDir    string   // of this work tree
	CommonDir string   // of all its work trees
	Env       []string // in the form of os.Environ
}

// Rules returns the rules that hold in dir before its own files are read:
// core.excludesFile, .git/info/exclude and the .gitignore of each directory
// above. A walker of dir calls Enter("", files) on them first.
func (r Repo) Rules(dir repopath.Path) (*Rules, error) {
	if dir == repopath.Root {
		return r.rootRules()
	}
	up := dir.Dir()
	rules, err := r.Rules(up)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.Root, filepath.FromSlash(string(up)), ".gitignore")
	if st, err := os.Lstat(file); err == nil && st.Mode().IsRegular() { // git does not follow a symlink here
		b, err := readIgnore(file)
		if err != nil {
			return nil, err
		}
		rules = rules.Enter("", [][]byte{b})
	}
	return rules.Enter(dir.Base(), nil), nil
}

// rootRules returns the rules from outside the work tree. Of these info/exclude is the
// stronger, so it comes last; every .gitignore is stronger than both. Where
// core.excludesFile is not set, git reads $XDG_CONFIG_HOME/git/ignore.
func (r Repo) rootRules() (*Rules, error) {
	conf, err := r.config()
	if err != nil {
		return nil, err
	}
	global, ok := conf.values["core.excludesfile"]
	if !ok {
		global = filepath.Join(conf.home(), "git", "ignore")
	}
	var files [][]byte
	for _, f := range []string{under(r.Root, conf.expand(global)), filepath.Join(r.CommonDir, "info", "exclude")} {
		b, err := readIgnore(f)
		if err != nil {
			return nil, err
		}
		files = append(files, b)
	}
	return rulesAbove(files, isTrue(conf.values["core.ignorecase"])), nil
}

// rulesAbove begins a chain of rules. fold is part of the key, as it changes what
// patterns match.
func rulesAbove(files [][]byte, fold bool) *Rules {
	r := &Rules{fold: fold}
	f := digest.NewFrame("ignore rules 1")
	f.Bool(fold)
	r.key = f.Sum()
	return r.Enter("", files)
}

// readIgnore returns nothing for a file that is not there, or for a directory of that
// name, which git passes over, too. Any other failure is an error: without its rules,
// files would become inputs that are none.
func readIgnore(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && st.IsDir() {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ignore rules: %w", err)
	}
	return b, nil
}

// Enter returns the rules inside the directory name, whose ignore files
// (.gitignore, then .pipeignore) have the given contents. An empty name stays in
// the directory and only adds files. Git never goes into an ignored directory;
// a walker that does, because the directory was asked for by name, finds there what
// the patterns say of each name alone.
//
// The key goes on from the key of the rules above and covers the whole files. So a
// comment that changes makes a new key: that costs one new judgement, never a wrong
// one. r is not changed; its list is copied when it grows, for other directories
// share it.
func (r *Rules) Enter(name string, files [][]byte) *Rules {
	in := &Rules{dir: r.dir, lists: r.lists, fold: r.fold}
	if name != "" {
		in.dir += name + "/"
	}
	f := digest.NewFrame("ignore rules 1")
	f.Bytes(r.key[:])
	f.String(name)
	for _, b := range files {
		f.Bytes(b)
		l := list{from: len(in.dir), patterns: parsePatterns(b, in.fold)}
		if len(l.patterns) > 0 {
			in.lists = append(in.lists[:len(in.lists):len(in.lists)], l)
		}
	}
	in.key = f.Sum()
	return in
}

// Match reports whether the entry name of the directory is ignored. Of several
// patterns that match, the last counts, so the search goes backwards and ends at the
// first hit. A symlink to a directory counts as a file, as in git. Match looks at the
// name alone: whether a directory above is ignored is the walker's business.
func (r *Rules) Match(name string, isDir bool) bool {
	var buf [256]byte
	path := append(append(buf[:0], r.dir...), name...)
	base := path[len(r.dir):]
	for i := len(r.lists) - 1; i >= 0; i-- {
		l := &r.lists[i]
		for j := len(l.patterns) - 1; j >= 0; j-- {
			if p := &l.patterns[j]; p.match(path[l.from:], base, isDir, r.fold) {
				return !p.negated
			}
		}
	}
	return false
}

// Digest identifies the rules together with the directory that they hold in:
// while it is the same, Match gives the same answers.
func (r *Rules) Digest() digest.Key { return r.key }
