package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// InitOptions say how Init works.
type InitOptions struct {
	DryRun bool // write nothing
}

// Initialized is what Init wrote, or would write.
type Initialized struct {
	Root  string   `json:"root"`  // the project's directory
	Wrote []string `json:"wrote"` // files that were made or changed
	// Config names what was set in the configuration of this clone of git, for all its worktrees.
	Config []string `json:"config,omitempty"`
	Found  []Sign   `json:"found"`               // what a new pipe.yaml was made of
	Text   string   `json:"pipe_yaml,omitempty"` // with DryRun: what pipe.yaml would be
	Next   string   `json:"next"`                // the command that goes on
}

// Sign is a file that told Init what kind of project this is.
type Sign struct {
	File   string   `json:"file"`             // go.mod, for example
	Stages []string `json:"stages,omitempty"` // that were proposed for it
	Why    string   `json:"why,omitempty"`    // why there are none
}

// Init writes a first pipe.yaml into dir when there is none, the project's name into one that
// needs it (the pipe.yaml that includes this one, if another does), and the lines that .gitignore and .gitattributes lack: pipe's own directory, the outs
// and the sources are ignored, and pipe.lock merges by union and is shown in short by git diff. It
// overwrites nothing: a file that is there gets more lines, and only the line that an older pipe
// wrote is replaced. It can be repeated: what is there already is not added again.
func Init(ctx context.Context, opt Options, how InitOptions) (r *Initialized, err error) {
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, err
	}
	opt.Dir = dir
	if opt.root, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(opt.root, spec.FileName)); err == nil {
		opt.root = including(opt.root)
	}
	p, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	r = &Initialized{Root: p.root, Wrote: []string{}, Found: []Sign{}}
	changes, err := p.firstFiles(ctx, r)
	if err != nil {
		return nil, err
	}
	r.Next = p.firstCommand()
	for _, c := range changes {
		if how.DryRun && c.name == spec.FileName {
			r.Text = c.text
		}
		if !how.DryRun {
			if err := atomicfile.Write(p.path(c.name), []byte(c.text), 0o666, ""); err != nil {
				return r, err
			}
		}
		r.Wrote = append(r.Wrote, c.name)
	}
	if !how.DryRun {
		p.configure(ctx, r)
	}
	return r, nil
}

// firstCommand returns what brings the project up to date for the first time.
func (p *Project) firstCommand() string {
	if all, err := p.declared(); err == nil && p.spec.Deploys() {
		for i := range all.All {
			// What must be verified elsewhere first, or is a pattern, comes later.
			if e := &all.All[i]; len(e.From) == 0 && !e.IsPattern() {
				return "pipe deploy " + e.Name
			}
		}
	}
	return "pipe repro"
}

// change is a file with its new text.
type change struct{ name, text string }

// firstFiles returns what Init has to write, pipe.yaml first: what the others need follows from
// it. It is read as Open would read it, which it must pass afterwards.
func (p *Project) firstFiles(ctx context.Context, r *Initialized) ([]change, error) {
	var changes []change
	text, changed, err := p.firstSpec(ctx, r)
	if err != nil {
		return nil, err
	}
	if changed {
		changes = append(changes, change{spec.FileName, text})
	}
	if p.spec, err = p.parse([]byte(text)); err != nil {
		return nil, err
	}
	if err := checkRemotes(p.spec.Remotes); err != nil || p.repo == nil {
		return changes, err
	}
	ignored, err := p.ignoreLines()
	if err != nil {
		return nil, err
	}
	old, next, err := p.withLines(".gitignore", ignored)
	if err != nil {
		return nil, err
	}
	if next != old {
		changes = append(changes, change{".gitignore", next})
	}
	if old, next, err = p.attributes(); err != nil {
		return nil, err
	}
	if next != old {
		changes = append(changes, change{".gitattributes", next})
	}
	if diffsShort(next) && !p.repo.IsSet(ctx, diffSetting) {
		r.Config = append(r.Config, diffSetting)
	}
	return changes, nil
}

// firstSpec returns pipe.yaml as it should be: the one that is there, with the project's name
// when it deploys to a remote without one, or a proposal.
func (p *Project) firstSpec(ctx context.Context, r *Initialized) (text string, changed bool, err error) {
	data, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		first, err := p.propose(ctx)
		if err != nil {
			return "", false, err
		}
		for _, f := range first.Found {
			r.Found = append(r.Found, Sign(f))
		}
		return first.Text, true, nil
	}
	if err != nil {
		return "", false, err
	}
	now, err := p.parse(data)
	if err != nil || now.Name != "" || !now.Deploys() || len(now.Remotes) == 0 {
		return string(data), false, err
	}
	text, err = spec.AddName(string(data), p.proposedName(ctx), p.options(p.file))
	return text, true, err
}

// ignoreLines returns what .gitignore should say and does not. The rules of all ignore files
// are asked, so a line that says the same in other words counts.
func (p *Project) ignoreLines() ([]string, error) {
	var lines []string
	ignored, err := p.inputs.Ignored(worktree.Dir, true)
	if err != nil {
		return nil, err
	}
	if !ignored {
		lines = append(lines, "/.pipe/")
	}
	outs, err := p.UnignoredOuts()
	if err != nil {
		return nil, err
	}
	for _, o := range outs {
		lines = append(lines, ignoreLine(repopath.Path(o)))
	}
	for _, s := range p.spec.Sources {
		ignored, err := p.inputs.Ignored(s.Path, true)
		if err != nil {
			return nil, err
		}
		if !ignored {
			lines = append(lines, ignoreLine(s.Path)+"/")
		}
	}
	return lines, nil
}

// withLines returns the text of a file, which need not exist, and that text with more lines at
// its end.
func (p *Project) withLines(name string, lines []string) (old, next string, err error) {
	b, err := atomicfile.Read(p.path(name), atomicfile.MaxNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	old = string(b)
	if len(lines) == 0 {
		return old, old, nil
	}
	end := "\n"
	if strings.Contains(old, "\r\n") {
		end = "\r\n"
	}
	if next = old; old != "" && !strings.HasSuffix(old, "\n") {
		next += end
	}
	return old, next + strings.Join(lines, end) + end, nil
}

// ignoreLine is the line of .gitignore for a path below the project, with what git would take
// for a pattern escaped.
func ignoreLine(at repopath.Path) string {
	var b strings.Builder
	b.WriteByte('/')
	for i, c := range []byte(at) {
		if strings.IndexByte(`*?[\`, c) >= 0 || c == ' ' && i == len(at)-1 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
