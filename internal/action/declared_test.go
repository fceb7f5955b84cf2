package action

import (
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/spec"
)

// A variable has the value of the first that has one: the environment, pipe.yaml, the process, a file.
func TestAVariableHasTheValueThatStandsNearest(t *testing.T) {
	file := func(name string) *dotenv.Var { return &dotenv.Var{Name: name, Value: "file"} }
	s := &spec.Stage{
		Env: []spec.Env{
			{Name: "GIVEN", Literal: true, Value: "literal", File: file("GIVEN")},
			{Name: "LITERAL", Literal: true, Value: "literal", File: file("LITERAL")},
			{Name: "PROCESS", File: file("PROCESS")},
			{Name: "EMPTY", File: file("EMPTY")},
			{Name: "FILE", File: file("FILE")},
			{Name: "NONE"},
		},
		PassEnv: []string{"P*"}, Passed: []dotenv.Var{*file("PA"), *file("PB")},
	}
	process := map[string]string{"GIVEN": "process", "LITERAL": "process", "PROCESS": "process", "EMPTY": ""}
	var got []string
	for _, e := range Declared(s, map[string]string{"GIVEN": "given"}, func(name string) (string, bool) { v, ok := process[name]; return v, ok }) {
		if e.Set {
			got = append(got, e.Name+"="+e.Value)
		}
	}
	if want := []string{"GIVEN=given", "LITERAL=literal", "PROCESS=process", "EMPTY=", "FILE=file"}; !slices.Equal(got, want) {
		t.Errorf("declared %q", got)
	}
	last := map[string]string{} // of two values of a name, a command gets the last
	for _, e := range Passed(s, []string{"PB=process", "OTHER=process", "PIPE_X=process"}) {
		last[e.Name] = e.Value
	}
	if len(last) != 2 || last["PA"] != "file" || last["PB"] != "process" {
		t.Errorf("passed %q", last)
	}
}
