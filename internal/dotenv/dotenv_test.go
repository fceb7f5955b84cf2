package dotenv

import (
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

// lookup is an environment with HOME and HOST alone.
func lookup(name string) (string, bool) {
	v, ok := map[string]string{"HOME": "/home/a", "HOST": "outer"}[name]
	return v, ok
}

func TestFilesAreReadAsWritten(t *testing.T) {
	for _, c := range []struct {
		file string
		want []string // NAME=value@line:col
	}{
		{"", nil},
		{"\n\n  # only\n\t\n", nil},
		{"A=1", []string{"A=1@1:1"}},
		{"A=", []string{"A=@1:1"}},
		{"A=   ", []string{"A=@1:1"}},
		{"A=  b c  \n B=2", []string{"A=b c@1:1", "B=2@2:2"}},
		{"A = 1", []string{"A=1@1:1"}},
		{"_a1=x", []string{"_a1=x@1:1"}},
		{"export A=1\nexport\tB=2\nexport=3\nexporter=4", []string{"A=1@1:8", "B=2@2:8", "export=3@3:1", "exporter=4@4:1"}},
		{"A=a=b==", []string{"A=a=b==@1:1"}},
		{"A=a # c\nB=a#c\nC=#fff\nD= # c\nE=#", []string{"A=a@1:1", "B=a#c@2:1", "C=#fff@3:1", "D=@4:1", "E=#@5:1"}},
		{"A='a # $HOME \\n' # c\nB=\"a # b\"#c", []string{"A=a # $HOME \\n@1:1", "B=a # b@2:1"}},
		{"A='a\n# b\n'\nB=2", []string{"A=a\n# b\n@1:1", "B=2@4:1"}},
		{"A=\"a\nb\"\nB=2", []string{"A=a\nb@1:1", "B=2@3:1"}},
		{`A="\n\r\t\\\"\$HOME"`, []string{"A=\n\r\t\\\"$HOME@1:1"}},
		{`A=C:\new\"x"` + "\nB={\"a\": 1}\nC=it's", []string{`A=C:\new\"x"@1:1`, `B={"a": 1}@2:1`, "C=it's@3:1"}},
		{"A=1\r\nB=\"x\r\ny\"\r\n", []string{"A=1@1:1", "B=x\ny@2:1"}},
		{"\ufeffA=1", []string{"A=1@1:1"}},
		{"A=$HOME/x\nB=\"${HOME}y\"\nC='$HOME'\nD=\\$HOME", []string{"A=/home/a/x@1:1", "B=/home/ay@2:1", "C=$HOME@3:1", "D=$HOME@4:1"}},
		{"A=1\nB=$A$A-${A}", []string{"A=1@1:1", "B=11-1@2:1"}},
		{"HOST=inner\nB=$HOST", []string{"HOST=inner@1:1", "B=outer@2:1"}}, // what commands get as HOST
		{"B=$EARLY\nEARLY=2\nC=$EARLY", []string{"B=1@1:1", "EARLY=2@2:1", "C=2@3:1"}},
		{"A=5$ $1 a$", []string{"A=5$ $1 a$@1:1"}},
		{"A=æ中", []string{"A=æ中@1:1"}},
	} {
		vars, err := Parse("f", []byte(c.file), lookup, []Var{{Name: "EARLY", Value: "1"}})
		var got []string
		for _, v := range vars {
			got = append(got, v.Name+"="+v.Value+"@"+strings.TrimPrefix(v.Place, "f:"))
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q:\n got %q, %v\nwant %q", c.file, got, err, c.want)
		}
	}
}

func TestFaultsAreToldWithTheirPlaces(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"A=1\nnonsense\nB", "f:2:1: must be NAME=VALUE|f:3:1: must be NAME=VALUE"},
		{"export A", "f:1:8: must be NAME=VALUE"},
		{"A: 1", "f:1:1: must be NAME=VALUE"},
		{"1A=x\nA-B=x\n=x\nA B=1\nexport A.B=1", "f:1:1: not a valid variable name before the =|f:2:1: not a valid variable name before the =|" +
			"f:3:1: not a valid variable name before the =|f:4:1: not a valid variable name before the =|f:5:8: not a valid variable name before the ="},
		{"A=1\n\n A=2", "f:3:2: A is already set (f:1:1)"},
		{"A=\"open\nB=2\n", "f:1:3: A: the quote is not closed"},
		{"A='open", "f:1:3: A: the quote is not closed"},
		{`A="x\"`, "f:1:3: A: the quote is not closed"},
		{`A="x\`, "f:1:3: A: the quote is not closed"},
		{`A="x"y`, "f:1:6: A: there is text after the closing quote"},
		{"A='it''s'", "f:1:7: A: there is text after the closing quote"},
		{"A=`x`", "f:1:3: A: a value cannot begin with a backquote"},
		{"A=\"\nb\\q\"", `f:2:2: A: unknown escape; in double quotes there are \n \r \t \\ \" and \$`},
		{"A=pa$word", "f:1:5: A: the variable after the $ is set neither above nor in the environment"},
		{"A=${B}\nB=1", "f:1:3: A: the variable after the $ is set neither above nor in the environment"},
		{"A=${HOME:-x}", "f:1:3: A: only $NAME and ${NAME} are supported after a $"},
		{"A=${HOME", "f:1:3: A: only $NAME and ${NAME} are supported after a $"},
		{"A=${}", "f:1:3: A: only $NAME and ${NAME} are supported after a $"},
		{"A=$(pwd)\nB=$$", "f:1:3: A: only $NAME and ${NAME} are supported after a $|f:2:3: B: only $NAME and ${NAME} are supported after a $"},
		{"A=$X\nB=$A", "f:1:3: A: the variable after the $ is set neither above nor in the environment"},
		{"A=1\rB=2", "f:1:4: A: the value contains a control character"},
		{"A=1\nB=\x00", "f:2:3: the file contains NUL"},
		{"\xff\xfeA\x00=\x00", "f:1:4: the file contains NUL"},
		{"A=\xe6", "f:1:1: the file is not UTF-8"},
	} {
		_, err := Parse("f", []byte(c.file), lookup, nil)
		var got []string
		for _, e := range diag.All(err) {
			if e.Kind != diag.Usage {
				t.Errorf("%q: kind %v", c.file, e.Kind)
			}
			got = append(got, e.Place+": "+e.What)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.file, strings.Join(got, "|"), c.want)
		}
	}
}

func TestAFileOfAnotherFormHasFewFaults(t *testing.T) {
	if _, err := Parse("f", []byte(strings.Repeat("x\n", 1000)), lookup, nil); len(diag.All(err)) != maxFaults {
		t.Errorf("%d faults", len(diag.All(err)))
	}
}

// A file of secrets must not be shown by its faults.
func FuzzNoFaultShowsAValue(f *testing.F) {
	for _, seed := range []string{"$X", "'", "\"a\\q", "${", "`", "a$b ${c:-", "x\ny=1\n'", "$(a)", "\\", "\"$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		secret := strings.ReplaceAll(value, "A", "hunter2")
		vars, err := Parse("f", []byte("A="+secret), lookup, nil)
		// A word before a = on a later line is a name.
		if err != nil && !strings.Contains(secret, "=") && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", secret, err)
		}
		for _, v := range vars {
			if !IsName(v.Name) || strings.ContainsRune(v.Value, 0) {
				t.Errorf("%q", v)
			}
		}
	})
}
