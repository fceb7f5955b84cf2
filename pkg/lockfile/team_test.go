package lockfile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// merge is what git gets: a lock and what two people made of it.
type merge struct {
	base, ours, theirs *File
}

// made is a stage as a run leaves it; version tells runs apart, and common is how
// many of its deps other stages have too.
func made(name, version string, common int) Stage {
	s := Stage{Name: name, Key: keyOf(name + version), Cmd: sum(name)}
	for i := range common {
		p := fmt.Sprintf("shared/%d", i)
		s.Deps = append(s.Deps, artifact.Input{Path: repopath.Path(p), Digest: sum(p), Size: 1})
	}
	s.Deps = append(s.Deps, artifact.Input{Path: repopath.Path("src/" + name), Digest: sum(version), Size: 1})
	if common > 2 {
		s.Env = []Env{{Name: "CC", Value: "gcc"}, {Name: "CI", Hash: "unset"}}
	}
	s.Outs = []artifact.Output{{Path: repopath.Path("out/" + name), Digest: sum(name + version), Size: 1}}
	return s
}

// team draws what people do. Names lie so that there is room on all sides.
type team struct{ *rand.Rand }

func (t team) lock(least int) *File {
	f := &File{}
	for i := range least + t.IntN(5) {
		f.Set(made(fmt.Sprintf("m%02d", 10*i), "1", t.IntN(9)))
	}
	return f
}

// source adds, moves or drops one. Two have the same repository, and with it lines in common.
func (t team) source(f *File) {
	at := repopath.Path([]string{"a", "b", "c/d"}[t.IntN(3)])
	if t.IntN(4) == 0 {
		f.KeepSources(func(p repopath.Path) bool { return p != at })
		return
	}
	f.SetSource(Source{Path: at, Git: "https://example.com/lib", Ref: []string{"", "main"}[t.IntN(2)], Commit: sum(strconv.Itoa(t.IntN(4))).Hex()[:40]})
}

func (t team) any(f *File) *Stage { return &f.Stages[t.IntN(len(f.Stages))] }

// again is another run of s: other inputs, a deliberate rebuild, or other outs alone.
func (t team) again(s Stage) Stage {
	v := strconv.Itoa(t.IntN(1e9))
	s.Deps, s.Outs = slices.Clone(s.Deps), slices.Clone(s.Outs)
	if how := t.IntN(4); how == 0 {
		s.Generation += 1 + t.IntN(2)
	} else if how > 1 {
		s.Key = keyOf(s.Name + v)
		s.Deps[t.IntN(len(s.Deps))].Digest = sum(v)
	}
	s.Outs[0].Digest = sum("out" + v)
	return s
}

func (t team) change(f *File, name string) { f.Set(t.again(*f.Stage(name))) }

func (t team) drop(f *File, name string) { f.Keep(func(n string) bool { return n != name }) }

func (t team) add(f *File, where string) {
	f.Set(made(where+string(rune('a'+t.IntN(3))), strconv.Itoa(t.IntN(3)), t.IntN(9)))
}

func (t team) rename(f *File, name string) {
	s := *f.Stage(name)
	t.drop(f, name)
	s.Name = []string{"a-", "m05", name + "x", "z-"}[t.IntN(4)] + "new"
	f.Set(s)
}

// random is one to three things that one side does.
func (t team) random(f *File) {
	for range 1 + t.IntN(3) {
		what := t.IntN(4)
		switch {
		case what == 0 || len(f.Stages) == 0:
			t.add(f, []string{"a", "m05", "m15", "z"}[t.IntN(4)])
		case what == 1:
			t.change(f, t.any(f).Name)
		case what == 2:
			t.drop(f, t.any(f).Name)
		default:
			t.rename(f, t.any(f).Name)
		}
	}
}

// kinds are the ways in which two people meet. least is how many stages there were.
var kinds = []struct {
	name  string
	least int
	do    func(t team, base, ours, theirs *File)
}{
	{"one stage changed by both", 1, func(t team, base, ours, theirs *File) {
		s := t.any(base).Name
		t.change(ours, s)
		t.change(theirs, s)
	}},
	{"neighbours changed", 2, func(t team, base, ours, theirs *File) {
		i := t.IntN(len(base.Stages) - 1)
		t.change(ours, base.Stages[i].Name)
		t.change(theirs, base.Stages[i+1].Name)
	}},
	{"both add at the end", 0, func(t team, _, ours, theirs *File) { t.add(ours, "z"); t.add(theirs, "z") }},
	{"both add in the middle", 2, func(t team, _, ours, theirs *File) { t.add(ours, "m05"); t.add(theirs, "m05") }},
	{"both add several", 1, func(t team, _, ours, theirs *File) {
		for _, f := range []*File{ours, theirs} {
			for range 1 + t.IntN(3) {
				t.add(f, []string{"a", "m05", "z"}[t.IntN(3)])
			}
		}
	}},
	{"the first stages", -9, func(t team, _, ours, theirs *File) {
		for _, f := range []*File{ours, theirs} {
			for range 1 + t.IntN(3) {
				t.add(f, []string{"a", "m", "z"}[t.IntN(3)])
			}
		}
	}},
	{"neighbours deleted", 2, func(t team, base, ours, theirs *File) {
		i := t.IntN(len(base.Stages) - 1)
		t.drop(ours, base.Stages[i].Name)
		t.drop(theirs, base.Stages[i+1].Name)
	}},
	{"deleted and changed", 1, func(t team, base, ours, theirs *File) {
		s := t.any(base).Name
		t.drop(ours, s)
		t.change(theirs, s)
	}},
	{"renamed and changed", 1, func(t team, base, ours, theirs *File) {
		s := t.any(base).Name
		t.rename(ours, s)
		if t.IntN(2) == 0 {
			s = t.any(base).Name
		}
		t.change(theirs, s)
	}},
	{"sources beside stages", 1, func(t team, _, ours, theirs *File) {
		for _, f := range []*File{ours, theirs} {
			t.change(f, t.any(f).Name)
			for range 1 + t.IntN(3) {
				t.source(f)
			}
		}
	}},
	{"anything", 0, func(t team, _, ours, theirs *File) { t.random(ours); t.random(theirs) }},
}

func draw(kind int, seed uint64) *merge {
	t := team{rand.New(rand.NewPCG(uint64(kind), seed))}
	k := kinds[kind]
	m := &merge{base: &File{}}
	if k.least >= 0 {
		m.base = t.lock(k.least)
		for range t.IntN(3) {
			t.source(m.base)
		}
	}
	m.ours, m.theirs = copyOf(m.base), copyOf(m.base)
	k.do(t, m.base, m.ours, m.theirs)
	if t.IntN(2) == 0 {
		m.ours, m.theirs = m.theirs, m.ours
	}
	return m
}
