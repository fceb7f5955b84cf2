package pipe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// dvcRemote returns the remote of DVC's that the objects come from; nil: there is none.
func (im *importing) dvcRemote() (*dvc.Remote, error) {
	name := im.how.From
	if name == "" {
		name = im.d.Default
	}
	if name == "" {
		return nil, nil
	}
	r := im.d.Remote(name)
	if r == nil {
		var names []string
		for _, o := range im.d.Remotes {
			names = append(names, o.Name)
		}
		return nil, unknownName("no DVC remote named "+name+" in .dvc/config", name, names)
	}
	return r, nil
}

// openStores opens DVC's cache and its remote, to be read alone.
func (im *importing) openStores(ctx context.Context) error {
	im.store = &dvc.Store{Places: []dvc.Raw{dvc.Folder(im.d.Cache)}}
	r, err := im.dvcRemote()
	if err != nil || r == nil {
		return err
	}
	if names := r.Secrets(); len(names) > 0 {
		im.lost(".dvc/config", "the credentials of remote "+r.Name+" ("+strings.Join(names, ", ")+") are not read", "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or set profile")
	}
	if r.Options["version_aware"] == "true" || r.Options["worktree"] == "true" {
		im.lost(".dvc/config", "remote "+r.Name+" keeps files under their own names (version_aware), where pipe does not look", "run dvc pull first: DVC's cache is enough")
		return nil
	}
	place, err := im.p.openDVC(ctx, r)
	if err != nil {
		return err
	}
	if place == nil {
		im.lost(".dvc/config", "remote "+r.Name+" is not read: pipe reads directories and s3://, not "+r.Scheme()+"://", "run dvc pull first: DVC's cache is enough. Give pipe a remote of its own with --to URL")
		return nil
	}
	im.store.Places = append(im.store.Places, place)
	return nil
}

