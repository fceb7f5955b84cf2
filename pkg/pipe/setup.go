package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// firstFile is the pipe.yaml that Init writes: it works as it stands.
const firstFile = `# pipe.yaml: what is built from what. Commit it, and pipe.lock too.
# Run "pipe repro"; run it again and nothing happens.

# Where artifacts are shared: s3://bucket/prefix, or a directory.
# remote: s3://my-bucket/my-project

stages:
  # A build stage has outs. It runs when its command, deps, params or env
  # change; else what it made before is taken, from whichever machine made it.
  hello:
    cmd: |
      mkdir -p artifacts
      echo "built from $(wc -c < pipe.yaml) bytes" > artifacts/hello.txt
    deps: [pipe.yaml]        # files, directories, globs; "!pattern" leaves out
    outs: [artifacts/hello.txt]

  # A deploy stage has no outs. It runs when what it depends on is not what is
  # live, in a fresh directory that holds its deps alone.
  # deploy:
  #   cmd: ./deploy.sh
  #   deps: [artifacts/, deploy.sh]
`

// Initialized is what Init wrote.
type Initialized struct {
	Root  string   `json:"root"`
	Wrote []string `json:"wrote"`
}

// Init writes a first pipe.yaml into dir when there is none, and the lines that
// .gitignore lacks: pipe's own directory and the outs. It overwrites nothing: an
// existing .gitignore grows at its end.
func Init(ctx context.Context, opt Options) (*Initialized, error) {
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, err
	}
	r := &Initialized{Root: dir, Wrote: []string{}}
	f, err := os.OpenFile(filepath.Join(dir, spec.FileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case err == nil:
		_, err = f.WriteString(firstFile)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		r.Wrote = append(r.Wrote, spec.FileName)
	case !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	opt.Dir = dir
	p, err := Open(ctx, opt)
	if err != nil {
		return r, err
	}
	if p.repo == nil {
		return r, nil
	}
	lines, err := p.ignoreLines()
	if err != nil || len(lines) == 0 {
		return r, err
	}
	r.Wrote = append(r.Wrote, ".gitignore")
	return r, appendLines(filepath.Join(p.root, ".gitignore"), lines)
}

// ignoreLines returns what .gitignore should say and does not.
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
	for _, o := range outs {
		lines = append(lines, "/"+o)
	}
	return lines, err
}

func appendLines(path string, lines []string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		old = append(old, '\n')
	}
	return atomicfile.Write(path, append(old, strings.Join(lines, "\n")+"\n"...), 0o666, "")
}

// AddRemote names one more remote in pipe.yaml, whose other lines stay as they
// are. It fails where the file's form leaves no place for a line.
func (p *Project) AddRemote(r RemoteInfo) error {
	for _, old := range p.spec.Remotes {
		if old.Name == r.Name {
			return diag.New(diag.Usage, "the remote %q is there already: %s", r.Name, old.URL).At(old.Place).Hinted("pipe remote list")
		}
	}
	path := p.path(spec.FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	value := yamldoc.Quote(r.URL)
	if r.Endpoint != "" || r.Region != "" {
		value = "{url: " + value
		if r.Endpoint != "" {
			value += ", endpoint: " + yamldoc.Quote(r.Endpoint)
		}
		if r.Region != "" {
			value += ", region: " + yamldoc.Quote(r.Region)
		}
		value += "}"
	}
	line := fmt.Sprintf("  %s: %s", yamldoc.Quote(r.Name), value)
	next, err := p.withRemote(string(data), line)
	if err != nil {
		return err
	}
	changed, err := spec.Parse(spec.FileName, []byte(next))
	if err != nil {
		return diag.New(diag.Usage, "pipe.yaml would not be right any more: %w", err).At(spec.FileName).
			Hinted("write it by hand, below remote: %s", strings.TrimSpace(line))
	}
	if len(changed.Remotes) != len(p.spec.Remotes)+1 {
		return byHand(line)
	}
	return atomicfile.Write(path, []byte(next), 0o666, "")
}

func byHand(line string) error {
	return diag.New(diag.Usage, "the form of remote: in pipe.yaml leaves no place for one more line").At(spec.FileName).
		Hinted("write it by hand: %s", strings.TrimSpace(line))
}

// withRemote returns the text with one more line below remote:.
func (p *Project) withRemote(text, line string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		rest, ok := strings.CutPrefix(l, "remote:")
		if !ok {
			continue
		}
		value, _, _ := strings.Cut(rest, " #")
		value = strings.TrimSpace(value)
		switch {
		case value == "":
			// The first remote is the default, so the new one goes behind the last.
			end := i + 1
			for end < len(lines) && (strings.HasPrefix(lines[end], " ") || strings.TrimSpace(lines[end]) == "") {
				end++
			}
			for end > i+1 && strings.TrimSpace(lines[end-1]) == "" {
				end--
			}
			return strings.Join(lines[:end], "") + line + "\n" + strings.Join(lines[end:], ""), nil
		case strings.HasPrefix(value, "{"):
			return "", byHand(line)
		}
		lines[i] = "remote:\n  default: " + value + "\n" + line + "\n"
		return strings.Join(lines, ""), nil
	}
	return "remote:\n" + line + "\n\n" + text, nil
}

