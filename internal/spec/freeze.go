package spec

import (
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Freeze returns the text of a pipe.yaml in which a stage is frozen, and all else is as it was:
// comments, order, line ends. A text in which it is frozen already is returned as it is. Where
// the text's form leaves no place for the change, the user gets the line to write.
func Freeze(text, name string, opt Options) (string, error) { return setFrozen(text, name, true, opt) }

// Unfreeze takes Freeze back, in the same way.
func Unfreeze(text, name string, opt Options) (string, error) {
	return setFrozen(text, name, false, opt)
}

func setFrozen(text, name string, frozen bool, opt Options) (string, error) {
	p, err := ParseIn(FileName, []byte(text), opt)
	if err != nil {
		return "", err
	}
	s := p.Stage(name)
	switch {
	case s == nil:
		return "", diag.New(diag.Usage, "no stage named %q", name).At(FileName).Hinted("pipe stage list shows the stages")
	case s.Frozen == frozen:
		return text, nil
	case s.Group != "":
		return "", diag.New(diag.Usage, "%s comes from the foreach or matrix of %s", name, s.Group).At(s.Place).
			Hinted("for all its stages, write frozen: %t in %s: below do:, or beside matrix:", frozen, s.Group)
	case s.File != "":
		return "", diag.New(diag.Usage, "%s is declared in %s, and pipe changes only %s", name, s.File, FileName).At(s.Place).
			Hinted("write frozen: %t there", frozen)
	case frozen && s.AlwaysChanged:
		return "", diag.New(diag.Usage, "%s has always_changed: true, and a stage cannot be both frozen and always_changed", name).At(s.Place).
			Hinted("remove always_changed from the stage, then run pipe freeze %s", name)
	}
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	if next, ok := d.freeze(name, frozen); ok {
		return next, nil
	}
	hint := "add this line to the stage: frozen: true"
	if !frozen {
		hint = "write frozen: false in the stage"
	}
	return "", diag.New(diag.Usage, "cannot change frozen of stage %s in the present form of %s", name, FileName).At(s.Place).Hinted("%s", hint)
}

// freeze sets or removes the flag of a stage.
func (d *draft) freeze(name string, frozen bool) (string, bool) {
	stage, _ := pair(d.root.Get("stages"), name)
	word := map[bool]string{true: "true", false: "false"}[frozen]
	value := &yamldoc.Node{Kind: yamldoc.Bool, Value: word}
	flag, i := pair(stage.Value, "frozen")
	var next string
	var ok bool
	switch {
	case i < 0:
		next, ok = d.addPair(stage, "frozen", word)
	case frozen, !d.isFlow(stage.Value) && strings.Contains(d.line(flag.At.Line), "#"): // a comment behind the flag stays
		if end := d.end(flag.Value); end >= 0 {
			next, ok = d.replaced(d.offset(flag.Value), end, word), true
		}
	default:
		next, ok = d.cutPair(stage.Value, i)
		value = nil
	}
	return next, ok && says(next, with(d.root, value, "stages", name, "frozen"))
}
