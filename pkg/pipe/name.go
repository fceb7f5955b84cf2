package pipe

import (
	"context"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// checkName refuses a deploy stage and a remote without a name: two projects in
// one prefix of a remote would take each other's deployments for their own.
func (p *Project) checkName(ctx context.Context) error {
	if p.spec.Name != "" || !p.spec.Deploys() {
		return nil
	}
	return diag.New(diag.Usage, "a project that deploys and has a remote needs a name").At(spec.FileName).
		Hinted("add this line to %s (pipe init does): project: %s", spec.FileName, p.proposedName(ctx))
}

// proposedName is the repository's name where git knows a remote of it, else the
// directory's. A project below the repository's root adds its path, or all
// projects of one repository would get the same name.
func (p *Project) proposedName(ctx context.Context) string {
	if p.repo == nil {
		return spec.FitName(filepath.Base(p.root))
	}
	name := filepath.Base(p.repo.Root())
	cmd := exec.CommandContext(ctx, "git", "-C", p.root, "config", "--get", "remote.origin.url")
	cmd.Env = p.env
	if url, err := cmd.Output(); err == nil {
		last := strings.TrimRight(strings.TrimSpace(string(url)), "/")
		name = path.Base(last[strings.LastIndexByte(last, ':')+1:]) // host:repo, too
	}
	return spec.FitName(path.Join(strings.TrimSuffix(name, ".git"), string(p.lockAt.Dir())))
}

// withName returns the text of a pipe.yaml with project: above its first key, and
// all else as it is. A comment directly above that key stays with it.
func withName(text, name string) (string, error) {
	line := "project: " + name
	lines := strings.SplitAfter(text, "\n")
	at := 0
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || l == "---" {
			at = i + 1
		} else if !strings.HasPrefix(l, "#") {
			break
		}
	}
	end := "\n"
	if strings.HasSuffix(lines[0], "\r\n") {
		end = "\r\n"
	}
	rest := strings.Join(lines[at:], "")
	if strings.HasPrefix(rest, "#") {
		rest = end + rest // or that comment would seem to be about the name
	}
	next := strings.Join(lines[:at], "") + line + end + rest
	if got, err := spec.Parse(spec.FileName, []byte(next)); err != nil || got.Name != name {
		return "", diag.New(diag.Usage, "cannot add a line to %s as it is written", spec.FileName).At(spec.FileName).
			Hinted("add it by hand: %s", line)
	}
	return next, nil
}
