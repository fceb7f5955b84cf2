package pipe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/workflow"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// InitCIOptions say what InitCI writes.
type InitCIOptions struct {
	System      string // github, gitlab, circleci or buildkite
	Branch      string // the default branch; empty: the one of the git remote origin
	PipeVersion string // VERSION or VERSION@COMMIT of pipe; empty: of this program
	Matrix      bool   // GitHub: build on several machines
	Comment     bool   // GitHub: pull requests get a comment
	Account     string // of AWS, for the policies; empty: a word to replace
	Repository  string // on GitHub, for the policies: OWNER/NAME or OWNER@ID/NAME@ID; empty: as the git remote origin says
	Force       bool   // overwrite a file that differs
	DryRun      bool   // write nothing
}

// InitializedCI is what InitCI wrote, or would write.
type InitializedCI struct {
	File    string         `json:"file"`              // from the top of the git repository
	Wrote   bool           `json:"wrote"`             // it was made or changed, or would be
	Text    string         `json:"text,omitempty"`    // with DryRun: its text
	Buckets []BucketPolicy `json:"buckets,omitempty"` // the buckets that are remotes
	Roles   []CIRole       `json:"roles,omitempty"`   // the roles of AWS that it takes
	Next    []string       `json:"next"`              // what is left to do, for people
}

// BucketPolicy is the policy that a bucket needs.
type BucketPolicy struct {
	Bucket string          `json:"bucket"` // its name
	Policy json.RawMessage `json:"policy"` // for AWS
}

// CIRole is a role that a CI system takes.
type CIRole struct {
	Name     string          `json:"name"`     // a proposal
	Variable string          `json:"variable"` // of the repository, which has the role's ARN
	Trust    json.RawMessage `json:"trust"`    // who may take it: a policy for AWS
}

// InitCI writes the file by which a CI system runs pipe ci for this project. The same file again is nothing
// to do; one that differs is overwritten with Force only.
func (p *Project) InitCI(ctx context.Context, opt InitCIOptions) (*InitializedCI, error) {
	if err := p.needGit(); err != nil {
		return nil, err
	}
	system := workflow.System(opt.System)
	if !slices.Contains(workflow.Systems(), system) {
		return nil, diag.New(diag.Usage, "no workflow for CI system %q", opt.System).Hinted("pipe init ci github")
	}
	if (opt.Matrix || opt.Comment) && system != workflow.GitHub {
		return nil, diag.New(diag.Usage, "--matrix and --comment are for github only").Hinted("pipe init ci %s", opt.System)
	}
	if err := checkNames(opt); err != nil {
		return nil, err
	}
	envs, err := p.declared()
	if err != nil {
		return nil, err
	}
	w, err := p.workflow(ctx, envs, opt)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(p.spec.Name, p.proposedName(ctx))
	if w.Dir != "" {
		w.Title = "pipe " + name
	}
	file, text := workflow.File(system, w, name)
	r := &InitializedCI{File: file, Next: []string{}}
	if r.Wrote, err = p.writeCI(file, text, opt); err != nil {
		return nil, err
	}
	if opt.DryRun {
		r.Text = text
	}
	p.access(ctx, r, w, envs, opt)
	return r, nil
}

// The names in policies. A * there would trust everybody.
var (
	awsAccount = regexp.MustCompile(`^[0-9]{12}$`)
	ownerName  = regexp.MustCompile(`^[0-9A-Za-z-]+(@[0-9]+)?/[0-9A-Za-z._-]+(@[0-9]+)?$`)
)

func checkNames(opt InitCIOptions) error {
	if opt.Account != "" && !awsAccount.MatchString(opt.Account) {
		return diag.New(diag.Usage, "--aws-account must have 12 digits, not %s", opt.Account).Hinted("aws sts get-caller-identity")
	}
	if opt.Repository != "" && !ownerName.MatchString(opt.Repository) {
		return diag.New(diag.Usage, "--repository must be OWNER/NAME or OWNER@ID/NAME@ID, not %s", opt.Repository).Hinted("gh repo view --json nameWithOwner")
	}
	return nil
}

