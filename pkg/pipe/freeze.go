package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// FrozenStage is what Freeze and Unfreeze say of a stage.
type FrozenStage struct {
	Stage   string `json:"stage"`   // its name
	Frozen  bool   `json:"frozen"`  // as it is now
	Changed bool   `json:"changed"` // false: it was so before
}

// Freeze writes frozen: true into the stages that the targets name, and leaves all else in
// pipe.yaml as it is. Either all of them are frozen then, or the file is as it was.
func (p *Project) Freeze(ctx context.Context, targets []string) ([]FrozenStage, error) {
	return p.setFrozen(ctx, targets, "freeze", spec.Freeze)
}

// Unfreeze takes Freeze back.
func (p *Project) Unfreeze(ctx context.Context, targets []string) ([]FrozenStage, error) {
	return p.setFrozen(ctx, targets, "unfreeze", spec.Unfreeze)
}

func (p *Project) setFrozen(ctx context.Context, targets []string, verb string, set func(text, name string, opt spec.Options) (string, error)) (all []FrozenStage, err error) {
	names, err := p.targets(targets)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if s := p.spec.Stage(name); s.Input {
			return nil, diag.New(diag.Usage, "%s is an input of the project, which no command makes", s.Outs[0].Path).At(s.Place).
				Hinted("name a stage: pipe %s STAGE", verb)
		}
	}
	h, err := p.hold(ctx, verb)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	err = p.edit(ctx, func(text string) (string, error) {
		for _, name := range names { // of the file as it is, so that errors name its lines
			if _, err := set(text, name, p.options(p.file)); err != nil {
				return "", err
			}
		}
		for _, name := range names {
			next, err := set(text, name, p.options(p.file))
			if err != nil {
				return "", err
			}
			all = append(all, FrozenStage{Stage: name, Frozen: verb == "freeze", Changed: next != text})
			text = next
		}
		return text, nil
	})
	return all, err
}

// edit changes the text of pipe.yaml, which is read under the workspace's lock: of two edits at
// once none is lost. A text that stays the same is not written. The caller holds the lock.
func (p *Project) edit(ctx context.Context, change func(text string) (string, error)) error {
	data, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if err != nil {
		return err
	}
	next, err := change(string(data))
	if err != nil || next == string(data) {
		return err
	}
	if p.readOnly != nil {
		return p.cannotWrite(spec.FileName + " has to change")
	}
	if err := p.write(spec.FileName, []byte(next)); err != nil {
		return err
	}
	return p.read(ctx)
}
