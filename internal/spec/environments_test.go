package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ships is a project that deploys with every variable that the tests set.
const ships = `stages:
  build: {cmd: x, outs: [out/]}
  ship: {cmd: x, deploy: true, verify: ./smoke.sh, env: [STACK, REGION, {REPLICAS: "1"}, {TOKEN: {secret: true}}]}
`

// files is a reader of files in memory.
func files(all map[string]string) func(repopath.Path) ([]byte, error) {
	return func(p repopath.Path) ([]byte, error) {
		if text, ok := all[string(p)]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: string(p), Err: fs.ErrNotExist}
	}
}

func expandGood(t testing.TB, environments string, more map[string]string) *Environments {
	t.Helper()
	all, err := parseGood(t, ships+environments).Expand(files(more))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, environments)
	}
	return all
}

// said is all that an environment says, in one line.
func said(e *Environment) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", e.Name)
	for _, v := range e.Env {
		fmt.Fprintf(&b, " %s=%q", v.Name, v.Value)
	}
	for _, part := range []string{e.Group, e.Auto, strings.Join(e.From, "+"), string(e.Pin)} {
		b.WriteString(" " + part + ";")
	}
	if e.Approve != nil {
		fmt.Fprintf(&b, " %+v", *e.Approve)
	}
	fmt.Fprintf(&b, " %s %s %s", e.Queue, e.OnFail, e.After)
	return b.String()
}

func TestAnEnvironmentIsWhatItSaysOverWhatItExtends(t *testing.T) {
	all := expandGood(t, `environments:
  default:
  staging: {auto: main, env: {STACK: stg, REGION: us-east-1, REPLICAS: 01.50}, on_fail: rollback}
  production:
    from: [staging, qa]
    auto: true
    pin: ./deploy/production
    approve: {signers: .approvers, count: 2, not_self: true}
    env: {STACK: prd, REGION: "", REPLICAS: yes}
    queue: all
    after_rollback: next
  production-eu: {extends: production, from: production, env: {REGION: eu}}
  deeper: {extends: production-eu, auto: release/1.x, approve: ci, queue: newest, pin: p}
  qa: {extends: "pr-*", auto: false, on_fail: stop}
  "pr-*": {extends: staging, auto: false, env: {REGION: preview}}
  count: {approve: {signers: conf/approvers}, auto: "on"}
  deepest: {extends: deeper, auto: true, approve: ci}
`, nil)
	want := []string{
		`count: ; on; ; ; {CI:false Signers:conf/approvers Count:1 NotSelf:false} newest stop hold`,
		`deeper: REGION="eu" REPLICAS="yes" STACK="prd" ; release/1.x; production; p; {CI:true Signers: Count:0 NotSelf:false} newest stop next`,
		`deepest: REGION="eu" REPLICAS="yes" STACK="prd" ; true; production; p; {CI:true Signers: Count:0 NotSelf:false} newest stop next`,
		`default: ; ; ; ; newest stop hold`,
		`pr-*: REGION="preview" REPLICAS="01.50" STACK="stg" ; ; ; ; newest rollback hold`,
		`production: REGION="" REPLICAS="yes" STACK="prd" ; true; qa+staging; deploy/production; {CI:false Signers:.approvers Count:2 NotSelf:true} all stop next`,
		`production-eu: REGION="eu" REPLICAS="yes" STACK="prd" ; true; production; deploy/production; {CI:false Signers:.approvers Count:2 NotSelf:true} all stop next`,
		`qa: REGION="preview" REPLICAS="01.50" STACK="stg" ; ; ; ; newest stop hold`,
		`staging: REGION="us-east-1" REPLICAS="01.50" STACK="stg" ; main; ; ; newest rollback hold`,
	}
	for i := range all.All {
		if got := said(&all.All[i]); i >= len(want) || got != want[i] {
			t.Errorf("got %s\nwant %v", got, want[min(i, len(want)-1)])
		}
	}
	if len(all.All) != len(want) || all.Groups != nil {
		t.Errorf("%d environments, groups %v", len(all.All), all.Groups)
	}
	production, err := all.Find("production")
	if err != nil || !production.Promoted() || production.Place != "pipe.yaml:7:3" {
		t.Errorf("%+v, %v", production, err)
	}
	for name, want := range map[string]string{"REGION": "+", "STACK": "prd+", "NONE": ""} {
		if v, ok := production.Value(name); v+map[bool]string{true: "+"}[ok] != want {
			t.Errorf("%s: %q %v", name, v, ok)
		}
	}
}

const tenants = `environments:
  staging: {}
  customers: {each: conf/tenants.yaml, auto: main, from: staging, after_rollback: next, env: {REGION: us, STACK: none}}
  partners: {each: partners.json, extends: customers, auto: true, env: {REGION: eu}}
  nobody: {each: nobody.yaml}
  last: {from: cust-41}
`

