package pipe

import (
	"context"
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
	return diag.New(diag.Usage, "project: is missing; a project that deploys and has a remote needs a name").At(spec.FileName).
		Hinted("run pipe init, or add this line to %s: project: %s", spec.FileName, p.proposedName(ctx))
}

// proposedName is the repository's name where git knows a remote of it, else the
// directory's. A project below the repository's root adds its path, or all
// projects of one repository would get the same name.
func (p *Project) proposedName(ctx context.Context) string {
	if p.repo == nil {
		return spec.FitName(filepath.Base(p.root))
	}
	name := filepath.Base(p.repo.Root())
	if last := strings.TrimRight(p.repo.Origin(ctx), "/"); last != "" {
		name = path.Base(last[strings.LastIndexByte(last, ':')+1:]) // host:repo, too
	}
	return spec.FitName(path.Join(strings.TrimSuffix(name, ".git"), string(p.lockAt.Dir())))
}
