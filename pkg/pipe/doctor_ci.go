package pipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
)

// ciDoctor looks at what CI needs.
type ciDoctor struct {
	p      *Project
	job    ci.Run
	branch string // that CI would commit to; "": not known
	checks []Check
}

// DoctorCI looks at what CI needs beyond Doctor, and changes nothing. What cannot be seen is said, and
// is no failure: a token that may not look at a setting is as good as another one.
func DoctorCI(ctx context.Context, opt Options) []Check {
	p, err := Open(ctx, opt)
	if err != nil {
		return nil // Doctor has said it
	}
	d := &ciDoctor{p: p, job: p.job()}
	d.system()
	d.secrets()
	if p.repo != nil {
		d.workflows(ctx)
		d.branches(ctx)
		d.clone()
		d.identity(ctx)
		d.push(ctx)
		d.gitHub(ctx)
	}
	d.remotes(ctx)
	if err := p.Close(); err != nil {
		d.failed("workspace", err)
	}
	return d.checks
}

func (d *ciDoctor) ok(name, text, hint string) {
	d.checks = append(d.checks, Check{Name: name, OK: true, Text: text, Hint: hint})
}

func (d *ciDoctor) failed(name string, err error) {
	e := diag.All(err)[0]
	d.checks = append(d.checks, Check{Name: name, Text: e.Error(), Hint: e.Hint})
}

// hidden says of an error that it is no finding.
func (d *ciDoctor) hidden(name string, err error) {
	e := diag.All(err)[0]
	d.ok(name, "not visible: "+e.Error(), e.Hint)
}

func (d *ciDoctor) system() {
	const name = "CI system"
	names := map[ci.System]string{ci.GitHub: "GitHub Actions", ci.GitLab: "GitLab CI", ci.CircleCI: "CircleCI", ci.Buildkite: "Buildkite"}
	switch {
	case d.job.System != ci.None && d.job.Number > 0:
		d.ok(name, fmt.Sprintf("%s, pull request %d of %s", names[d.job.System], d.job.Number, d.job.Repository), "")
	case d.job.System != ci.None:
		d.ok(name, names[d.job.System]+", "+d.job.Repository, "")
	case d.job.Active:
		d.ok(name, "unknown; pipe takes the branch from git", "")
	default:
		d.ok(name, "none; this is not a CI job", "where a CI system does not set CI, set it in the job: CI=true")
	}
}

// secrets names those that this job does not have: a deployment would go on with nothing in their place. On a
// machine of a person they need not be there.
func (d *ciDoctor) secrets() {
	if unset := d.p.unsetSecrets(); d.job.Active && len(unset) > 0 {
		d.ok("secrets", "not set: "+strings.Join(unset, ", "), "set them in the CI system, and hand them to the step as variables")
	}
}

// branches finds out which branch gets the lock's commit, and which one is the default.
func (d *ciDoctor) branches(ctx context.Context) {
	const name = "branch"
	usual, err := d.p.usualBranch(ctx)
	if err != nil {
		d.failed(name, err)
		return
	}
	at := d.p.branch(ctx)
	d.branch = cmp.Or(at, usual)
	what, about := at, cmp.Or(usual, "not known")
	switch {
	case d.job.Event == ci.OfPullRequest:
		what = "a pull request; pipe ci only builds and checks"
	case d.job.Event == ci.OfTag:
		what = "tag " + d.job.Tag + "; pipe ci does not commit pipe.lock"
	case at == "":
		what = "none: a commit is checked out, and no variable names its branch, so pipe ci does not commit pipe.lock"
	}
	hint := ""
	if usual == "" && d.p.spec.Deploys() && !d.p.spec.DeclaresEnvironments() && d.p.spec.DeployOn == "" {
		hint = "write deploy_on: BRANCH in pipe.yaml, or pipe ci deploys nothing"
	}
	d.ok(name, what+" (default branch: "+about+")", hint)
}

func (d *ciDoctor) clone() {
	if d.p.repo.Shallow() {
		d.ok("clone", "shallow or partial; enough for pipe ci, but pipe find sees only part of the history, and pipe gc needs all of it", "")
		return
	}
	d.ok("clone", "complete", "")
}

func (d *ciDoctor) identity(ctx context.Context) {
	who := cmp.Or(d.p.variable("GIT_AUTHOR_NAME"), d.p.repo.Setting(ctx, "user.name"))
	d.ok("git identity", cmp.Or(who, "none; pipe ci commits under a name of its own"), "")
}

// lockGoes is where the lock's commits go, "" for nowhere.
func (d *ciDoctor) lockGoes() string {
	mode := cmp.Or(d.p.spec.LockCommit, spec.LockPush)
	if mode == spec.LockOff || d.job.Event != "" && d.job.Event != ci.OfBranch {
		return ""
	}
	return mode
}

// push asks the git server whether it would take a push. A refusal fails only where pipe ci would push.
func (d *ciDoctor) push(ctx context.Context) {
	name := "git push to " + upstream
	if head, err := d.p.repo.Head(ctx); err == nil && head.Unborn {
		d.ok(name, "not known: there is no commit yet", "")
		return
	}
	refused, err := d.p.repo.TryPush(ctx, upstream, cmp.Or(d.branch, "main"))
	switch {
	case err != nil:
		d.failed(name, err)
	case refused == nil:
		d.ok(name, "allowed, as far as a dry run shows", "")
	case d.lockGoes() == "":
		d.ok(name, "not allowed, and not needed: "+refused.Text, "")
	default:
		e := diag.New(diag.Auth, "%s", refused.Text).Hinted("give the job credentials that may push, or write lock: {commit: off} in pipe.yaml")
		switch {
		case refused.Cause == gitlog.NoRemote:
			e.Hint = "git remote add " + upstream + " URL"
		case refused.Cause == gitlog.Unreachable:
			e.Hint = "git ls-remote " + upstream
		case d.job.System == ci.GitHub:
			e.Hint = "in the workflow, give the job permissions: {contents: write}, or write lock: {commit: off} in pipe.yaml"
		}
		d.failed(name, e)
	}
}

