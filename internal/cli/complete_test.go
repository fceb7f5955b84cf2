package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandsOf calls f for each command below c.
func commandsOf(c *cobra.Command, f func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		f(sub)
		commandsOf(sub, f)
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	n := 0
	commandsOf((&app{}).root(), func(c *cobra.Command) {
		n++
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example, or no text", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			if !strings.HasPrefix(line, "  ") || !strings.Contains(line, c.CommandPath()) {
				t.Errorf("%s: the example %q does not show it", c.CommandPath(), line)
			}
		}
	})
	if n < 20 {
		t.Errorf("only %d commands", n)
	}
}

func TestEveryCommandCompletesItsArguments(t *testing.T) {
	commandsOf((&app{}).root(), func(c *cobra.Command) {
		if !c.HasSubCommands() && c.ValidArgsFunction == nil {
			t.Errorf("%s does not", c.CommandPath())
		}
	})
}

const crowd = `project: shop
remote: {main: ../remote, s3: {url: "s3://nowhere/x", endpoint: "https://192.0.2.1"}}
stages:
  build: {cmd: cp src dist, deps: [src], outs: [sub/dist], desc: "packs it\nin two lines"}
  bundle: {cmd: x, outs: ["odd name"], desc: "red \x1b[31m"}
  deploy: {deploy: true, cmd: cp dist "$LIVE", deps: [sub/dist]}
`

// completes asks as a shell does.
func (p *place) completes(words ...string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	w := World{Args: append([]string{"__complete", "-C", p.dir}, words...), Environ: p.environ, In: strings.NewReader(""), Out: &out, Err: &errs}
	if code := Run(p.t.Context(), w); code != 0 {
		p.t.Errorf("%q: exit %d", words, code)
	}
	p.out, p.err = out.String(), errs.String()
}

func TestEnvironmentsOfPipeYamlAreCompleted(t *testing.T) {
	p := newPlace(t, crowd+"environments: {staging: {}, production: {from: staging}, \"pr-*\": {}}\nsources: {lib/api: {git: ../api}}\n")
	for line, want := range map[string]string{
		"env show ":               "production|staging|:4",
		"hold s":                  "staging|:4",
		"deploy staging ":         "production|:4",
		"promote staging ":        "production|:4",
		"promote s":               "staging|:4",
		"update ":                 "lib/api\t../api|:4",
		"repro --env ":            "production|staging|:4",
		"env forget production d": "deploy|:4",
		"env history staging ":    ":4",
		"env destroy staging s":   ":4",
	} {
		p.completes(strings.Split(line, " ")...)
		if got := strings.ReplaceAll(strings.TrimSpace(p.out), "\n", "|"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestCompletion(t *testing.T) {
	p := newPlace(t, crowd)
	for line, want := range map[string]string{
		"repro ":              "build\tpacks it|bundle|deploy|odd name\toutput of bundle|sub/dist\toutput of build|:4",
		"repro bu":            "build\tpacks it|bundle|:4",
		"repro build b":       "bundle|:4",
		"plan s":              "sub/dist\toutput of build|:4",
		"why d":               "deploy|:4",
		"why deploy ":         ":4",
		"repro -r ":           "main\t../remote|s3\ts3://nowhere/x|:0",
		"repro --env ":        "default|:4",
		"remote trust s":      "s3\ts3://nowhere/x|:4",
		"remote add ":         ":4",
		"env show ":           "default|:4",
		"dag --format ":       "text|mermaid|dot|:4",
		"completion ":         "bash|zsh|fish|powershell|:4",
		"find ":               ":0",
		"hash a ":             ":0",
		"diff ":               ":4",
		"gc ":                 ":4",
		"no-such-command foo": ":1",
	} {
		p.completes(strings.Split(line, " ")...)
		if got := strings.ReplaceAll(strings.TrimSpace(p.out), "\n", "|"); got != want && want != ":1" {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
		if strings.Contains(p.err, "pipe:") || strings.Contains(p.out, "\x1b") {
			t.Errorf("%s: said %q, %q", line, p.out, p.err)
		}
	}
	// The broken, or none, complete nothing and say nothing.
	p.write("pipe.yaml", "stages: [")
	p.completes("repro", "")
	if p.out != ":4\n" || strings.Contains(p.err, "pipe") {
		t.Errorf("%q, %q", p.out, p.err)
	}
}

func TestASlipOfThePenGetsTheNearestName(t *testing.T) {
	p := newPlace(t, shop)
	for line, want := range map[string]string{
		"reproo":                 "unknown command \"pipe reproo\"|did you mean pipe repro?",
		"xyzzyx":                 "unknown command \"pipe xyzzyx\"|pipe --help",
		"remote lst":             "unknown command \"pipe remote lst\"|did you mean pipe remote list?",
		"lock comit":             "unknown command \"pipe lock comit\"|did you mean pipe lock commit?",
		"repro --dryrun":         "unknown flag --dryrun|did you mean --dry-run?",
		"repro --jsno":           "unknown flag --jsno|did you mean --json?",
		"repro --completely-off": "unknown flag --completely-off|pipe repro --help",
		"repro -Z":               "unknown flag -Z|pipe repro --help",
		"repro -j many":          "--jobs needs a number, not many|pipe repro --help",
		"repro -k=maybe":         "--keep-going is true or false, not maybe|pipe repro --help",
		"repro --env":            "--env needs a value|pipe repro --help",
		"why":                    "name a stage: pipe why STAGE|pipe why --help",
		"why biuld":              "no stage or output named \"biuld\"|did you mean build?",
		"plan dits":              "no stage or output named \"dits\"|did you mean dist?",
	} {
		p.run(2, strings.Split(line, " ")...)
		what, hint, _ := strings.Cut(strings.TrimSpace(p.err), "\n  hint: ")
		if got := strings.TrimPrefix(strings.TrimPrefix(what, "pipe: "), "pipe.yaml: ") + "|" + hint; got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestTheVersionIsAlsoAFlag(t *testing.T) {
	p := newPlace(t, shop)
	p.run(0, "version")
	want := p.out
	if p.run(0, "--version"); p.out != want || want == "" {
		t.Errorf("%q, want %q", p.out, want)
	}
	p.run(0, "--version", "--json")
	if p.answer()["schema"] != "pipe.version/1" {
		t.Errorf("%q", p.out)
	}
}

func TestOnlyCommandsOfManyProjectsTakeR(t *testing.T) {
	p := newPlace(t, shop)
	commandsOf((&app{}).root(), func(c *cobra.Command) {
		if !c.HasSubCommands() && !slices.Contains(ofMany[:], c.Name()) {
			p.run(2, append(append([]string{"-R"}, strings.Split(c.CommandPath(), " ")[1:]...), "a", "b")...)
		}
	})
}

func TestSeveralProjectsAskOnce(t *testing.T) {
	const one = "stages:\n  d: {deploy: true, cmd: echo x >> $LIVE, deps: [f]}\n"
	for answer, code := range map[string]int{"y\n": 0, "n\n": 9} {
		p := newPlace(t, one)
		p.write("f", "1")
		p.write("sub/pipe.yaml", one)
		p.write("sub/f", "1")
		p.in = answer
		p.run(code, "-R", "repro", "-k")
		if got := strings.Count(p.err, "[y/N]"); got != 1 || !strings.Contains(p.err, "Deploy d to default?") {
			t.Errorf("asked %d times: %s", got, p.err)
		}
		if live := strings.Count(p.err, "done     live"); live != 2 && code == 0 || live > 0 && code > 0 {
			t.Errorf("%d live: %s", live, p.err)
		}
	}
}