// Check is one thing that Doctor looked at.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Doctor looks at everything that pipe needs, and really writes to the remote.
func Doctor(ctx context.Context, opt Options) []Check {
	var checks []Check
	add := func(name, text string, err error) {
		c := Check{Name: name, OK: err == nil, Text: text}
		if err != nil {
			all := Describe(err)
			c.Text, c.Hint = all[0].Message, all[0].Hint
			if all[0].Place != "" {
				c.Text = all[0].Place + ": " + c.Text
			}
		}
		checks = append(checks, c)
	}
	for _, program := range []string{"git", "sh", "bash"} {
		at, err := exec.LookPath(program)
		add(program, at, err)
	}
	p, err := Open(ctx, opt)
	if err != nil {
		add("pipe.yaml", "", err)
		return checks
	}
	add("pipe.yaml", fmt.Sprintf("%s, %d stages", p.path(spec.FileName), len(p.spec.Stages)), nil)
	lock, err := p.lock()
	if err == nil {
		add("pipe.lock", fmt.Sprintf("%d stages", len(lock.Stages)), nil)
	} else {
		add("pipe.lock", "", err)
	}
	add("git repository", p.gitText(), p.gitError())
	outs, err := p.UnignoredOuts()
	if err == nil && len(outs) > 0 {
		err = diag.New(diag.Policy, "git does not ignore %s", strings.Join(outs, ", ")).Hinted("pipe init adds the lines to .gitignore")
	}
	add("outs ignored by git", "all", err)
	r, err := p.openRemote(ctx)
	if err != nil || r == nil {
		add("remote", "none: artifacts stay on this machine", err)
	} else {
		url, err := p.Probe(ctx)
		add("remote", url+": put, get, conditional writes", err)
	}
	return append(checks, Check{Name: "cache", OK: true, Text: p.cache.URL()})
}

func (p *Project) gitText() string {
	if p.repo == nil {
		return ""
	}
	if p.repo.Shallow() {
		return p.repo.Root() + " (shallow: pipe find and gc see a part of the history)"
	}
	return p.repo.Root()
}

func (p *Project) gitError() error {
	if p.repo == nil {
		return diag.New(diag.NotFound, "%w", gitlog.ErrNoRepo).At(p.root).Hinted("git init")
	}
	return nil
}

// Problem is one failure, for people and for JSON.
type Problem struct {
	Kind    string `json:"kind"` // the word behind the exit code: usage, auth, network, ...
	Place   string `json:"place,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Describe takes an error of this package apart: one Problem for each failure.
func Describe(err error) []Problem {
	out := []Problem{}
	for _, e := range diag.All(err) {
		out = append(out, Problem{Kind: e.Kind.String(), Place: e.Place, Message: e.What, Hint: e.Hint})
	}
	return out
}

// ExitCode returns the process's exit code for an error of this package.
func ExitCode(err error) int { return diag.ExitCode(err) }
