package starter

import (
	"strings"

	"github.com/pipe-build/pipe/internal/spec"
)

// DVC is the name of the file that has the stages of a DVC project.
const DVC = "dvc.yaml"

// dvc takes the stages of a dvc.yaml as they are, where they mean the same here; nil: there is
// no such file. What pipe cannot take over stands in comments, with the reasons.
func (t *Tree) dvc(name string) (*Proposal, error) {
	b, err := t.Read(DVC)
	if err != nil {
		return nil, absentIsNil(err)
	}
	w := &writer{name: name}
	w.write("head", w)
	head, _ := strings.CutSuffix(w.b.String(), "stages:\n")
	w.b.Reset()
	project, err := spec.Parse(DVC, b)
	if err == nil {
		w.write("dvc", nil)
		text := head + w.b.String() + string(b)
		if _, again := spec.Parse(spec.FileName, []byte(text)); again == nil {
			f := Found{File: DVC}
			for _, s := range project.Stages {
				f.Stages = append(f.Stages, s.Name)
			}
			return &Proposal{Text: text, Found: []Found{f}}, w.err
		}
	}
	w.b.Reset()
	w.b.WriteString(head + "stages:\n")
	w.write("example", w)
	d := struct {
		Faults []string
		Stages string
	}{nil, string(b)}
	if err != nil {
		d.Faults = strings.Split(err.Error(), "\n")
	}
	w.b.WriteByte('\n')
	w.write("dvc-later", d)
	why := "its stages are in comments: change what is named there, and remove the # signs"
	return &Proposal{Text: w.b.String(), Found: []Found{{File: DVC, Why: why}}}, w.err
}
