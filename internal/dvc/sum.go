package dvc

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // DVC names bytes by it; pipe's own hash is computed beside it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Hashed is a file by both names, from one reading of it.
type Hashed struct {
	MD5    string // of the bytes
	Legacy string // as DVC 2 has it: of the text with LF line ends; of what is no text the same as MD5
	Digest digest.Digest
	Size   int64
}

// Is reports whether the file is what DVC names so.
func (h Hashed) Is(s Sum) bool {
	return !s.Dir && s.MD5 != "" && (s.Legacy && h.Legacy == s.MD5 || !s.Legacy && h.MD5 == s.MD5)
}

// of returns the sum under the same rule as another one.
func (h Hashed) of(legacy bool) string {
	if legacy {
		return h.Legacy
	}
	return h.MD5
}

// Hash reads a file once, and copies it to w, which may be nil.
func Hash(ctx context.Context, r io.Reader, w io.Writer) (h Hashed, err error) {
	plain, unix, blake := md5.New(), md5.New(), digest.NewHasher() //nolint:gosec // as above
	// DVC decides for each MiB by its first bytes whether it is text.
	buf := make([]byte, 1<<20)
	for {
		if ctx.Err() != nil {
			return h, context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buf)
		chunk := buf[:n]
		_, _ = plain.Write(chunk)
		_, _ = blake.Write(chunk)
		if isText(chunk[:min(n, 512)]) {
			_, _ = unix.Write(bytes.ReplaceAll(chunk, []byte("\r\n"), []byte("\n")))
		} else {
			_, _ = unix.Write(chunk)
		}
		h.Size += int64(n)
		if w != nil {
			if _, err := w.Write(chunk); err != nil {
				return h, err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return h, err
		}
	}
	h.MD5, h.Legacy, h.Digest = hex.EncodeToString(plain.Sum(nil)), hex.EncodeToString(unix.Sum(nil)), blake.Sum()
	return h, nil
}

// isText is DVC's guess by the first bytes: no NUL, and at most 3 of 10 that are no text.
func isText(b []byte) bool {
	other := 0
	for _, c := range b {
		switch {
		case c == 0:
			return false
		case c >= 32 && c < 127, c == '\n', c == '\r', c == '\t', c == '\f', c == '\b':
		default:
			other++
		}
	}
	return 10*other <= 3*len(b)
}

// Entry is a file of a directory's list.
type Entry struct {
	MD5  string `json:"md5"`
	Path string `json:"relpath"` // with slashes, relative to the directory
}

// parseList reads the list of a directory's files. Paths that leave it are refused: a list comes from
// a store that others may write.
func parseList(data []byte) ([]Entry, error) {
	var raw []Entry
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("not a list of files: %w", err)
	}
	for _, e := range raw {
		if _, ok := ParseSum(e.MD5, false); !ok || strings.HasSuffix(e.MD5, dirSuffix) {
			return nil, fmt.Errorf("file %q has no md5", e.Path)
		}
		if e.Path == "" || path.Clean(e.Path) != e.Path || path.IsAbs(e.Path) || e.Path == ".." || strings.HasPrefix(e.Path, "../") {
			return nil, fmt.Errorf("file %q is outside the directory", e.Path)
		}
	}
	return raw, nil
}

// encodeList writes a list as DVC does, whose md5 names it: entries sorted, keys sorted, Python's
// spacing, and what is not ASCII escaped.
func encodeList(all []Entry) []byte {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	b := []byte{'['}
	for i, e := range all {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, `{"md5": "`+e.MD5+`", "relpath": `...)
		b = append(appendASCII(b, e.Path), '}')
	}
	return append(b, ']')
}

// appendASCII appends a text as json.dumps of Python does.
func appendASCII(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r >= 32 && r < 127:
			b = append(b, byte(r))
		case r < 1<<16:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		}
	}
	return append(b, '"')
}

// SumOf returns the name of a list.
func SumOf(all []Entry, legacy bool) Sum {
	sum := md5.Sum(encodeList(all)) //nolint:gosec // as above
	return Sum{MD5: hex.EncodeToString(sum[:]), Dir: true, Legacy: legacy}
}

