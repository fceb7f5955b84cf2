package lockfile

import (
	"slices"
	"strings"
)

// Change is one difference between two locks.
type Change struct {
	Stage string `json:"stage"`          // the stage's name
	What  string `json:"what"`           // command, dep, tool, param, env or out; file in what a dep listed
	Path  string `json:"path,omitempty"` // the path, or FILE:KEY of a param, or the variable's name
	Old   string `json:"old,omitempty"`  // empty: was not there
	New   string `json:"new,omitempty"`  // empty: is not there any more
}

// Diff returns what changed from a to b, by stage; a stage that only one of them
// has is a change of each of its lines.
func Diff(a, b *File) []Change {
	changes := []Change{}
	var names []string
	for _, l := range []*File{a, b} {
		for i := range l.Stages {
			names = append(names, l.Stages[i].Name)
		}
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		changes = append(changes, diffStages(n, a.Stage(n), b.Stage(n))...)
	}
	return changes
}

// fact is one line of a stage: what it is about, and what it says.
type fact struct{ what, path, value string }

func facts(s *Stage) []fact {
	if s == nil {
		return nil
	}
	list := []fact{{"command", "", s.Cmd.String()}}
	for _, d := range s.Deps {
		list = append(list, fact{"dep", string(d.Path), d.Digest.String()})
	}
	for _, t := range s.Tools {
		value := t.Digest.String()
		if t.Line != "" {
			value += " (" + t.Line + ")"
		}
		list = append(list, fact{"tool", t.Cmd, value})
	}
	for _, x := range s.Params {
		if !x.Hash.IsZero() {
			x.Value = x.Hash.String()
		}
		list = append(list, fact{"param", string(x.File) + ":" + x.Key, x.Value})
	}
	for _, e := range s.Env {
		list = append(list, fact{"env", e.Name, e.Hash + e.Value})
	}
	for _, o := range s.Outs {
		list = append(list, fact{"out", string(o.Path), o.Digest.String()})
	}
	return list
}

func diffStages(name string, a, b *Stage) (out []Change) {
	type id struct{ what, path string }
	old := map[id]string{}
	for _, f := range facts(a) {
		old[id{f.what, f.path}] = f.value
	}
	for _, f := range facts(b) {
		was, ok := old[id{f.what, f.path}]
		delete(old, id{f.what, f.path})
		if !ok || was != f.value {
			out = append(out, Change{Stage: name, What: f.what, Path: f.path, Old: was, New: f.value})
		}
	}
	gone := len(out)
	for k, was := range old {
		out = append(out, Change{Stage: name, What: k.what, Path: k.path, Old: was})
	}
	slices.SortFunc(out[gone:], func(x, y Change) int {
		return strings.Compare(x.What+"\x00"+x.Path, y.What+"\x00"+y.Path)
	})
	return out
}