// openOthers opens the remotes that single outputs name, to be asked after the others.
func (im *importing) openOthers(ctx context.Context, names []string) error {
	for _, o := range im.inputs {
		if o.Remote != "" {
			names = append(names, o.Remote)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		r := im.d.Remote(name)
		if r == nil || name == im.d.Default && im.how.From == "" || name == im.how.From {
			continue
		}
		place, err := im.p.openDVC(ctx, r)
		if err != nil {
			return err
		}
		if place == nil {
			im.lost(".dvc/config", "remote "+name+", which outputs name, is not read: pipe reads directories and s3://, not "+r.Scheme()+"://", "run dvc pull first: DVC's cache is enough")
			continue
		}
		im.store.Places = append(im.store.Places, place)
	}
	return nil
}

// checkTo refuses a remote that pipe.yaml could not have.
func (im *importing) checkTo() error {
	if im.how.To == "" {
		return nil
	}
	return remote.Check(spec.Remote{Name: "default", URL: im.how.To, Place: "--to"})
}

// beside lists what DVC keeps outside of its files of stages and data.
func (im *importing) beside(ctx context.Context) error {
	if im.d.Parsing["bool"] == "boolean_optional" || im.d.Parsing["list"] == "append" {
		im.lost(".dvc/config", "the section parsing is not carried over: a map in a cmd becomes --key value", "write the flags into cmd")
	}
	if _, err := os.Lstat(im.d.OS(".dvc/tmp/exps")); err == nil {
		im.lost(".dvc/tmp/exps", "experiments are not carried over", "keep those that count as branches: dvc exp branch NAME BRANCH")
	}
	if im.p.repo == nil {
		return nil
	}
	dir, err := im.p.repo.Hooks(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"pre-commit", "pre-push", "post-checkout"} {
		b, err := atomicfile.Read(filepath.Join(dir, name), atomicfile.MaxNote)
		if err == nil && bytes.Contains(b, []byte("dvc git-hook")) {
			im.lost(filepath.Join(dir, name), "git still runs DVC's hook", "remove its line, and run pipe init hooks")
		}
	}
	return nil
}

// errUntrusted is what the error of a server without trust wraps.
var errUntrusted = errors.New("not a trusted server")

// refusedRaw is a remote of DVC's that cannot be read: only what needs it fails.
type refusedRaw struct{ error }

// OpenName implements dvc.Raw.
func (r refusedRaw) OpenName(context.Context, string) (io.ReadCloser, error) { return nil, r.error }

// HasName implements dvc.Raw.
func (r refusedRaw) HasName(context.Context, string) (bool, error) { return false, r.error }

// openDVC opens a remote of DVC's; nil: pipe does not read that kind.
func (p *Project) openDVC(ctx context.Context, r *dvc.Remote) (dvc.Raw, error) {
	switch r.Scheme() {
	case "":
		return dvc.Folder(r.URL), nil
	case "s3":
	default:
		return nil, nil
	}
	at := dvcSpec(r)
	opened, err := p.openAs(ctx, at)
	if err != nil {
		return nil, err
	}
	if raw, ok := store.As[dvc.Raw](opened); ok {
		return raw, nil
	}
	e := diag.New(diag.Policy, "DVC's remote %s: your credentials are not sent to %s, because only .dvc/config names that server", r.Name, remote.Stranger(at)).
		At(".dvc/config").Hinted("if you trust the server, export PIPE_TRUST_ENDPOINT=%s; or run dvc pull first: DVC's cache is enough", remote.Stranger(at))
	e.Err = errUntrusted
	return refusedRaw{e}, nil
}

// dvcSpec is DVC's remote in the words of pipe.yaml.
func dvcSpec(r *dvc.Remote) spec.Remote {
	return spec.Remote{Name: r.Name, URL: r.URL, Endpoint: r.Options["endpointurl"], Region: r.Options["region"], Profile: r.Options["profile"], Place: ".dvc/config"}
}

// pipeBelow is the directory of pipe's objects in DVC's remote.
const pipeBelow = "pipe"

// remoteText writes pipe's remote: DVC's bucket or directory, below pipe/, unless another one was named.
func (im *importing) remoteText() string {
	if to := im.how.To; to != "" {
		im.r.Remote = to
		return yamldoc.Quote(to)
	}
	r, _ := im.dvcRemote()
	if r == nil {
		im.note(ImportNote{At: ".dvc/config", What: "DVC has no default remote, so pipe.yaml has none", Do: "run pipe remote add main URL"})
		return ""
	}
	if r.Scheme() == "" {
		im.r.Remote = path.Join(filepath.ToSlash(r.Text), pipeBelow)
		if !strings.Contains(im.r.Remote, "/") {
			im.r.Remote = "./" + im.r.Remote
		}
		return yamldoc.Quote(im.r.Remote)
	}
	if r.Scheme() != "s3" {
		im.note(ImportNote{At: ".dvc/config", What: "pipe.yaml has no remote", Do: "run pipe remote add main URL"})
		return ""
	}
	im.r.Remote = strings.TrimRight(r.URL, "/") + "/" + pipeBelow
	fields := []string{"url: " + yamldoc.Quote(im.r.Remote)}
	for _, o := range [][2]string{{"endpoint", "endpointurl"}, {"region", "region"}, {"profile", "profile"}, {"sse", "sse"}, {"sse_kms_key_id", "sse_kms_key_id"}} {
		if v := r.Options[o[1]]; v != "" {
			fields = append(fields, o[0]+": "+yamldoc.Quote(v))
		}
	}
	if len(fields) == 1 {
		return yamldoc.Quote(im.r.Remote)
	}
	return "{default: {" + strings.Join(fields, ", ") + "}}"
}

// ignores returns the .pipeignore files with what .dvcignore says beside them.
func (im *importing) ignores() (changes []change, err error) {
	for _, dir := range im.d.Ignores {
		b, err := atomicfile.Read(im.d.OS(path.Join(dir, dvc.IgnoreFile)), atomicfile.MaxNote)
		if err != nil {
			return nil, err
		}
		name := path.Join(dir, ".pipeignore")
		old, err := atomicfile.Read(im.d.OS(name), atomicfile.MaxNote)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		has := dvc.Patterns(old)
		var lines []string
		for _, pattern := range dvc.Patterns(b) {
			if !slices.Contains(has, pattern) {
				lines = append(lines, pattern)
			}
		}
		if len(lines) == 0 {
			continue
		}
		_, next, err := im.p.withLines(name, lines)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{name, next})
	}
	return changes, nil
}

