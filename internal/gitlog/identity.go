package gitlog

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

// identity is one line of a commit: "Name <email> 1700000000 +0100".
type identity string

// identity finds the AUTHOR or the COMMITTER as git does: environment, then
// configuration. The git program is asked when it is there, as only it follows
// every includeIf and reads every form of date.
func (r *Repo) identity(ctx context.Context, role string) (identity, error) {
	name, email := r.env.get("GIT_"+role+"_NAME"), r.env.get("GIT_"+role+"_EMAIL")
	date := r.env.get("GIT_" + role + "_DATE")
	if name != "" && email != "" && date == "" {
		return sign(name, email, r.now()), nil
	}
	out, err := r.git(ctx, nil, "-c", "user.useConfigOnly=true", "var", "GIT_"+role+"_IDENT")
	switch {
	case err == nil && date != "":
		return identity(strings.TrimSpace(string(out))), nil
	case err == nil:
		who, _ := parseIdent(strings.TrimSpace(string(out)))
		return identity(who + " " + stamp(r.now())), nil
	case !errors.Is(err, errNoProgram):
		return "", noIdentity(err)
	}
	return r.plainIdentity(role, name, email, date)
}

// plainIdentity does without the git program.
func (r *Repo) plainIdentity(role, name, email, date string) (identity, error) {
	conf, err := r.allSettings()
	if err != nil {
		return "", err
	}
	for _, section := range []string{strings.ToLower(role), "user"} {
		if v, _ := conf.get(section + ".name"); name == "" {
			name = v
		}
		if v, _ := conf.get(section + ".email"); email == "" {
			email = v
		}
	}
	if email == "" {
		email = r.env.get("EMAIL")
	}
	if name == "" || email == "" {
		return "", noIdentity(nil)
	}
	when := r.now()
	if date != "" {
		if when, err = parseDate(date); err != nil {
			return "", diag.New(diag.Usage, "GIT_%s_DATE is %q, which is no date", role, date).Hinted("write it as 2006-01-02T15:04:05Z")
		}
	}
	return sign(name, email, when), nil
}

func noIdentity(err error) error {
	e := diag.New(diag.Usage, "git does not know who commits")
	e.Err = err
	return e.Hinted("git config user.name NAME && git config user.email ADDRESS; on CI set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL")
}

func sign(name, email string, when time.Time) identity {
	clean := strings.NewReplacer("<", "", ">", "", "\n", "", "\x00", "")
	return identity(strings.TrimSpace(clean.Replace(name)) + " <" + strings.TrimSpace(clean.Replace(email)) + "> " + stamp(when))
}

func stamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) + " " + t.Format("-0700") }

// parseDate reads git's internal form and RFC 3339.
func parseDate(s string) (time.Time, error) {
	sec, zone, _ := strings.Cut(strings.TrimPrefix(s, "@"), " ")
	if n, err := strconv.ParseInt(sec, 10, 64); err == nil {
		if zone == "" {
			zone = "+0000"
		}
		z, err := time.Parse("-0700", zone)
		return time.Unix(n, 0).In(z.Location()), err
	}
	return time.Parse(time.RFC3339, s)
}
