package starter

import (
	"fmt"
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
	faults := ""
	project, err := spec.Parse(DVC, b)
	if err == nil {
		text := fmt.Sprintf(head, name) + dvcHead + string(b)
		if _, again := spec.Parse(spec.FileName, []byte(text)); again == nil {
			f := Found{File: DVC}
			for _, s := range project.Stages {
				f.Stages = append(f.Stages, s.Name)
			}
			return &Proposal{Text: text, Found: []Found{f}}, nil
		}
	} else {
		faults = "\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")
	}
	later := comment(fmt.Sprintf(dvcLater, faults, b))
	why := "its stages are in comments: change what is named there, and remove the # signs"
	return &Proposal{Text: fmt.Sprintf(head, name) + "stages:\n" + example + "\n" + later, Found: []Found{{File: DVC, Why: why}}}, nil
}
