package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// opener makes a file when it reads what it waits for.
type opener struct {
	strings.Builder
	wait *regexp.Regexp
	file string
}

func (o *opener) Write(b []byte) (int, error) {
	n, err := o.Builder.Write(b)
	if o.wait.MatchString(o.String()) {
		err = os.WriteFile(o.file, nil, 0o666)
	}
	return n, err
}

func TestAHeartbeatComesWhileAStageIsSilent(t *testing.T) {
	p := newPlace(t, "stages:\n  build: {cmd: 'while ! test -e go; do sleep 0.02; done', deps: [src], check: true}\n")
	errs := &opener{wait: regexp.MustCompile(`(?m)^still running: build since \d\d:\d\d:\d\d \(\d+ s\)$`), file: filepath.Join(p.dir, "go")}
	w := World{Args: []string{"-C", p.dir, "repro"}, Environ: p.environ, Out: errs, Err: errs, Beat: time.Millisecond}
	if code := Run(t.Context(), w); code != 0 {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

func TestColoursAreForTerminalsAndForWhoAsksForThem(t *testing.T) {
	for env, want := range map[string][2]bool{ // off a terminal, and on one
		"":                               {false, true},
		"TERM=xterm":                     {false, true},
		"TERM=dumb":                      {false, false},
		"NO_COLOR=":                      {false, true},
		"NO_COLOR=0":                     {false, false},
		"NO_COLOR=1 FORCE_COLOR=1":       {false, false},
		"FORCE_COLOR=1 TERM=dumb":        {true, true},
		"FORCE_COLOR=3":                  {true, true},
		"FORCE_COLOR=0":                  {false, false},
		"FORCE_COLOR=false":              {false, false},
		"FORCE_COLOR=":                   {false, true},
		"CLICOLOR=0":                     {false, false},
		"CLICOLOR=1":                     {false, true},
		"CLICOLOR_FORCE=1 CLICOLOR=0":    {true, true},
		"CLICOLOR_FORCE=0":               {false, true},
		"CI=true":                        {false, true},
		"CI=true FORCE_COLOR=1":          {true, true},
		"NO_COLOR=1 NO_COLOR= TERM=vt52": {false, true}, // the last one of a name counts
	} {
		a := &app{World: World{Environ: strings.Fields(env)}}
		if got := [2]bool{a.colours(false), a.colours(true)}; got != want {
			t.Errorf("%q: %v, want %v", env, got, want)
		}
	}
}

func TestForcedColoursReachEveryKindOfLine(t *testing.T) {
	p := newPlace(t, "stages:\n  good: {cmd: cp src dist, deps: [src], outs: [dist]}\n  bad: {cmd: echo said; exit 3, deps: [src], outs: [none]}\n")
	p.environ = append(p.environ, "FORCE_COLOR=1")
	p.run(3, "plan")
	if !strings.Contains(p.out, "good  \x1b[1mrun\x1b[m      never ran\n") {
		t.Errorf("%q", p.out)
	}
	p.run(1, "repro", "-k")
	for _, want := range []string{"\x1b[32mdone\x1b[m     dist", "\x1b[2mbad | \x1b[msaid\n", "\x1b[31mFAILED\x1b[m   exit code 3\n", "\x1b[31mpipe:\x1b[m pipe.yaml:3:3: bad:", "  \x1b[36mhint:\x1b[m fix"} {
		if !strings.Contains(p.err, want) {
			t.Errorf("no %q in %q", want, p.err)
		}
	}
	p.run(1, "repro", "--json")
	if strings.Contains(p.out, "\x1b") || strings.Contains(p.out, `\u001b`) {
		t.Errorf("colours in JSON: %q", p.out)
	}
}

func TestAFailingStagesLinesArePrintedOnce(t *testing.T) {
	p := newPlace(t, "stages:\n  bad: {cmd: 'for i in $(seq 100 140); do echo line $i; done; exit 3', deps: [src], outs: [none]}\n")
	for _, c := range []struct {
		args  []string
		env   string
		lines int
	}{
		{[]string{"repro"}, "", 41},
		{[]string{"repro"}, "GITHUB_ACTIONS=true", 41},
		{[]string{"repro", "-q"}, "", 20},
		{[]string{"repro", "-q"}, "GITHUB_ACTIONS=true", 20},
	} {
		p.environ = append(p.environ[:3:3], c.env)
		p.run(1, c.args...)
		log, _, _ := strings.Cut(p.err, "::error ") // which GitHub shows elsewhere
		if n := strings.Count(log, "line 1"); n != c.lines || strings.Count(log, "line 140") != 1 {
			t.Errorf("%q %s: %d lines in\n%s", c.args, c.env, n, p.err)
		}
		if quiet := len(c.args) == 2; quiet != strings.Contains(p.err, "\npipe log bad shows all of its output\n") {
			t.Errorf("%q: %s", c.args, p.err)
		}
	}
	p.run(1, "repro", "--json")
	if n := strings.Count(p.out, `"output":["line 121",`); n != 1 {
		t.Errorf("%d lists of output in %s", n, p.out)
	}
}
