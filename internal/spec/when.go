package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// When is the condition of a stage: where it is false, the stage is left out of the run.
type When struct {
	Text  string // as pipe.yaml has it
	Place string
	*expr.Expr
}

// Eval evaluates the condition of a stage. A fault of the condition has its place in pipe.yaml.
func (s *Stage) Eval(w expr.World) (bool, error) {
	is, err := s.When.Expr.Eval(w)
	var fault *expr.Error
	if errors.As(err, &fault) {
		return false, whenFault(s.Name+": ", fault).At(s.When.Place)
	}
	return is, err
}

// whenFault words a fault of a condition.
func whenFault(prefix string, e *expr.Error) *diag.Error {
	return diag.New(diag.Usage, "%swhen: column %d: %s", prefix, e.Col, e.What).Hinted("%s", e.Hint)
}

// when reads the condition of a stage, and puts in what is known without a run.
func (s *stageReader) when(n *yamldoc.Node) {
	if n.Kind != yamldoc.Bool && n.Kind != yamldoc.String && n.Kind != yamldoc.Source {
		_ = s.bad(n, "when: must be a condition, not %s", shown(n)).Hinted("write for example when: branch == 'main'")
		return
	}
	text := n.Value
	if n.Kind == yamldoc.Bool { // True and TRUE are as good in YAML
		text = map[bool]string{true: "true", false: "false"}[s.flag(n, s.prefix(), "when")]
	}
	e, err := expr.Parse(text)
	var faults []*expr.Error
	if err == nil {
		faults = e.Bind(expr.Names{Vars: s.names(), Params: s.allParams})
	} else if fault := (*expr.Error)(nil); errors.As(err, &fault) {
		faults = append(faults, fault)
	}
	for _, f := range faults {
		s.faults = append(s.faults, whenFault(s.prefix(), f).At(n.Place(s.file)))
	}
	if len(faults) == 0 {
		s.st.When = &When{Text: n.Value, Place: n.Place(s.file), Expr: e}
	}
}

// allParams returns the file that params.NAME is about.
func (r *reader) allParams() (*yamldoc.Node, error) {
	file := r.base.Child(DefaultVars)
	d := r.document(file)
	if d.root == nil && errors.Is(d.err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist", file)
	}
	return d.root, d.err
}

// Members returns the stages that a name stands for, by index: the stage of that name, else those of the group.
func (p *Project) Members(name string) (all []int) {
	if i := p.at(name); i >= 0 {
		return []int{i}
	}
	for i := range p.Stages {
		if name != "" && p.Stages[i].Group == name {
			all = append(all, i)
		}
	}
	return all
}

// Groups returns the names of the groups of stages, sorted.
func (p *Project) Groups() (names []string) {
	for i := range p.Stages {
		if g := p.Stages[i].Group; g != "" {
			names = append(names, g)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// asks reports conditions that ask about a stage that is not there, or about their own.
func (r *reader) asks(p *Project, s *Stage) {
	if s.When == nil {
		return
	}
	for _, name := range s.When.Stages() {
		switch members := p.Members(name); {
		case name == s.Name:
			_ = r.faultAt(s.When.Place, "%s: when: changed(%s) asks about the stage itself", s.Name, name).
				Hinted("leave it out: a stage runs anyway only if something that it reads has changed")
		case len(members) == 0:
			known := p.Groups()
			for i := range p.Stages {
				known = append(known, p.Stages[i].Name)
			}
			_ = guess(r.faultAt(s.When.Place, "%s: when: changed(%s): no stage named %q", s.Name, name, name), name, known, "changed() takes the name of a stage, foreach or matrix")
		}
	}
}
