package cli

import "testing"

func TestEachCommandStandsInAGroupOfTheHelp(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		if c.GroupID == "" && c.Name() != "version" && c.Name() != "completion" && c.Name() != "help" {
			t.Errorf("%s has no group", c.Name())
		}
	}
}
