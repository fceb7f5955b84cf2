package cli

import (
	"maps"
	"testing"
)

func TestAValueIsTakenAsItIs(t *testing.T) {
	var got map[string]string
	for _, text := range []string{`A=x,y`, `B=https://host/?a=1,b=2`, `C="quoted"`, "D=two\nlines", `E=`} {
		if err := (pairs{&got}).Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	want := map[string]string{"A": "x,y", "B": "https://host/?a=1,b=2", "C": `"quoted"`, "D": "two\nlines", "E": ""}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, text := range []string{"A", "", "=x"} {
		if err := (pairs{&got}).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestAWrongSettingSaysHowToWriteIt(t *testing.T) {
	var params, vars map[string]string
	for _, c := range []struct {
		to         setting
		text, want string
	}{
		{setting{nil, &params}, "lr=1", "write FILE:KEY=VALUE, such as params.yaml:lr=1"},
		{setting{nil, &params}, "lr", "write FILE:KEY=VALUE"},
		{setting{nil, &params}, "=1", "write FILE:KEY=VALUE"},
		{setting{nil, &params}, "p.yaml:lr", "write FILE:KEY=VALUE"},
		{setting{nil, &params}, "p.yaml:=1", "write FILE:KEY=VALUE"},
		{setting{&vars, &params}, "p.yaml:lr", "write NAME=VALUE or FILE:KEY=VALUE"},
		{setting{&vars, &params}, "lr", "write NAME=VALUE"},
	} {
		if err := c.to.Set(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
	if len(params)+len(vars) > 0 {
		t.Errorf("taken: %q %q", params, vars)
	}
}