// write replaces files of the project.
func (im *importing) write(changes []change) error {
	for _, c := range changes {
		if err := im.p.write(c.name, []byte(c.text)); err != nil {
			return err
		}
	}
	return nil
}

// finish writes what is left, pipe.yaml last, and says what was written.
func (im *importing) finish(ctx context.Context, ignores []change) error {
	var changes []change
	for _, t := range im.texts[1:] {
		changes = append(changes, change{path.Join(t.Dir, spec.FileName), t.Text})
	}
	init := &Initialized{}
	if im.p.repo != nil {
		lines, err := im.p.ignoreLines()
		if err != nil {
			return err
		}
		// DVC's .gitignore stays as it is: .pipe has one of its own.
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == "/"+worktree.Dir+"/" })
		old, next, err := im.p.withLines(".gitignore", lines)
		if err != nil {
			return err
		}
		if next != old {
			changes = append(changes, change{".gitignore", next})
		}
		if old, next, err = im.p.attributes(); err != nil {
			return err
		}
		if next != old {
			changes = append(changes, change{".gitattributes", next})
		}
		if diffsShort(next) && !im.p.repo.IsSet(ctx, diffSetting) {
			init.Config = append(init.Config, diffSetting)
		}
	}
	changes = append(changes, change{spec.FileName, im.texts[0].Text})
	for _, c := range append(ignores, changes...) {
		im.r.Wrote = append(im.r.Wrote, c.name)
	}
	im.r.Wrote = append(im.r.Wrote, lockfile.FileName)
	im.r.Next = "pipe repro"
	if im.how.DryRun {
		for _, t := range im.texts {
			im.r.Files = append(im.r.Files, ImportedText{Name: path.Join(t.Dir, spec.FileName), Text: t.Text})
		}
		return nil
	}
	last := len(changes) - 1
	if err := im.write(changes[:last]); err != nil {
		return err
	}
	im.p.configure(ctx, init)
	return im.write(changes[last:]) // from here on it is a project, and this verb refuses it
}

// knownFile is where the map of names lies.
func (im *importing) knownFile() string {
	return filepath.Join(im.p.root, worktree.Dir, filepath.FromSlash(dvc.KnownName))
}

// describe lists what became of each stage.
func (im *importing) describe() {
	im.sayDeploys()
	for _, s := range im.stages {
		why := s.why
		if s.asItIs && why == "" {
			why = "frozen, with other inputs than dvc.lock has; what lies there counts"
		}
		do := s.do
		if why != "" && do == "" && !s.asItIs && !s.Deploy {
			do = "pipe repro will run it, as dvc repro would"
		}
		im.r.Stages = append(im.r.Stages, ImportStage{Stage: s.Name, Carried: s.carried, Why: why, Do: do})
	}
}

// lookBack adds to the map of names what older commits' dvc.lock and .dvc files name and DVC's cache
// has: with it, pipe find answers for the names in old logs. The map is written whole or not at all.
func (im *importing) lookBack(ctx context.Context) error {
	if im.how.DryRun {
		return nil
	}
	local := &dvc.Store{Places: im.store.Places[:1]}
	look := func(sum dvc.Sum) error {
		if _, ok := im.known[sum.String()]; ok {
			return nil
		}
		h, err := local.Copy(ctx, sum, nil)
		if errors.Is(err, dvc.ErrNowhere) || diag.Is(err, diag.Integrity) {
			return nil // DVC itself would find out
		}
		if err == nil && !sum.Dir {
			im.known.Add(h)
		}
		return err
	}
	err := im.p.dvcPast(ctx, func(n dvcName) error {
		if !n.sum.Dir {
			return look(n.sum)
		}
		list, err := local.List(ctx, n.sum)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for _, e := range list {
			if err := look(dvc.Sum{MD5: e.MD5, Legacy: n.sum.Legacy}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.r.Names = len(im.known)
	in, err := im.p.work.MakeOwn(path.Dir(dvc.KnownName))
	if err != nil {
		return err
	}
	_ = in.Close()
	return im.p.write(path.Join(worktree.Dir, dvc.KnownName), im.known.Encode())
}