// githubURL matches an address of a repository on GitHub, as people and CI systems write it.
var githubURL = regexp.MustCompile(`^(?:https://(?:[^@/]*@)?|ssh://git@|git@)github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?$`)

// onGitHub returns OWNER/NAME of a repository's URL; empty if it is on another host.
func onGitHub(url string) string {
	if m := githubURL.FindStringSubmatch(url); m != nil {
		return m[1]
	}
	return ""
}

// gitHub asks GitHub about the token and the branch.
func (d *ciDoctor) gitHub(ctx context.Context) {
	const token, protection = "GitHub token", "branch protection"
	repository := d.job.Repository
	if d.job.System != ci.GitHub {
		if repository = onGitHub(d.p.repo.Origin(ctx)); repository == "" {
			return
		}
	}
	c, err := d.p.github(repository)
	if err != nil {
		d.hidden(token, err)
		return
	}
	defer c.Close()
	r, err := c.Repository(ctx)
	switch {
	case err != nil:
		d.hidden(token, err)
		return
	case r.Permissions == nil:
		d.ok(token, "GitHub does not say what it may do in "+repository, "")
	case r.Permissions.Push:
		d.ok(token, "may push to "+repository, "")
	default:
		d.ok(token, "may only read "+repository, "")
	}
	branch := cmp.Or(d.branch, r.Default)
	rules, err := c.Protection(ctx, branch)
	switch {
	case err != nil:
		d.hidden(protection, err)
	case len(rules) == 0:
		d.ok(protection, branch+" is not protected", "")
	default:
		d.protected(protection, branch, rules)
	}
}

// protected says what rules mean for the lock's commits. Whether the token may pass them by is not visible, so
// that they are no failure.
func (d *ciDoctor) protected(name, branch string, rules []string) {
	// Others are about what pipe ci does not do, such as a force push.
	stop := slices.DeleteFunc(slices.Clone(rules), func(r string) bool {
		return !slices.Contains([]string{"branch protection", "pull_request", "update", "required_status_checks", "required_signatures", "required_deployments", "merge_queue", "workflows", "code_scanning"}, r)
	})
	text, hint := branch+": "+strings.Join(rules, ", "), ""
	switch {
	case len(stop) > 0 && d.lockGoes() == spec.LockPush:
		text += "; a push of pipe.lock is refused, unless the token may bypass this; pipe ci says so and goes on"
		hint = "write lock: {commit: pr} in pipe.yaml to get a pull request"
	case len(stop) > 0 && d.lockGoes() != "":
		text += "; pipe ci does not push there (lock: {commit: " + d.lockGoes() + "})"
	}
	d.ok(name, text, hint)
}

// maxSkew is how wrong the clock may be. AWS refuses what is 15 minutes off.
const maxSkew = 5 * time.Minute

// remotes asks each remote whose credentials it gets, and for the time.
func (d *ciDoctor) remotes(ctx context.Context) {
	if _, err := d.p.own(ctx, d.p.spec); err != nil { // opens all
		return // Doctor has said it
	}
	if d.p.remote == nil {
		d.ok("remote", "none; what a job builds and deploys is not known to the next one", "pipe remote add main URL")
	}
	for _, r := range d.p.stores() {
		if r == nil {
			continue
		}
		if s, ok := store.As[interface {
			Whose(ctx context.Context) (string, error)
		}](r); ok {
			d.credentials(ctx, r.URL(), s.Whose)
		}
		if s, ok := store.As[interface {
			Clock(ctx context.Context) (time.Time, error)
		}](r); ok {
			d.clock(ctx, r.URL(), s.Clock)
		}
	}
}

func (d *ciDoctor) credentials(ctx context.Context, url string, whose func(context.Context) (string, error)) {
	name := "credentials of " + url
	who, err := whose(ctx)
	switch {
	case err != nil && errors.Is(err, context.Cause(ctx)):
		d.failed(name, err)
	case err != nil:
		d.hidden(name, err)
	case who == "":
		d.ok(name, "not visible: only AWS says whose they are", "")
	default:
		d.ok(name, who, "")
	}
}

func (d *ciDoctor) clock(ctx context.Context, url string, now func(context.Context) (time.Time, error)) {
	name := "clock"
	theirs, err := now(ctx)
	if err != nil {
		d.hidden(name, err)
		return
	}
	skew := d.p.opt.Now().Sub(theirs)
	if theirs.IsZero() {
		d.ok(name, "not visible: "+url+" does not tell the time", "")
		return
	}
	text := fmt.Sprintf("within %s of that of %s", time.Duration(skew.Abs().Seconds()+1)*time.Second, url)
	if skew.Abs() > maxSkew {
		side := "ahead of"
		if skew < 0 {
			side = "behind"
		}
		d.failed(name, diag.New(diag.Failed, "this machine's clock is %s %s that of %s", skew.Abs().Round(time.Second), side, url).
			Hinted("set this machine's clock; S3 refuses requests that are more than 15 minutes off"))
		return
	}
	d.ok(name, text, "")
}
