package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// initCICmd makes pipe init ci.
func (a *app) initCICmd() *cobra.Command {
	var opt pipe.InitCIOptions
	c := command("ci github|gitlab|circleci|buildkite", "Write the workflow that runs pipe ci",
		`Write the file by which a CI system runs this project:

github     .github/workflows/pipe.yml; pipe-NAME.yml if pipe.yaml is not at the top
gitlab     .gitlab-ci.yml
circleci   .circleci/config.yml
buildkite  .buildkite/pipeline.yml

Pushes to the default branch, and to the branches that pipe.yaml deploys, run pipe ci.
Pull requests are built and checked. The file is yours: pipe overwrites one that
differs only with --force.

If the remote is an S3 bucket, the policy of the bucket and, for GitHub, the trust
policies of two roles are printed: one that deploys, and one for pull requests that
can only read. No keys are stored.

--matrix, for GitHub, builds on several machines: each wave of stages is a matrix of
jobs, and pipe ci follows.`,
		"pipe init ci github\npipe init ci github --matrix\npipe init ci gitlab --dry-run", arguments(1, 1, "name a CI system"), func(c *cobra.Command, args []string) error {
			opt.System = args[0]
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.InitCI(c.Context(), opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.init.ci/1", r, func(w io.Writer) { a.printInitCI(w, r, opt.DryRun) })
			})
		})
	f := c.Flags()
	f.StringVar(&opt.Branch, "branch", "", "the default branch (default: that of the git remote origin)")
	f.StringVar(&opt.PipeVersion, "pipe-version", "", "install this `VERSION[@COMMIT]` of pipe (default: the version of this program)")
	f.BoolVar(&opt.Matrix, "matrix", false, "github: build the stages on several machines")
	f.BoolVar(&opt.Comment, "comment", false, "github: comment on pull requests what they would change")
	f.StringVar(&opt.Account, "aws-account", "", "the AWS account in the policies")
	f.StringVar(&opt.Repository, "repository", "", "`OWNER/NAME` on GitHub in the policies; OWNER@ID/NAME@ID trusts this very repository, even if its name is used again")
	f.BoolVar(&opt.Force, "force", false, "overwrite a file that differs")
	f.BoolVar(&opt.DryRun, "dry-run", false, "print the file and write nothing")
	c.ValidArgs = []string{"github", "gitlab", "circleci", "buildkite"}
	return c
}

// printInitCI prints what was written, the policies, and what is left to do. With --dry-run, only the
// file goes to stdout.
func (a *app) printInitCI(w io.Writer, r *pipe.InitializedCI, dryRun bool) {
	talk := w
	switch {
	case dryRun:
		talk = a.Err
		for line := range strings.Lines(r.Text) {
			view.Print(w, "%s\n", strings.TrimSuffix(line, "\n"))
		}
	case r.Wrote:
		view.Print(w, "wrote %s\n", r.File)
	default:
		view.Print(w, "nothing to do: %s is up to date\n", r.File)
	}
	for _, b := range r.Buckets {
		printDocument(talk, "policy of the bucket "+b.Bucket, b.Policy)
	}
	for _, role := range r.Roles {
		printDocument(talk, "trust policy of the role "+role.Name, role.Trust)
	}
	for _, n := range r.Next {
		view.Print(talk, "next: %s\n", n)
	}
}

// printDocument prints a document below its name.
func printDocument(w io.Writer, name string, document []byte) {
	view.Print(w, "\n%s:\n", name)
	for line := range strings.Lines(string(document)) {
		view.Print(w, "%s\n", strings.TrimSuffix(line, "\n"))
	}
	view.Print(w, "\n")
}
