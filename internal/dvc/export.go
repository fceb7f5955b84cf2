package dvc

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Exported is a dvc.yaml that Export has made.
type Exported struct {
	Text  string
	Notes []Note
}

// exporter turns the text of one pipe.yaml into that of a dvc.yaml.
type exporter struct {
	file   string
	at     string // the stage
	inner  bool   // the file is included by another one, whose vars it sees; DVC knows of none
	notes  []Note
	stages []Stage
}

func (e *exporter) lost(what, do string) { e.add(Note{What: what, Do: do, Lost: true}) }

func (e *exporter) add(n Note) {
	n.At = e.file
	if e.at != "" {
		n.At += ": " + e.at
	}
	if !slices.Contains(e.notes, n) {
		e.notes = append(e.notes, n)
	}
}

// topKeys are the keys at the top of a pipe.yaml that DVC has not, with what to do; those without a word have
// nothing to do with DVC, or are carried over elsewhere.
var topKeys = map[string]string{
	"project": "", "lock": "", "deploy_on": "", "inputs": "", "include": "",
	"remote":       "run dvc push; if DVC has no remote yet, run dvc remote add -d NAME URL first",
	"environments": "keep pipe for deployments: DVC does not know what is live",
	"state_remote": "", "limits": "",
	"sources":  "dvc import URL PATH brings files of another repository",
	"env_file": "load the file into your shell before dvc repro",
	"env_mode": "",
}

// stageKeys are the keys of a stage that DVC has.
var stageKeys = []string{"cmd", "wdir", "deps", "params", "outs", "metrics", "plots", "frozen", "always_changed", "desc", "meta", "vars", "foreach", "do", "matrix"}

// lostKeys says what to do about the other keys of a stage. The empty text: DVC's way is the same without.
var lostKeys = map[string]string{
	"check":    "",
	"deploy":   "it is frozen: DVC cannot know what is live; go on with pipe deploy, or run dvc unfreeze and dvc repro, which deploy when a dep has changed",
	"needs":    "add an output of that stage to the deps, or run the stages in order",
	"env":      "set the variables in your shell before dvc repro, and run it with -f when one has changed",
	"env_file": "load the file into your shell before dvc repro",
	"pass_env": "",
	"platform": "run dvc repro -f on another platform",
	"shell":    "DVC runs commands in $SHELL: set SHELL=/bin/bash",
	"when":     "DVC runs the stage whenever its deps have changed",
	"timeout":  "write timeout 10m COMMAND in cmd",
	"retries":  "write a loop in cmd",
	"mutex":    "",
	"workdir":  "", "verify": "add the command to cmd", "drift": "", "undeploy": "", "barrier": "",
}

// Export turns the text of a pipe.yaml, or of a file that one includes, into that of a dvc.yaml. What DVC has too
// stays as it is written: comments, vars, templates, foreach and matrix. A stage that DVC would read
// otherwise is written with all names filled in. stages are all of the file, of which text may be broken up.
func Export(file string, text []byte, stages []Stage, included bool) (*Exported, error) {
	root, err := yamldoc.ReadDraft(file, text)
	if err != nil {
		return nil, err
	}
	e := &exporter{file: file, inner: included, stages: stages}
	head := joinedHead(root)
	for _, key := range root.Keys() {
		switch do, known := topKeys[key]; {
		case key == "stages" || key == "vars" || key == "metrics":
		case known && do == "":
			root.Delete(key)
		default:
			e.lost(key+": is not carried over", do)
			root.Delete(key)
		}
	}
	if vars := root.Get("vars"); vars.IsMap() {
		root.Set("vars", yamldoc.NewList(false, vars))
	}
	all := root.Get("stages")
	if !all.IsMap() {
		all = yamldoc.NewMap(false)
	}
	entries := all.Keys()
	for _, name := range entries {
		e.at = name
		e.stage(all, name)
	}
	for i := range stages { // of another file for the same directory
		if s := &stages[i]; !slices.Contains(entries, s.Written) {
			e.rename(s)
			all.Set(s.Name, s.draft())
		}
	}
	switch {
	case len(all.Keys()) == 0:
		root.Delete("stages")
	case !root.Get("stages").IsMap():
		root.Set("stages", all)
	}
	return &Exported{head + root.Encode(), e.notes}, nil
}

// joinedHead returns the comment above a file, and takes it away: its first key may not stay. What an import has
// written there says nothing of DVC's file.
func joinedHead(root *yamldoc.Draft) string {
	for _, head := range []string{root.Head(), root.FirstHead()} {
		if head != "" && !strings.HasPrefix(head, Header) {
			return head + "\n\n"
		}
	}
	return ""
}

// stage puts into all what DVC has in place of one entry.
func (e *exporter) stage(all *yamldoc.Draft, name string) {
	entry := all.Get(name)
	body := entry
	if do := entry.Get("do"); do != nil {
		body = do
	}
	var made []*Stage
	for i := range e.stages {
		if e.stages[i].Written == name {
			made = append(made, &e.stages[i])
		}
	}
	e.drop(body)
	if e.keeps(name, entry, body, made) {
		e.clean(body, made)
		return
	}
	several := body != entry || entry.Get("matrix") != nil
	if several || !nameForm.MatchString(name) {
		for _, s := range made {
			e.rename(s)
		}
	}
	switch {
	case several:
		e.add(Note{What: "each stage is written out, " + written(made) + ": DVC would read the foreach or matrix otherwise"})
		all.Delete(name)
	case len(made) == 1 && made[0].Name != name:
		e.add(Note{What: "is " + made[0].Name + " in DVC, which allows fewer characters in names"})
		all.Rename(name, made[0].Name)
	}
	for _, s := range made {
		all.Set(s.Name, s.draft())
	}
}