// Tree is what lies at a path of the workspace, by DVC's names.
type Tree struct {
	Dir   bool
	File  Hashed            // of a file
	Files map[string]Hashed // of a directory, by their paths in it; what .dvcignore names is left out
}

// Sum returns the name of it, under one of DVC's two rules.
func (t *Tree) Sum(legacy bool) Sum {
	if !t.Dir {
		return Sum{MD5: t.File.of(legacy), Legacy: legacy}
	}
	list := make([]Entry, 0, len(t.Files))
	for at, h := range t.Files {
		list = append(list, Entry{MD5: h.of(legacy), Path: at})
	}
	return SumOf(list, legacy)
}

// Files hashes what lies in a workspace, each file once.
type Files struct {
	root   string
	mu     sync.Mutex
	known  map[string]*Tree
	coming map[string][]byte // .dvcignore files that are not written yet, by their directories
}

// NewFiles returns those below root, the directory that has .dvc.
func NewFiles(root string) *Files { return &Files{root: root, known: map[string]*Tree{}} }

// At hashes what lies at a path relative to the root, with slashes. What is not there is
// fs.ErrNotExist.
func (f *Files) At(ctx context.Context, at string) (*Tree, error) {
	f.mu.Lock()
	t := f.known[at]
	f.mu.Unlock()
	if t != nil {
		return t, nil
	}
	name := filepath.Join(f.root, filepath.FromSlash(at))
	info, err := os.Stat(name) // DVC follows symlinks, too
	if err != nil {
		return nil, err
	}
	t = &Tree{Dir: info.IsDir()}
	if t.Dir {
		t.Files = map[string]Hashed{}
		var rules *ignore.Rules
		if rules, err = f.above(at); err == nil {
			err = f.dir(ctx, t, name, rules)
		}
	} else {
		t.File, err = hashFile(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.known[at] = t
	f.mu.Unlock()
	return t, nil
}

func hashFile(ctx context.Context, name string) (h Hashed, err error) {
	r, err := atomicfile.Open(name)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return Hash(ctx, r, nil)
}

// above returns the rules of the .dvcignore files in the directories above a path.
func (f *Files) above(at string) (*ignore.Rules, error) {
	rules, dir := ignore.NoRepoRules(), f.root
	if at == "." {
		return rules, nil
	}
	for elem := range strings.SplitSeq(at, "/") {
		b, err := f.ignoreFile(dir)
		if err != nil {
			return nil, err
		}
		rules, dir = rules.Enter("", b).Enter(elem, nil), filepath.Join(dir, elem)
	}
	return rules, nil
}

// dvcIgnore returns the patterns of a directory.
func dvcIgnore(dir string) ([][]byte, error) {
	b, err := atomicfile.Read(filepath.Join(dir, IgnoreFile), atomicfile.MaxNote)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return [][]byte{b}, nil
}

// dir hashes the files below a directory.
func (f *Files) dir(ctx context.Context, t *Tree, name string, rules *ignore.Rules) error {
	var files []string
	if err := f.walk(&files, name, "", rules); err != nil {
		return err
	}
	hashed := make([]Hashed, len(files))
	err := par.Each(ctx, len(files), runtime.GOMAXPROCS(0), func(ctx context.Context, i int) (err error) {
		hashed[i], err = hashFile(ctx, filepath.Join(name, filepath.FromSlash(files[i])))
		return err
	})
	for i, at := range files {
		t.Files[at] = hashed[i]
	}
	return err
}

// walk adds the files below a directory.
func (f *Files) walk(files *[]string, name, below string, rules *ignore.Rules) error {
	b, err := f.ignoreFile(name)
	if err != nil {
		return err
	}
	rules = rules.Enter("", b)
	entries, err := os.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		full, at := filepath.Join(name, e.Name()), path.Join(below, e.Name())
		info, err := os.Stat(full)
		if err != nil {
			return err
		}
		switch e.Name() {
		case ".git", ".hg", Dir:
			continue // DVC never looks into them
		}
		if rules.Match(e.Name(), info.IsDir()) || info.IsDir() && !e.IsDir() { // nor through a symlink to a directory
			continue
		}
		if info.IsDir() {
			if err := f.walk(files, full, at, rules.Enter(e.Name(), nil)); err != nil {
				return err
			}
			continue
		}
		*files = append(*files, at)
	}
	return nil
}
