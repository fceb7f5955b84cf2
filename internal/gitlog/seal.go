package gitlog

import (
	"context"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
)

// seal writes a commit that has a tree. Parents that are "" are none. It fails with an unsigned
// when commit.gpgSign asks for a signature, and there is none.
func (r *Repo) seal(ctx context.Context, tree, message string, parents ...string) (string, error) {
	// useConfigOnly: git must not make up an address from the name of the machine.
	args := []string{"-c", "user.useConfigOnly=true", "commit-tree", tree, "-F", "-"}
	for _, p := range parents {
		if p != "" {
			args = append(args, "-p", p)
		}
	}
	text := strings.TrimRight(message, "\n") + "\n"
	// commit-tree does not look at commit.gpgSign, as git commit does.
	sign, _ := r.git(ctx, nil, "config", "--type=bool", "commit.gpgSign")
	if strings.TrimSpace(string(sign)) != "true" {
		out, err := r.git(ctx, strings.NewReader(text), args...)
		if failed(err) {
			err = r.explainIdentity(ctx, err)
		}
		return strings.TrimSpace(string(out)), err
	}
	out, err := r.git(ctx, strings.NewReader(text), append(args, "-S")...)
	if failed(err) {
		// Git's words depend on the program that signs. What works without -S failed for the
		// signature; the commit that this leaves is named by nothing.
		if _, plain := r.git(ctx, strings.NewReader(text), args...); plain == nil {
			return "", unsigned{err}
		}
		err = r.explainIdentity(ctx, err)
	}
	return strings.TrimSpace(string(out)), err
}

// unsigned is the error of a commit that could not be signed.
type unsigned struct{ error }

// Unwrap returns what git said.
func (u unsigned) Unwrap() error { return u.error }

// explainIdentity finds out whether a commit failed because git has no author name or
// email. It asks git again instead of reading its message, which may be translated.
func (r *Repo) explainIdentity(ctx context.Context, err error) error {
	for _, role := range roles() {
		if why := r.nameless(ctx, role); why != nil {
			e := diag.New(diag.Usage, "git has no author name or email")
			e.Err = why
			return e.Hinted("git config user.name NAME && git config user.email ADDRESS; on CI set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL")
		}
	}
	return err
}

// roles are those who make a commit, as git's variables call them.
func roles() []string { return []string{"AUTHOR", "COMMITTER"} }

// nameless returns the error of git when it has no name and email for a role.
func (r *Repo) nameless(ctx context.Context, role string) error {
	_, err := r.git(ctx, nil, "-c", "user.useConfigOnly=true", "var", "GIT_"+role+"_IDENT")
	return err
}
