package gitlog

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// LeftOut returns the tracked files that a sparse checkout leaves out of the work tree: those with
// git's skip-worktree bit. A user may set the bit for other reasons, so the file may be there. In
// a clone that never was sparse it costs one look at a file; otherwise git lists its index.
func (r *Repo) LeftOut(ctx context.Context) (files []repopath.Path, err error) {
	if !exists(filepath.Join(r.gitDir, "info", "sparse-checkout")) {
		return nil, nil
	}
	out, err := r.git(ctx, nil, "ls-files", "-t", "-z")
	for line := range strings.SplitSeq(string(out), "\x00") {
		if name, ok := strings.CutPrefix(line, "S "); ok {
			files = append(files, repopath.Path(name))
		}
	}
	return files, err
}

// Attributes returns what gitattributes(5) say of files: for each file, in the order of files, the
// value of each attribute, in the order of names; "unspecified" where nothing is said.
func (r *Repo) Attributes(ctx context.Context, files []repopath.Path, names ...string) ([][]string, error) {
	var in strings.Builder
	for _, f := range files {
		in.WriteString(string(f) + "\x00")
	}
	out, err := r.git(ctx, strings.NewReader(in.String()), append([]string{"check-attr", "-z", "--stdin"}, names...)...)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(string(out), "\x00") // path, attribute, value, path, ...
	all := make([][]string, len(files))
	for i := range all {
		for range names {
			if len(fields) > 3 {
				all[i], fields = append(all[i], fields[2]), fields[3:]
			}
		}
	}
	return all, nil
}

// Setting returns a value of git's configuration, "" where it is not set.
func (r *Repo) Setting(ctx context.Context, name string) string {
	out, err := r.git(ctx, nil, "config", "--get", name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
