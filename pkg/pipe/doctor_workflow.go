package pipe

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/ci"
)

// workflowsAt is where GitHub looks for workflows, from git's root.
const workflowsAt = ".github/workflows"

// workflows looks for a workflow that runs pipe ci. A script or a composite action may run it, too, so one that is
// not found is no failure.
func (d *ciDoctor) workflows() {
	const name = "workflow"
	if d.p.repo == nil || d.job.System != ci.GitHub && d.job.System != ci.None {
		return
	}
	dir := filepath.Join(d.p.repo.Root(), filepath.FromSlash(workflowsAt))
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) && d.job.System == ci.None {
		return // another system may run it
	}
	if err != nil && !os.IsNotExist(err) {
		d.failed(name, err)
		return
	}
	const largest = 1 << 20 // GitHub's limit of a workflow is half of that
	var found, old []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yml" && ext != ".yaml" {
			continue
		}
		b, err := atomicfile.Read(filepath.Join(dir, e.Name()), largest)
		if err != nil {
			d.failed(name, err)
			return
		}
		if runsPipe.Match(b) {
			found = append(found, path.Join(workflowsAt, e.Name()))
			old = append(old, oldActions(b)...)
		}
	}
	if len(found) == 0 {
		d.ok(name, "none in "+workflowsAt+" names pipe ci", "pipe init ci github")
		return
	}
	text, hint := strings.Join(found, ", "), ""
	if slices.Sort(old); len(old) > 0 {
		text += "; old: " + strings.Join(slices.Compact(old), ", ")
		hint = "update these actions"
	}
	d.ok(name, text, hint)
}

var (
	// runsPipe matches pipe ci as a command, and the action that runs it.
	runsPipe = regexp.MustCompile(`\bpipe( -[^\n]*)? ci\b|/\.github/actions/run@`)
	// uses matches an action, its version, and the version in a comment behind a commit's hash.
	uses = regexp.MustCompile(`(?m)\buses:\s*["']?([\w.-]+/[\w.-]+)[^@\s]*@([\w.-]+)["']?(?:[ \t]*#[ \t]*(v[\w.-]+))?`)
	// major is the first number of a version.
	major = regexp.MustCompile(`^v(\d+)(\.|$)`)
)

// currentMajors are the majors of the actions that workflows for pipe use, when this was written.
var currentMajors = map[string]int{
	"actions/checkout": 7, "actions/setup-go": 7, "actions/upload-artifact": 7, "aws-actions/configure-aws-credentials": 6,
}

// oldActions returns the actions in a workflow whose major is not the current one. Of a commit without a comment, or of a
// branch, it is not known.
func oldActions(workflow []byte) (old []string) {
	for _, m := range uses.FindAllSubmatch(bytes.ReplaceAll(workflow, []byte("\r"), nil), -1) {
		v := major.FindSubmatch(m[2])
		if v == nil {
			v = major.FindSubmatch(m[3])
		}
		action := string(m[1])
		if v == nil {
			continue
		}
		if n, err := strconv.Atoi(string(v[1])); err == nil && n < currentMajors[action] {
			old = append(old, fmt.Sprintf("%s v%d (v%d is current)", action, n, currentMajors[action]))
		}
	}
	return old
}