// written names the stages that were written out.
func written(made []*Stage) string {
	if len(made) == 0 {
		return "none"
	}
	if len(made) == 1 {
		return "as " + made[0].Name
	}
	return "from " + made[0].Name + " to " + made[len(made)-1].Name
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// rename gives a stage a name that DVC takes: only a foreach or a matrix makes names with an @ there.
func (e *exporter) rename(s *Stage) {
	base := notInNames.ReplaceAllString(s.Name, "-")
	s.Name = base
	for n := 2; slices.ContainsFunc(e.stages, func(o Stage) bool { return o.Name == s.Name && o.Original != s.Original }); n++ {
		s.Name = base + "-" + strconv.Itoa(n)
	}
}

// Owns reports whether a path is DVC's own, which nothing there depends on.
func Owns(at string) bool {
	first, _, _ := strings.Cut(at, "/")
	switch base := path.Base(at); {
	case first == Dir, base == StagesFile, base == LockFile, base == IgnoreFile, strings.HasSuffix(base, DataSuffix):
		return true
	}
	return false
}

// drop takes the keys out that DVC refuses.
func (e *exporter) drop(body *yamldoc.Draft) {
	for _, key := range body.Keys() {
		if slices.Contains(stageKeys, key) {
			continue
		}
		do, known := lostKeys[key]
		if do != "" || !known {
			e.lost("its "+key+" is not carried over", do)
		}
		body.Delete(key)
	}
	for _, it := range body.Get("deps").Items() {
		switch {
		case it.Get("push") != nil:
			e.lost("push: of a dependency is not carried over", "")
		case it.Get("cmd") != nil:
			e.lost("its dependency on the output of "+it.Get("cmd").Value()+" is not carried over", "write the output to a file in an always_changed stage, and depend on that file")
		case it.Get("url") != nil:
			e.lost("its dependency on "+it.Get("url").Value()+" is not carried over", "run dvc import-url "+it.Get("url").Value()+", and depend on the file")
		case it.Get("image") != nil:
			e.lost("its dependency on image "+it.Get("image").Value()+" is not carried over", "write its digest into a file, and depend on that")
		}
	}
	for _, list := range outLists {
		for _, it := range body.Get(list).Items() {
			for _, key := range []string{"remote", "report", "sha256"} {
				at, options := outOf(it)
				if options.Get(key) != nil {
					e.lost("its output "+at+" has no "+key+" in DVC", map[string]string{"remote": "dvc remote add NAME URL, then write remote: NAME there"}[key])
				}
			}
		}
	}
}

// outOf returns path and options of an item of outs.
func outOf(it *yamldoc.Draft) (at string, options *yamldoc.Draft) {
	if named := it.Get("path"); named.IsText() {
		return named.Value(), it
	}
	if keys := it.Keys(); len(keys) == 1 {
		return keys[0], it.Get(keys[0])
	}
	return "", nil
}

// nameForm is what DVC takes for the name of a stage.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keeps reports whether DVC reads the entry as pipe does.
func (e *exporter) keeps(name string, entry, body *yamldoc.Draft, made []*Stage) bool {
	several := body != entry || entry.Get("matrix") != nil
	if !nameForm.MatchString(name) || len(made) == 0 || e.inner && strings.Contains(entry.Encode(), "${") {
		return false
	}
	for _, s := range made {
		if s.Spread || several != strings.HasPrefix(s.Name, name+"@") {
			return false
		}
	}
	texts := func(n *yamldoc.Draft) (all []string) {
		if n.IsText() {
			return []string{n.Value()}
		}
		for _, it := range n.Items() {
			all = append(all, it.Value())
		}
		return all
	}
	cmds := texts(body.Get("cmd"))
	for _, s := range made {
		if len(s.Cmd) != len(cmds) {
			return false
		}
		for i, cmd := range cmds {
			if !reads(Script(cmd, bash(s, i)), s.Cmd[i]) {
				return false
			}
		}
	}
	return e.keepsPaths(body, made)
}

// bash reports whether a script was made for it.
func bash(s *Stage, i int) bool { return strings.HasPrefix(s.Cmd[i], "set -eo pipefail\n") }

// keepsPaths is keeps for all that is a path.
func (e *exporter) keepsPaths(body *yamldoc.Draft, made []*Stage) bool {
	for _, s := range made {
		if wdir := body.Get("wdir"); wdir.IsText() && !reads(path.Clean(wdir.Value()), s.Wdir) {
			return false
		}
		for _, it := range body.Get("deps").Items() {
			at := it
			if !it.IsText() {
				if at = it.Get("path"); !at.IsText() {
					continue // dropped
				}
			}
			if !slices.ContainsFunc(s.Deps, func(d Item) bool { return reads(path.Clean(at.Value()), d.Path) }) {
				return false
			}
		}
		for _, list := range outLists {
			for _, it := range body.Get(list).Items() {
				at, _ := outOf(it)
				if it.IsText() {
					at = it.Value()
				}
				if !slices.ContainsFunc(s.Outs, func(o StageOut) bool { return o.List == list && reads(path.Clean(at), o.Path) }) {
					return false
				}
			}
		}
		if !keepsParams(body.Get("params"), s) {
			return false
		}
	}
	return true
}

// keepsParams reports whether all params are there: those of files that git ignores are not.
func keepsParams(list *yamldoc.Draft, s *Stage) bool {
	n := 0
	for _, p := range s.Params {
		n += max(len(p.Keys), 1)
	}
	for _, it := range list.Items() {
		if it.IsText() {
			n--
			continue
		}
		for _, file := range it.Keys() {
			n -= max(len(it.Get(file).Items()), 1)
		}
	}
	return n == 0
}
