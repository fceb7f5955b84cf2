package gitlog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/diag"
)

// Resolve returns the full hash of the commit that rev names: a hash or at
// least 4 digits of one, a branch, a remote branch, a tag, HEAD or @, each
// followed by any ~n and ^n. Other forms of gitrevisions(7) are asked of the
// git program. It fails with diag.NotFound.
func (r *Repo) Resolve(ctx context.Context, rev string) (string, error) {
	o := r.objects()
	defer o.close()
	h, err := r.resolve(o, rev)
	if err == nil {
		return h.String(), nil
	}
	if !errors.Is(err, &diag.Error{Kind: diag.NotFound}) {
		return "", err
	}
	out, gitErr := r.git(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if s := strings.TrimSpace(string(out)); gitErr == nil && plumbing.IsHash(s) {
		return s, nil
	}
	return "", err
}

func (r *Repo) resolve(o *objects, rev string) (plumbing.Hash, error) {
	base, steps := rev, ""
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base, steps = rev[:i], rev[i:]
	}
	h, err := r.named(o, base)
	if err != nil {
		return h, err
	}
	c, err := o.commit(h)
	if err != nil {
		return h, r.explain(h.String(), err)
	}
	for steps != "" {
		var ok bool
		if c, steps, ok, err = r.step(o, c, steps); err != nil {
			return h, r.explain(c.hash.String(), err)
		}
		if !ok {
			return h, noRev(rev)
		}
	}
	return c.hash, nil
}

func noRev(rev string) *diag.Error {
	return diag.New(diag.NotFound, "no commit is named %q here", rev).Hinted("git fetch --all --tags, or see git log --oneline --all")
}

// step follows one ~n or ^n; not ok when there is no such parent or form.
func (r *Repo) step(o *objects, c commit, steps string) (_ commit, rest string, ok bool, err error) {
	op, rest := steps[0], steps[1:]
	if after, ok := strings.CutPrefix(rest, "{}"); ok && op == '^' {
		return c, after, true, nil
	}
	if after, ok := strings.CutPrefix(rest, "{commit}"); ok && op == '^' {
		return c, after, true, nil
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	n := 1
	if digits > 0 {
		if n, err = strconv.Atoi(rest[:digits]); err != nil {
			return c, "", false, nil
		}
	}
	rest = rest[digits:]
	if n == 0 {
		return c, rest, true, nil
	}
	parent, times := 1, n
	if op == '^' {
		parent, times = n, 1
	}
	cut := r.shallowCommits()
	for range times {
		if parent > len(c.parents) || cut[c.hash] {
			return c, "", false, nil
		}
		if c, err = o.commit(c.parents[parent-1]); err != nil {
			return c, "", false, err
		}
	}
	return c, rest, rest == "" || rest[0] == '~' || rest[0] == '^', nil
}

// named finds what a name without steps means, in git's order.
func (r *Repo) named(o *objects, name string) (plumbing.Hash, error) {
	if plumbing.IsHash(name) {
		h := plumbing.NewHash(name)
		if _, err := o.commit(h); errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, errNotCommit) {
			return h, noRev(name)
		}
		return h, nil
	}
	if name == "@" {
		name = "HEAD"
	}
	if name == "" || strings.Contains(name, "..") || strings.HasPrefix(name, "/") || strings.ContainsAny(name, " :?*[\\\x00") {
		return plumbing.ZeroHash, noRev(name)
	}
	for _, form := range []string{"%s", "refs/%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s", "refs/remotes/%s/HEAD"} {
		if form == "%s" && !strings.HasPrefix(name, "refs/") && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			continue // files of .git that are no reference
		}
		if _, h, err := r.follow(fmt.Sprintf(form, name)); err == nil && !h.IsZero() {
			return h, nil
		}
	}
	return o.abbreviated(name)
}

// abbreviated finds the one commit whose hash begins with the digits.
func (o *objects) abbreviated(digits string) (plumbing.Hash, error) {
	none := plumbing.ZeroHash
	digits = strings.ToLower(digits)
	prefix, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil || len(digits) < 4 || len(digits) > 40 {
		return none, noRev(digits)
	}
	found := map[plumbing.Hash]bool{}
	for _, s := range o.stores {
		all, err := s.HashesWithPrefix(prefix)
		if err != nil {
			return none, err
		}
		for _, h := range all {
			if !strings.HasPrefix(h.String(), digits) {
				continue
			}
			if c, err := o.commit(h); err == nil {
				found[c.hash] = true
			}
		}
	}
	if len(found) > 1 {
		return none, diag.New(diag.NotFound, "%s begins the hash of %d commits", digits, len(found)).Hinted("give more digits")
	}
	for h := range found {
		return h, nil
	}
	return none, noRev(digits)
}
