package pipe

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/workflow"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ciFiles are where CI systems look for what they run, as patterns from git's root.
var ciFiles = [...]string{".github/workflows/*.yml", ".github/workflows/*.yaml", ".gitlab-ci.yml", ".circleci/config.yml", ".buildkite/pipeline.yml"}

// runsPipe matches pipe ci as a command, and the action that runs it.
var runsPipe = regexp.MustCompile(`\bpipe( -[^\n]*)? ci\b|/\.github/actions/run@`)

// workflows looks for a file of a CI system that runs pipe ci. A script or another action may run it, too, so that
// one which is not found is no failure.
func (d *ciDoctor) workflows(ctx context.Context) {
	const name = "workflow"
	root := d.p.repo.Root()
	var found, old []string
	for _, pattern := range ciFiles {
		entries, _ := fs.Glob(os.DirFS(root), pattern) // an error is one of the pattern
		for _, at := range entries {
			b, err := atomicfile.Read(filepath.Join(root, filepath.FromSlash(at)), yamldoc.MaxSize)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.failed(name, err)
				return
			}
			if runsPipe.Match(b) {
				found, old = append(found, at), append(old, workflow.Old(b)...)
			}
		}
	}
	switch {
	case len(found) == 0:
		d.ok(name, "no workflow file runs pipe ci", "pipe init ci "+cmp.Or(string(d.job.System), string(workflow.GitHub)))
	case len(old) > 0:
		d.ok(name, strings.Join(found, ", ")+"; old: "+strings.Join(old, ", "), "update these actions")
	default:
		d.committed(ctx, name, found)
	}
}

// committed says which files of CI, or pipe.yaml, git does not have yet: no job can see those.
func (d *ciDoctor) committed(ctx context.Context, name string, found []string) {
	need := append([]repopath.Path{d.p.yamlAt()}, d.p.besides()...)
	for _, at := range found {
		need = append(need, repopath.Path(at))
	}
	tracked, err := d.p.repo.Tracked(ctx, repopath.Root, need)
	if err != nil {
		d.failed(name, err)
		return
	}
	text, absent := strings.Join(found, ", "), []string{}
	for _, at := range need {
		if !slices.Contains(tracked, at) {
			absent = append(absent, string(at))
		}
	}
	if len(absent) == 0 {
		d.ok(name, text, "")
		return
	}
	d.ok(name, text+"; not in git yet: "+strings.Join(absent, ", "), "git add these files, commit and push")
}