func TestEachMakesAnEnvironmentOfEveryEntryOfItsFile(t *testing.T) {
	all := expandGood(t, tenants+`  "cust-*": {from: cust-41}
  one: {extends: customers, auto: false}
`, map[string]string{
		"conf/tenants.yaml": "# two\ncust-42: {env: {STACK: shop-42}, auto: false, from: cust-41, queue: all}\ncust-41:\n",
		"partners.json":     `{"acme": {"env": {"STACK": "acme", "REPLICAS": 3}}}`,
		"nobody.yaml":       "# yet\n",
	})
	var got []string
	for i := range all.All {
		got = append(got, said(&all.All[i]))
	}
	want := []string{
		`acme: REGION="eu" REPLICAS="3" STACK="acme" partners; true; staging; ; newest stop next`,
		`cust-*: ; ; cust-41; ; newest stop hold`,
		`cust-41: REGION="us" STACK="none" customers; main; staging; ; newest stop next`,
		`cust-42: REGION="us" STACK="shop-42" customers; ; cust-41; ; all stop next`,
		`last: ; ; cust-41; ; newest stop hold`,
		`one: REGION="us" STACK="none" ; ; staging; ; newest stop next`,
		`staging: ; ; ; ; newest stop hold`,
	}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(all.Groups, []string{"customers", "nobody", "partners"}) {
		t.Errorf("got\n%s\nwant\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), all.Groups)
	}
	if m := all.Members("customers"); len(m) != 2 || m[0].Name != "cust-41" || m[1].Name != "cust-42" || m[0].Place != "conf/tenants.yaml:3:1" {
		t.Errorf("%+v", m)
	}
	if all.Members("nobody") != nil || all.Members("staging") != nil || all.Members("") != nil {
		t.Error("members of what has none")
	}
}

func TestFindKnowsNamesPatternsAndGroups(t *testing.T) {
	more := map[string]string{"conf/tenants.yaml": "cust-41: {}\ncust-42: {}\n", "partners.json": "{}", "nobody.yaml": ""}
	all := expandGood(t, tenants+`  "pr-*": {env: {STACK: pr}}
  "pr-eu-*": {env: {STACK: pr-eu}}
  pr-1: {env: {STACK: one}}
  "*-b": {}
  "a-*": {}
  "a-*-c": {env: {STACK: longer}}
`, more)
	for name, want := range map[string]string{
		"staging": "staging", "pr-1": "pr-1 one", "pr-2": "pr-2 pr", "pr-eu-1": "pr-eu-1 pr-eu", "pr-eu-": "pr-eu- pr", "cust-41": "cust-41 none", "a-b-c": "a-b-c longer", "a-1": "a-1",
		"pr-":       `pipe.yaml: no environment named "pr-"; did you mean pr-*?`,
		"pr-A":      `"pr-A" is not a valid environment name; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit; `,
		"pr-.lock":  `"pr-.lock" is not a valid environment name; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit; `,
		"":          `"" is not a valid environment name; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit; `,
		"pr-*":      `pipe.yaml: pr-* is a pattern; name one environment, such as pr-1`,
		"stagin":    `pipe.yaml: no environment named "stagin"; did you mean staging?`,
		"custs":     `pipe.yaml: no environment named "custs"; environments: *-b, a-*, a-*-c, cust-41, cust-42, customers, last, nobody, partners, pr-*, ...`,
		"customers": "pipe.yaml: customers is a group of environments, not an environment; name one of them: cust-41, cust-42",
		"nobody":    "pipe.yaml: nobody is a group of environments, not an environment; the group is empty",
		"a-c-b":     "pipe.yaml: a-c-b matches several patterns: *-b, a-*; add an entry a-c-b to environments",
	} {
		got := ""
		e, err := all.Find(name)
		if err == nil {
			v, _ := e.Value("STACK")
			got = strings.TrimSpace(e.Name + " " + v)
		} else {
			got = err.Error() + "; " + hintOf(err)
		}
		if got != want || err != nil && !diag.Is(err, diag.Usage) {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
	if e, err := all.Find("pr-2"); err != nil || e == &all.All[all.at("pr-*")] || all.All[all.at("pr-*")].Name != "pr-*" {
		t.Errorf("%v, %v: the pattern itself was changed", e, err)
	}
}

func TestWithoutAMapEveryNameIsAnEnvironment(t *testing.T) {
	p := parseGood(t, ships)
	all, err := p.Expand(nil)
	if err != nil || p.DeclaresEnvironments() {
		t.Fatal(err)
	}
	if e, err := all.Find("any"); err != nil || said(e) != `any: ; ; ; ; newest stop hold` {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := all.Find("No/Name"); !diag.Is(err, diag.Usage) {
		t.Error(err)
	}
	p = parseGood(t, ships+"environments: {customers: {each: t.yaml}}\n")
	all, err = p.Expand(files(map[string]string{"t.yaml": ""}))
	if err != nil || !p.DeclaresEnvironments() {
		t.Fatal(err)
	}
	if e, err := all.Find("any"); !diag.Is(err, diag.Usage) {
		t.Errorf("%+v of an empty group, %v", e, err)
	}
}

func TestFilesOfEachNameAllTheirFaults(t *testing.T) {
	p := parseGood(t, ships+`environments:
  staging: {}
  customers: {each: conf/tenants.yaml, env: {STACK: a}, auto: true}
  others: {each: others.yaml, from: stagin}
  third: {each: third.yaml}
  fourth: {each: fourth.yaml}
  loop: {from: cust-1}
`)
	_, err := p.Expand(files(map[string]string{
		"conf/tenants.yaml": `cust-1: {from: loop, env: {STAKC: a, TOKEN: b}, atuo: false}
staging: {from: staging}
customers: {from: staging}
cust-2: {}
cust-3: {auto: false, each: x.yaml}
cust-4: {auto: false, extends: staging}
"cust-*": {auto: false}
Cust: {}
cust-5: {auto: false, approve: {signers: out/a}}
cust-6: [a]
cust-1: {}
`,
		"others.yaml": "cust-1: {auto: true}\nother: {from: cust-9}\n",
		"third.yaml":  "- a\n",
	}))
	var list diag.List
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range list {
		fmt.Fprintf(&got, "%v; %s\n", e, e.Hint)
		if e.Kind != diag.Usage {
			t.Errorf("%v has kind %s", e, e.Kind)
		}
	}
	golden(t, "testdata/each.golden", got.String())
}

func TestAFileOfEachThatCannotBeReadKeepsItsKind(t *testing.T) {
	p := parseGood(t, "environments: {a: {each: t.yaml}}\nstages: {}\n")
	_, err := p.Expand(func(repopath.Path) ([]byte, error) { return nil, diag.New(diag.Network, "offline") })
	if !diag.Is(err, diag.Network) || err.Error() != "pipe.yaml:1:26: environment a: each: offline" {
		t.Errorf("%v", err)
	}
}

func TestTheSystemsThatPipeReplacesAreDeclared(t *testing.T) {
	for name, text := range map[string]string{
		"an orchestrator of many repositories": `project: platform
remote: s3://acme-pipe/platform
limits: {cloudformation: 2}
sources:
  src/api-v1: {git: https://github.com/acme/project-api-v1, ref: develop}
  src/api-v2: {git: https://github.com/acme/project-api-v2, ref: develop}
stages:
  build-api-v2: {cmd: make -C src/api-v2 zip OUT=$PIPE_ROOT/dist/api2.zip, deps: [src/api-v2/], outs: [dist/api2.zip]}
  api_v2: {deploy: true, cmd: ./deploy.sh api2, deps: [dist/api2.zip, deploy.sh], env: [STACK], mutex: cloudformation}
  test: {check: true, cmd: ./test.sh, needs: [api_v2]}
  console: {deploy: true, cmd: ./deploy.sh con, deps: [deploy.sh], env: [STACK], mutex: cloudformation, needs: [test]}
environments:
  acceptance: {env: {STACK: acc}}
  production: {env: {STACK: prd}, from: acceptance, approve: {signers: .approvers}}
  "dev-*":    {env: {STACK: dev}}
`,
		"release pull requests": `stages: {ship: {cmd: x, env: [DOMAIN]}}
environments:
  staging:    {auto: main, env: {DOMAIN: stg.acme.io}}
  production: {auto: main, from: staging, pin: deploy/production, env: {DOMAIN: acme.io}}
  "pr-*":     {extends: staging, auto: false, env: {DOMAIN: preview.acme.io}}
`,
		"a second region": `stages: {ship: {cmd: x, env: [REGION]}}
environments:
  staging:       {}
  production:    {from: staging, env: {REGION: us-east-1}}
  production-eu: {extends: production, from: production, env: {REGION: eu-central-1}}
`,
		"one per customer": `stages: {ship: {cmd: x, env: [STACK, REGION]}}
environments:
  customers: {each: tenants.yaml, auto: main, after_rollback: next}
`,
	} {
		p, err := Parse(FileName, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := p.Expand(files(map[string]string{"tenants.yaml": "cust-41: {env: {STACK: shop-41}}\ncust-42: {env: {REGION: eu}, auto: false}\n"})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEach(f *testing.F) {
	f.Add([]byte("a: {env: {STACK: x}, auto: false}\n"))
	f.Add([]byte("a: {extends: b, from: [a, b]}\n\"*\": {}\n"))
	f.Add([]byte("- a\n"))
	p := parseGood(f, ships+tenants)
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := p.Expand(func(name repopath.Path) ([]byte, error) {
			if name == "partners.json" {
				return data, nil
			}
			return []byte("cust-41:"), nil
		})
		if (all == nil) == (err == nil) {
			t.Fatalf("got %v and %v", all, err)
		}
		if err != nil {
			return
		}
		for i := range all.All {
			e, err := all.Find(all.All[i].Name)
			if err != nil || e.Name != all.All[i].Name || e.Queue == "" {
				t.Fatalf("half an environment: %+v, %v", e, err)
			}
		}
	})
}
