package lockfile

import (
	"slices"
	"strings"
)

// Change is one difference between two locks, or between two lists of files that they name.
type Change struct {
	Stage   string `json:"stage"`              // the stage's name
	What    string `json:"what"`               // command, definition (no more is known), dep, tool, image, url, param, env or out; file in a dep or out
	Path    string `json:"path,omitempty"`     // the path, command, image or URL, FILE:KEY of a param, or the variable's name
	Old     string `json:"old,omitempty"`      // empty: was not there
	New     string `json:"new,omitempty"`      // empty: is not there any more
	From    string `json:"from,omitempty"`     // the path before it was renamed; the content is the same
	In      string `json:"in,omitempty"`       // of a file: the dep or out that it lies in
	OldSize int64  `json:"old_size,omitempty"` // in bytes, of a dep, an out or a file
	NewSize int64  `json:"new_size,omitempty"` // the same
	Note    string `json:"note,omitempty"`     // more about it, in words
}

// Executable stands behind the hash of a file with the executable bit: a change of the bit alone
// is one, too.
const Executable = " (executable)"

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
type fact struct {
	what, path, value string
	size              int64
}

func facts(s *Stage) []fact {
	if s == nil {
		return nil
	}
	content := func(digest string, exec bool) string {
		if exec {
			digest += Executable
		}
		return digest
	}
	list := []fact{{what: "command", value: s.Cmd.String()}}
	for _, d := range s.Deps {
		list = append(list, fact{"dep", d.Name(), content(d.Digest.String(), d.Exec), d.Size})
	}
	for _, t := range s.Tools {
		value := t.Digest.String()
		if t.Line != "" {
			value += " (" + t.Line + ")"
		}
		list = append(list, fact{"tool", t.Cmd, value, t.Size})
	}
	for _, n := range s.Images {
		list = append(list, fact{what: "image", path: n.Name, value: n.Answer})
	}
	for _, n := range s.URLs {
		list = append(list, fact{what: "url", path: n.Name, value: n.Answer})
	}
	for _, x := range s.Params {
		if !x.Hash.IsZero() {
			x.Value = x.Hash.String()
		}
		list = append(list, fact{what: "param", path: string(x.File) + ":" + x.Key, value: x.Value})
	}
	for _, e := range s.Env {
		list = append(list, fact{what: "env", path: e.Name, value: e.Hash + e.Value})
	}
	for _, o := range s.Outs {
		list = append(list, fact{"out", string(o.Path), content(o.Digest.String(), o.Exec), o.Size})
	}
	return list
}

func diffStages(name string, a, b *Stage) (out []Change) {
	type id struct{ what, path string }
	old := map[id]fact{}
	for _, f := range facts(a) {
		old[id{f.what, f.path}] = f
	}
	defined := 0 // changes that explain another key
	for _, f := range facts(b) {
		was, ok := old[id{f.what, f.path}]
		delete(old, id{f.what, f.path})
		if ok && was.value == f.value {
			continue
		}
		out = append(out, Change{Stage: name, What: f.what, Path: f.path, Old: was.value, New: f.value, OldSize: was.size, NewSize: f.size})
		if f.what != "out" || !ok {
			defined++
		}
	}
	gone := len(out)
	for k, was := range old {
		out = append(out, Change{Stage: name, What: k.what, Path: k.path, Old: was.value, OldSize: was.size})
	}
	slices.SortFunc(out[gone:], func(x, y Change) int {
		return strings.Compare(x.What+"\x00"+x.Path, y.What+"\x00"+y.Path)
	})
	// The key covers more than the lock shows: platform, excluded files, options.
	if a != nil && b != nil && a.Key != b.Key && defined == 0 && gone == len(out) {
		out = append(out, Change{Stage: name, What: "definition", Old: a.Key.String(), New: b.Key.String()})
	}
	return out
}
