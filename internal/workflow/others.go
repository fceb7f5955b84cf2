package workflow

import (
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// written is the first line of a file.
func written(s System) string {
	return "# Written by pipe init ci " + string(s) + ". Edit it as you like: pipe overwrites a changed file only with --force.\n"
}

// install fetches pipe for the systems that have no action for it. The script checks the archive.
func install(p Project) string {
	return "curl -fsSL https://github.com/pipe-build/pipe/releases/download/v" + p.Version + "/install.sh | PIPE_VERSION=" + p.Version + " sh"
}

// gitlab is the pipeline of GitLab CI.
func gitlab(p Project) string {
	rules := ""
	for _, b := range p.Branches {
		rules += "    - if: " + yamldoc.Quote("$CI_COMMIT_BRANCH == "+text(b)) + "\n"
	}
	role := "    - when: on_success\n"
	if p.AWS {
		role = `      variables:
        AWS_ROLE_ARN: $AWS_PLAN_ROLE # may only read
    - variables:
        AWS_ROLE_ARN: $AWS_ROLE
  id_tokens:
    AWS_ID_TOKEN:
      aud: sts.amazonaws.com
`
	}
	return written(GitLab) + when(p.Commits, `# To push the commit of pipe.lock: Settings > CI/CD > Job token permissions > Allow Git push requests to the repository.
# GitLab starts no pipeline for such a push.
`) + `workflow:
  auto_cancel:
    on_new_commit: none # each commit is built
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
      auto_cancel:
        on_new_commit: interruptible # of a merge request only the newest pipeline counts
` + rules + `
# No resource_group is needed: pipe lets deployments to one environment wait for each other, and older commits step back.
pipe:
  image: buildpack-deps:trixie-scm # one that has git, curl and what your stages run
  timeout: 1h
  variables:
    GIT_DEPTH: 1
` + when(p.Endpoint != "", "    PIPE_TRUST_ENDPOINT: "+yamldoc.Quote(p.Endpoint)+"\n") + `  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
      interruptible: true
` + role + `  before_script:
    - ` + install(p) + `
    - export PATH="$HOME/.local/bin:$PATH"
` + when(p.AWS, `    - |
      if [ -n "$AWS_ROLE_ARN" ]; then
        export AWS_WEB_IDENTITY_TOKEN_FILE=$(mktemp)
        printf %s "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
      fi
`) + "  script:\n" + when(p.Dir != "", "    - "+yamldoc.Quote("cd "+shell(p.Dir))+"\n") + `    - exec pipe ci
`
}

// circleci is the configuration of CircleCI.
func circleci(p Project) string {
	return written(CircleCI) + `# CircleCI's auto-cancel of redundant workflows never cancels the default branch. Leave it off if others deploy.
` + when(p.Commits, `# To push the commit of pipe.lock, the project needs a key that may write: Project Settings > SSH Keys.
`) + `version: 2.1
jobs:
  pipe:
    docker:
      - image: cimg/base:current # one that has git, curl and what your stages run
` + when(p.Endpoint != "", "    environment:\n      PIPE_TRUST_ENDPOINT: "+yamldoc.Quote(p.Endpoint)+"\n") + `    steps:
      - checkout:
          method: blobless
      - run:
          name: Install pipe
          command: |
            ` + install(p) + `
            echo 'export PATH="$HOME/.local/bin:$PATH"' >>"$BASH_ENV"
      - run:
          name: pipe ci
` + when(p.Dir != "", "          working_directory: "+yamldoc.Quote(p.Dir)+"\n") + `          no_output_timeout: 1h
          command: |
` + when(p.AWS, `            if [ -n "$AWS_ROLE_ARN" ]; then # from a context; the role trusts this project's tokens
              export AWS_WEB_IDENTITY_TOKEN_FILE=$(mktemp)
              printf %s "$CIRCLE_OIDC_TOKEN_V2" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
            fi
`) + `            exec pipe ci
workflows:
  pipe:
    jobs:
      - pipe
`
}

// buildkite is the pipeline of Buildkite, which replaces $NAME itself unless the dollar is doubled.
func buildkite(p Project) string {
	return written(Buildkite) + `# Leave "Cancel Intermediate Builds" off for the branches that deploy: each commit is built. No concurrency
# group is needed: pipe lets deployments to one environment wait for each other.
` + when(p.Commits, `# To push the commit of pipe.lock, the agent's key needs the right to write.
`) + `steps:
  - label: pipe
    timeout_in_minutes: 60
    checkout:
      depth: 1
` + when(p.Endpoint != "", "    env:\n      PIPE_TRUST_ENDPOINT: "+yamldoc.Quote(strings.ReplaceAll(p.Endpoint, "$", "$$"))+"\n") + `    command: |
      ` + install(p) + `
      export PATH="$$HOME/.local/bin:$$PATH"
` + when(p.AWS, `      if [ -n "$$AWS_ROLE_ARN" ]; then # from the agent or a hook; the role trusts this pipeline's tokens
        export AWS_WEB_IDENTITY_TOKEN_FILE=$$(mktemp)
        buildkite-agent oidc request-token --audience sts.amazonaws.com >"$$AWS_WEB_IDENTITY_TOKEN_FILE"
      fi
`) + when(p.Dir != "", "      cd "+strings.ReplaceAll(shell(p.Dir), "$", "$$")+"\n") + `      exec pipe ci
`
}