// writeCI writes the file, and says whether there was something to write.
func (p *Project) writeCI(file, text string, opt InitCIOptions) (bool, error) {
	at := filepath.Join(p.repo.Root(), filepath.FromSlash(file))
	there := at // what exists of it; a symlink in it may lead anywhere
	for _, err := os.Lstat(there); errors.Is(err, fs.ErrNotExist); _, err = os.Lstat(there) {
		there = filepath.Dir(there)
	}
	if !below(p.repo.Root(), there) {
		return false, diag.New(diag.Policy, "leads outside of the repository").At(file)
	}
	old, err := atomicfile.Read(at, yamldoc.MaxSize)
	switch {
	// git may have checked it out with other line ends.
	case err == nil && bytes.Equal(bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")), []byte(text)):
		return false, nil
	case err == nil && !opt.Force && !opt.DryRun:
		return false, diag.New(diag.Policy, "differs from what pipe would write").At(file).
			Hinted("--dry-run prints what pipe would write, --force overwrites the file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case opt.DryRun:
		return true, nil
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return false, err
	}
	return true, atomicfile.Write(at, []byte(text), 0o666, "")
}

// workflow says what the file depends on.
func (p *Project) workflow(ctx context.Context, envs *spec.Environments, opt InitCIOptions) (w workflow.Project, err error) {
	commit := p.spec.LockCommit
	w = workflow.Project{
		Title: "pipe", Sources: len(p.spec.Sources) > 0, Comment: opt.Comment,
		Commits: commit != spec.LockOff, Apart: commit == spec.LockPR || commit == spec.LockBranch, PullRequests: commit == spec.LockPR,
	}
	if at := p.at(); at != repopath.Root {
		w.Dir = string(at)
	}
	if w.Version, w.Commit, err = pinnedPipe(Build(), opt); err != nil {
		return w, err
	}
	if w.Branches, err = p.deployingBranches(ctx, envs, opt.Branch); err != nil {
		return w, err
	}
	// A job has one set of credentials: those for the first remote that needs any.
	if i := slices.IndexFunc(p.spec.Remotes, func(r spec.Remote) bool { return strings.HasPrefix(r.URL, "s3://") }); i >= 0 {
		r := p.spec.Remotes[i]
		w.AWS, w.Region, w.Endpoint = r.Endpoint == "", r.Region, r.Endpoint
	}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, e := range s.Env {
			if e.Secret != spec.IsSecret || e.Literal || provided(&w, e.Name) {
				continue
			}
			w.Secrets = append(w.Secrets, e.Name)
			if !s.Deploy {
				w.BuildSecrets = append(w.BuildSecrets, e.Name)
			}
		}
	}
	w.Secrets, w.BuildSecrets = distinct(w.Secrets), distinct(w.BuildSecrets)
	if opt.Matrix {
		w.Waves, err = p.waves()
	}
	return w, err
}

// provided reports whether the jobs have the variable already: no secret of the same name may go before it.
func provided(w *workflow.Project, name string) bool {
	switch name {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN":
		return w.AWS || w.Endpoint != ""
	case "GITHUB_TOKEN":
		return w.PullRequests
	}
	return false
}

// distinct sorts, and drops repetitions.
func distinct(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// maxWaves is how many waves of jobs are written: each begins machines anew, and pipe ci
// builds what comes after the last.
const maxWaves = 8

// waves returns how many waves of jobs the stages can make.
func (p *Project) waves() (int, error) {
	if len(p.spec.Remotes) == 0 {
		return 0, diag.New(diag.Usage, "--matrix needs a remote, by which the jobs pass on what they build").Hinted("pipe remote add NAME s3://BUCKET/PREFIX")
	}
	all := p.inWaves(func(s *spec.Stage) bool { return true })
	if len(all) == 0 {
		return 0, diag.New(diag.Usage, "--matrix needs a stage that builds or checks").At(spec.FileName)
	}
	return min(len(all), maxWaves), nil
}

// deployingBranches returns the branches whose pushes CI looks at, the default one first.
func (p *Project) deployingBranches(ctx context.Context, envs *spec.Environments, named string) (all []string, err error) {
	if named == "" {
		if named, err = p.defaultBranch(ctx); err != nil {
			return nil, err
		}
	}
	all = append(all, named)
	if p.spec.DeployOn != "" {
		all = append(all, p.spec.DeployOn)
	}
	for i := range envs.All {
		if b := envs.All[i].Auto; b != "" && b != spec.AutoPromote {
			all = append(all, b)
		}
	}
	first := all[0]
	all = slices.DeleteFunc(distinct(all), func(b string) bool { return b == first })
	return append([]string{first}, all...), nil
}

// defaultBranch returns the default branch of the git remote, or the branch that is checked out where
// there is no remote yet.
func (p *Project) defaultBranch(ctx context.Context) (string, error) {
	var branch string
	if p.repo.Origin(ctx) == "" {
		head, err := p.repo.Head(ctx)
		if err != nil {
			return "", err
		}
		branch = head.Branch
	} else {
		var err error
		if branch, err = p.repo.DefaultBranch(ctx, upstream); err != nil {
			return "", err
		}
	}
	if branch == "" {
		return "", diag.New(diag.Usage, "cannot tell the default branch").Hinted("pipe init ci github --branch main")
	}
	return branch, nil
}

// released and commitName match a version that releases have, and a commit in full: GitHub takes no part of one.
var (
	released   = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)
	commitName = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// pinnedPipe returns the version of pipe that CI installs, and the commit that has its actions.
func pinnedPipe(b BuildInfo, opt InitCIOptions) (version, commit string, err error) {
	version, commit = b.Version, b.Commit
	if opt.PipeVersion != "" {
		name, at, pinned := strings.Cut(strings.TrimPrefix(opt.PipeVersion, "v"), "@")
		if !released.MatchString(name) || pinned && !commitName.MatchString(at) {
			return "", "", diag.New(diag.Usage, "--pipe-version must be VERSION or VERSION@COMMIT, with all 40 digits of the commit, not %s", opt.PipeVersion).
				Hinted("git ls-remote --tags %s lists both", ourRepository)
		}
		version, commit = name, cmp.Or(at, commit)
	}
	command := "pipe init ci " + opt.System + " --pipe-version "
	unpinned := opt.System == string(workflow.GitHub) && !commitName.MatchString(commit)
	switch {
	case version == development && unpinned:
		return "", "", untold().Hinted("%sVERSION@COMMIT; git ls-remote --tags %s lists both", command, ourRepository)
	case version == development:
		return "", "", untold().Hinted("%sVERSION; git ls-remote --tags %s lists the releases", command, ourRepository)
	case unpinned:
		return "", "", diag.New(diag.Usage, "this build does not know its commit, which pins the action that installs pipe").
			Hinted("%s%s@COMMIT; git ls-remote %s v%[2]s prints the commit", command, version, ourRepository)
	}
	return version, commit, nil
}

// ourRepository is the one of pipe itself.
const ourRepository = "https://github.com/pipe-build/pipe"

func untold() *diag.Error {
	return diag.New(diag.Usage, "this is a development build; name the release of pipe that CI installs")
}

// access adds the policies, and what is left to do.
func (p *Project) access(ctx context.Context, r *InitializedCI, w workflow.Project, envs *spec.Environments, opt InitCIOptions) {
	next := func(format string, args ...any) { r.Next = append(r.Next, fmt.Sprintf(format, args...)) }
	if len(p.spec.Remotes) == 0 {
		next("pipe remote add main URL: without a remote, what a run builds and deploys is not known to the next one")
	}
	for _, m := range p.spec.Remotes {
		if !strings.Contains(m.URL, "://") {
			next("remote %s is a directory: each runner must have it", m.Name)
		}
	}
	if w.Endpoint != "" {
		next("set the secrets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of %s that can write", w.Endpoint)
		if opt.System == string(workflow.GitHub) {
			next("for pull requests, set the variable AWS_PLAN_ACCESS_KEY_ID and the secret AWS_PLAN_SECRET_ACCESS_KEY to a key that can only read")
		}
	}
	for _, s := range w.Secrets {
		next("set the secret %s", s)
	}
	if w.AWS {
		p.roles(ctx, r, w, envs, opt)
	}
	if w.PullRequests && opt.System == string(workflow.GitHub) {
		next("allow GitHub Actions to create pull requests: Settings > Actions > General")
	}
	next("commit %s", r.File)
}

// roles adds the policies for AWS. Those of GitHub's roles are known; other systems have issuers of their own.
func (p *Project) roles(ctx context.Context, r *InitializedCI, w workflow.Project, envs *spec.Environments, opt InitCIOptions) {
	name := cmp.Or(p.spec.Name, p.proposedName(ctx))
	a := workflow.Access{
		Account: cmp.Or(opt.Account, "ACCOUNT_ID"), Repository: cmp.Or(opt.Repository, onGitHub(p.repo.Origin(ctx)), "OWNER/NAME"), Branches: w.Branches,
		Deploy: name + "-deploy", Plan: name + "-plan",
	}
	var signed []string
	for i := range envs.All {
		if e := &envs.All[i]; e.Approve != nil && !e.Approve.CI {
			signed, a.Approve = append(signed, e.Name), name+"-approve"
		}
	}
	for i, m := range p.spec.Remotes {
		rest, s3 := strings.CutPrefix(m.URL, "s3://")
		if !s3 || m.Endpoint != "" {
			continue
		}
		bucket, prefix, _ := strings.Cut(rest, "/")
		a.Places = append(a.Places, workflow.Place{
			Bucket: bucket, Prefix: strings.Trim(prefix, "/"), Region: m.Region, Project: name, Signed: signed,
			States: m.Name == p.spec.StateRemote || p.spec.StateRemote == "" && i == 0,
		})
	}
	for _, b := range a.Buckets() {
		r.Buckets = append(r.Buckets, BucketPolicy{Bucket: b, Policy: a.BucketPolicy(b).JSON()})
	}
	if opt.System == string(workflow.GitHub) {
		r.Roles = []CIRole{{a.Deploy, "AWS_ROLE", a.DeployTrust().JSON()}, {a.Plan, "AWS_PLAN_ROLE", a.PlanTrust().JSON()}}
	}
	set := "the variables AWS_ROLE and AWS_PLAN_ROLE to their ARNs"
	if opt.System == string(workflow.CircleCI) || opt.System == string(workflow.Buildkite) {
		set = "AWS_ROLE_ARN: to the first for jobs of branches that deploy, to the second for all others"
	}
	r.Next = append(r.Next, fmt.Sprintf("make the roles %s and %s in AWS, with the policies, and set %s", a.Deploy, a.Plan, set))
	if w.Region == "" {
		r.Next = append(r.Next, "set the variable AWS_REGION")
	}
	for _, m := range p.spec.Remotes {
		if m.SSEKey != "" {
			r.Next = append(r.Next, "allow the roles kms:GenerateDataKey and kms:Decrypt with the key "+m.SSEKey)
		}
	}
}
