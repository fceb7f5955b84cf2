package gitlog

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// way is what a commit has on the way to a file.
type way struct {
	names []string   // of the directories, and of the file
	trees [][]string // for each name, what else is in its directory, as git ls-tree prints it
	file  entry      // what is there; the zero entry: nothing
}

// mode returns the one that the next version of the file gets.
func (w *way) mode() string {
	if w.file.isFile() {
		return w.file.mode
	}
	return "100644"
}

// wayTo reads the trees between a commit, "" for none, and a file: no others, so that a partial
// clone fetches no others.
func (r *Repo) wayTo(ctx context.Context, commit string, path repopath.Path) (*way, error) {
	w := &way{names: strings.Split(string(path), "/")}
	w.trees = make([][]string, len(w.names))
	tree := commit
	for i, name := range w.names {
		if tree == "" {
			break
		}
		rows, err := r.rows(ctx, tree)
		if err != nil {
			return nil, err
		}
		var at entry
		w.trees[i] = slices.DeleteFunc(rows, func(row string) bool {
			if _, other, _ := strings.Cut(row, "\t"); other != name {
				return false
			}
			at = parseEntry([]byte(row))
			return true
		})
		last := i == len(w.names)-1
		if at.hash != "" && !last != at.isDir() {
			what := "not a directory"
			if last {
				what = "a directory"
			}
			where := short(commit) + ":" + strings.Join(w.names[:i+1], "/")
			return nil, diag.New(diag.Policy, "is %s, so %s cannot be committed", what, path).At(where).Hinted("git show %s", where)
		}
		if tree = at.hash; last {
			w.file = at
		}
	}
	return w, nil
}

// rows returns the entries of a tree, which may be given by its commit, as git ls-tree prints
// them. A tree that a partial clone lacks is fetched alone: git itself would fetch all that lie
// below it, too.
func (r *Repo) rows(ctx context.Context, tree string) ([]string, error) {
	out, err := r.local(ctx, "ls-tree", "-z", "--full-tree", tree)
	if failed(err) && r.partial() {
		lacking := tree
		if commit, err := r.local(ctx, "cat-file", "commit", tree); err == nil {
			lacking = head(commit[len("tree "):], len(tree))
		}
		if err = r.fetchKeptBack(ctx, "tree:0", []string{lacking}); err == nil {
			out, err = r.local(ctx, "ls-tree", "-z", "--full-tree", tree)
		}
	}
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// local runs git on what is here: a partial clone fetches nothing.
func (r *Repo) local(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := r.command(ctx, args...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, "GIT_ALLOW_PROTOCOL=none")
	return output(cmd)
}

// plant writes the trees that have a file at the end of a way, and else what they had, and returns
// the top one. Nothing that the user has staged gets into them. What they name need not be here.
func (r *Repo) plant(ctx context.Context, w *way, file entry) (tree string, err error) {
	kind := " blob "
	for i, name := range slices.Backward(w.names) {
		raw, err := encodeTree(append(slices.Clone(w.trees[i]), file.mode+kind+file.hash+"\t"+name))
		if err != nil {
			return "", err
		}
		file, kind = entry{mode: "040000"}, " tree "
		if file.hash, err = r.write(ctx, "tree", raw); err != nil {
			return "", err
		}
	}
	return file.hash, nil
}

// write writes an object and returns its hash. Trees, too: git mktree does not sync what it writes.
func (r *Repo) write(ctx context.Context, kind string, data []byte) (hash string, err error) {
	out, err := r.git(ctx, bytes.NewReader(data), "hash-object", "-w", "-t", kind, "--stdin")
	return strings.TrimSpace(string(out)), err
}

// encodeTree returns the bytes of the tree object that has the rows: "mode SP name NUL hash" for
// each, in the order of the names, where that of a directory counts as ending in a slash.
func encodeTree(rows []string) ([]byte, error) {
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(sortName(a), sortName(b)) })
	var raw []byte
	for _, row := range rows {
		info, name, _ := strings.Cut(row, "\t")
		f := strings.Fields(info)
		hash, err := hex.DecodeString(f[2])
		if err != nil {
			return nil, err
		}
		raw = append(raw, strings.TrimLeft(f[0], "0")+" "+name+"\x00"...)
		raw = append(raw, hash...)
	}
	return raw, nil
}

// sortName returns what git compares of a row.
func sortName(row string) string {
	info, name, _ := strings.Cut(row, "\t")
	if strings.HasPrefix(info, "040000 ") {
		name += "/"
	}
	return name
}
