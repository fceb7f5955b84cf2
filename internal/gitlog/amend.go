package gitlog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
)

// changed is the file in the next commit.
type changed struct {
	file entry
	tree string // the top one, that has it
}

// change writes the file and its trees. It returns nil when the tip has it already.
func (u *publishing) change(ctx context.Context, tip string) (*changed, error) {
	way, old, err := u.read(ctx, tip)
	if diag.Is(err, diag.Network) {
		return nil, again(Unreachable, said(err.Error()))
	}
	if err != nil {
		return nil, err
	}
	data, err := u.File(old)
	if err != nil || data == nil || old != nil && bytes.Equal(old, data) {
		return nil, err
	}
	if err := u.r.atRest(); err != nil {
		return nil, refuse(InProgress, err.Error())
	}
	c := &changed{file: entry{mode: way.mode()}}
	if c.file.hash, err = u.r.write(ctx, "blob", data); err != nil {
		return nil, err
	}
	c.tree, err = u.r.plant(ctx, way, c.file)
	return c, err
}

// read returns the way to the file on a tip, and the file; nil: there is none.
func (u *publishing) read(ctx context.Context, tip string) (*way, []byte, error) {
	way, err := u.r.wayTo(ctx, tip, u.Path)
	if err != nil || !way.file.isFile() {
		return way, nil, err
	}
	old, err := u.r.blob(ctx, way.file.hash)
	return way, old, err
}

// parents returns the parents of the commit, nil when the branch for it has such a commit already.
// A branch that is not a part of the tip becomes the second parent, so that nothing is forced.
func (u *publishing) parents(ctx context.Context, tips map[string]string, c *changed) ([]string, error) {
	tip, to := tips[u.Branch], tips[u.target()]
	if to == "" || to == tip {
		return []string{tip}, nil
	}
	// As the commit itself names its parents: in a shallow clone git counts it as having none.
	out, err := u.r.git(ctx, nil, "cat-file", "commit", to)
	if err != nil {
		return nil, err
	}
	header, _, _ := strings.Cut(string(out), "\n\n")
	lines := strings.Split(header, "\n")
	if slices.Contains(lines, "tree "+c.tree) && slices.Contains(lines, "parent "+tip) {
		return nil, nil
	}
	// Where that is not known, one parent too many does no harm.
	yes, _, err := u.r.isAncestor(ctx, to, tip)
	if yes || err != nil {
		return []string{tip}, err
	}
	return []string{tip, to}, nil
}

// blob returns the bytes of a file, not nil when it is empty. A partial clone fetches it.
func (r *Repo) blob(ctx context.Context, hash string) ([]byte, error) {
	out, err := r.local(ctx, "cat-file", "blob", hash)
	if failed(err) && r.partial() {
		if err = r.Fetch(ctx, []string{hash}); err == nil {
			out, err = r.local(ctx, "cat-file", "blob", hash)
		}
	}
	return append([]byte{}, out...), err
}

// commit runs the hooks that git commit would, and writes the commit.
func (u *publishing) commit(ctx context.Context, c *changed, parents []string) (string, error) {
	names, err := u.names(ctx)
	if err != nil {
		return "", err
	}
	message, err := u.askHooks(ctx, c, parents[0], names)
	if err != nil {
		return "", err
	}
	r := *u.r
	r.env = append(slices.Clone(r.env), names...)
	hash, err := r.seal(ctx, c.tree, message, parents...)
	if no := (unsigned{}); errors.As(err, &no) {
		return "", refuse(Unsigned, said(stderrOf(err)))
	}
	return hash, err
}

// names returns the variables with the author and the committer, where git itself has none.
func (u *publishing) names(ctx context.Context) (env []string, err error) {
	for _, role := range roles() {
		if why := u.r.nameless(ctx, role); why == nil {
			continue
		}
		if u.Name == "" || u.Email == "" {
			return nil, refuse(NoIdentity, "git has no author name or email")
		}
		env = append(env, "GIT_"+role+"_NAME="+u.Name, "GIT_"+role+"_EMAIL="+u.Email)
	}
	return env, nil
}

// askHooks runs those of git's hooks that may refuse a commit or change its message, and returns the
// message. The index and the message that they see lie outside of the repository.
func (u *publishing) askHooks(ctx context.Context, c *changed, parent string, env []string) (string, error) {
	dir, err := u.r.Hooks(ctx)
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "pipe-commit-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // a temporary directory
	index, message := filepath.Join(tmp, "index"), filepath.Join(tmp, "COMMIT_EDITMSG")
	if err := os.WriteFile(message, []byte(strings.TrimRight(u.Message, "\n")+"\n"), 0o666); err != nil {
		return "", err
	}
	env = append(env, "GIT_INDEX_FILE="+index, "GIT_EDITOR=:")
	for _, args := range [][]string{{"pre-commit"}, {"prepare-commit-msg", message, "message"}, {"commit-msg", message}} {
		hook := filepath.Join(dir, args[0])
		if !runs(hook) {
			continue
		}
		// Only now: in a partial clone the whole tree may have to be fetched.
		if !exists(index) {
			if err := u.fillIndex(ctx, index, c, parent); err != nil {
				return "", err
			}
		}
		if err := u.askHook(ctx, hook, args[1:], env); err != nil {
			return "", err
		}
	}
	b, err := readFile(message)
	if err == nil && len(bytes.TrimSpace(b)) == 0 {
		err = refuse(Hook, "a hook has emptied the commit message")
	}
	return string(b), err
}
