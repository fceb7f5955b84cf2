package spec

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Environment is where deploy stages act, as pipe.yaml declares it. extends and each are
// resolved: what stands here is all of it.
type Environment struct {
	Name    string   // or a pattern with *, which makes environments by use
	Group   string   // the entry whose each: file names it; empty: pipe.yaml itself does
	Env     []EnvVar // sorted by name
	Auto    string   // branch whose runs deploy here; "true": promoted by the run that verified it in From; empty: off
	From    []string // sorted; environments in which a release must be verified before it comes here
	Pin     repopath.Path
	Approve *Approve // nil: nobody needs to
	Queue   Queue
	OnFail  OnFail
	After   AfterRollback
	Place   string

	fromAt map[string]string // places of From
}

// EnvVar is a variable of an environment. Only deploy stages that list its name get it; there its
// value goes before a literal one of the stage.
type EnvVar struct{ Name, Value, Place string }

// Approve says who must approve a deployment.
type Approve struct {
	CI      bool          // approve: ci, the gate of the CI system
	Signers repopath.Path // file in the form of ssh's allowed_signers
	Count   int           // how many must sign, at least 1 unless CI
	NotSelf bool          // who asked does not count
}

// AutoPromote is the Auto of an environment that gets what was verified in its From.
const AutoPromote = "true"

// Queue is what becomes of those who wait for an environment.
type Queue string

// The queues.
const (
	QueueNewest Queue = "newest" // the newest commit goes on, older ones are superseded
	QueueAll    Queue = "all"    // one after the other
)

// OnFail is what follows when verify has failed.
type OnFail string

// The values of on_fail.
const (
	OnFailStop     OnFail = "stop"
	OnFailRollback OnFail = "rollback"
)

// AfterRollback is what a rollback keeps away.
type AfterRollback string

// The values of after_rollback.
const (
	AfterHold AfterRollback = "hold" // every automatic deployment
	AfterNext AfterRollback = "next" // only the release that was rolled away from
)

// Verify is a command that decides whether a deployment works.
type Verify struct {
	Cmd     string
	Retries int           // further tries after the first one that failed
	Every   time.Duration // between tries
}

// Environments are all that a project declares. They come from Project.Expand alone, so whoever has
// them need not ask whether the files of each: are read.
type Environments struct {
	All    []Environment // sorted by name; patterns are among them
	Groups []string      // sorted; names of entries with each:
}

// standard is what an environment is that says nothing.
func standard() Environment {
	return Environment{Queue: QueueNewest, OnFail: OnFailStop, After: AfterHold}
}

// DeclaresEnvironments reports whether there is a map environments:. Without one every name is allowed.
func (p *Project) DeclaresEnvironments() bool { return len(p.entries) > 0 }

// IsPattern reports whether it stands for the environments whose names fit.
func (e *Environment) IsPattern() bool { return strings.Contains(e.Name, "*") }

// Promoted reports whether a run that has verified a release in From deploys it here.
func (e *Environment) Promoted() bool { return e.Auto == AutoPromote }

// Value returns the environment's value of a variable.
func (e *Environment) Value(name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(e.Env, name, func(v EnvVar, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		return "", false
	}
	return e.Env[i].Value, true
}

// at returns the entry with the name, -1 when there is none.
func (all *Environments) at(name string) int {
	i, ok := slices.BinarySearchFunc(all.All, name, func(e Environment, name string) int { return strings.Compare(e.Name, name) })
	if !ok {
		return -1
	}
	return i
}

// pattern returns the longest pattern that the name fits, -1 when there is none. ties has the
// patterns that are as long.
func (all *Environments) pattern(name string) (best int, ties []string) {
	best = -1
	for i := range all.All {
		e := &all.All[i]
		// A star is one character or more: pr-$N without a number is a typing error.
		fits, _ := path.Match(strings.ReplaceAll(e.Name, "*", "?*"), name)
		switch {
		case !fits: // a name without a star fits itself alone, and that has an entry
		case best < 0 || len(e.Name) > len(all.All[best].Name):
			best, ties = i, []string{e.Name}
		case len(e.Name) == len(all.All[best].Name):
			ties = append(ties, e.Name)
		}
	}
	return best, ties
}

// Find returns the environment with the name, of its own entry or made from the longest pattern
// that it fits. Its Name is the name that was asked for. Without environments: every valid name has
// one, of which nothing is said.
func (all *Environments) Find(name string) (*Environment, error) {
	if all.at(name) >= 0 && strings.Contains(name, "*") {
		return nil, diag.New(diag.Usage, "%s is a pattern", name).At(FileName).Hinted("name one environment, such as %s", strings.ReplaceAll(name, "*", "1"))
	}
	if !IsEnvironment(name) {
		return nil, diag.New(diag.Usage, "%q is not a valid environment name; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit", name)
	}
	e := standard()
	if len(all.All)+len(all.Groups) == 0 {
		e.Name = name
		return &e, nil
	}
	if slices.Contains(all.Groups, name) {
		return nil, all.notGroup(name)
	}
	i := all.at(name)
	if i < 0 {
		best, ties := all.pattern(name)
		if len(ties) > 1 {
			return nil, diag.New(diag.Usage, "%s matches several patterns: %s", name, strings.Join(ties, ", ")).At(FileName).Hinted("add an entry %s to environments", name)
		}
		i = best
	}
	if i < 0 {
		return nil, all.guess(diag.New(diag.Usage, "no environment named %q", name).At(FileName), name)
	}
	e = all.All[i]
	e.Name = name
	return &e, nil
}

// Members returns the environments of a group, sorted by name; nil when no group has the name, or
// nobody is in it.
func (all *Environments) Members(group string) (members []*Environment) {
	for i := range all.All {
		if e := &all.All[i]; e.Group != "" && e.Group == group {
			members = append(members, e)
		}
	}
	return members
}

// notGroup is the error for a group's name where an environment's must be.
func (all *Environments) notGroup(name string) error {
	var names []string
	for _, m := range all.Members(name) {
		names = append(names, m.Name)
	}
	hint := "name one of them: " + few(names)
	if len(names) == 0 {
		hint = "the group is empty"
	}
	return diag.New(diag.Usage, "%s is a group of environments, not an environment", name).At(FileName).Hinted("%s", hint)
}

// guess hints at the environment that a name which is not declared was meant to be.
func (all *Environments) guess(e *diag.Error, name string) *diag.Error {
	names := slices.Clone(all.Groups)
	for i := range all.All {
		names = append(names, all.All[i].Name)
	}
	slices.Sort(names)
	return guess(e, name, names, "environments: "+few(names))
}

// few joins the first names: there may be thousands.
func few(names []string) string {
	const most = 10
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
