package pipe

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// setParams gives values to keys of files, named FILE:KEY, until undo is called: pipe.yaml is read with
// them, and params have them. The files stay as they are, so a command that reads one itself would see
// another value than the one in its stage's key, and everybody would take its outputs for what they are not.
// Such a stage does not run.
func (p *Project) setParams(values map[string]string) (undo func(), err error) {
	if len(values) == 0 {
		return func() {}, nil
	}
	was := p.spec
	back := func() { p.spec, p.set, p.unseen, p.vars = was, nil, nil, nil }
	defer func() {
		if err != nil {
			back()
		}
	}()
	unseen := map[string]error{}
	var set []spec.Setting
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s, err := p.setting(name, values[name])
		if err != nil {
			return nil, err
		}
		if same, err := p.has(s); err != nil {
			return nil, err
		} else if same {
			continue
		}
		set = append(set, s)
		p.set = []spec.Setting{s}
		alone, err := p.parse(p.yaml)
		if err != nil {
			return nil, err
		}
		blind(unseen, s, was, alone)
	}
	p.set, p.unseen, p.vars = set, unseen, nil
	p.spec, err = p.parse(p.yaml)
	return back, err
}

// setting reads FILE:KEY, whose file may be written from where the user is, or as pipe.yaml writes it.
func (p *Project) setting(name, value string) (s spec.Setting, err error) {
	file, key, ok := strings.Cut(name, ":")
	if !ok || key == "" || file == "" {
		return s, diag.New(diag.Usage, "--set %s: must be FILE:KEY=VALUE", name).Hinted("--set %s:%s=%s", spec.DefaultVars, strings.Trim(name, ":"), value)
	}
	used := slices.Clone(p.spec.Files)
	for i := range p.spec.Stages {
		for _, f := range p.spec.Stages[i].Params {
			used = append(used, f.File)
		}
	}
	s = spec.Setting{File: repopath.Path(file), Key: key, Value: value}
	if at, err := p.work.Inside(p.opt.Dir, file); err == nil && slices.Contains(used, at) {
		s.File = at
	}
	var names []string
	for _, at := range used {
		names = append(names, string(at))
	}
	if !slices.Contains(used, s.File) {
		return s, unknownName("--set "+name+": neither vars nor the params of a stage read "+file, file, names)
	}
	if made, _ := p.maker(s.File); made != nil {
		return s, diag.New(diag.Usage, "--set %s: stage %s creates %s", name, made.Name, file).Hinted("set what the stage makes it of")
	}
	return s, nil
}

// has reports whether a file has the value already. Its error says what is wrong with the setting.
func (p *Project) has(s spec.Setting) (bool, error) {
	data, err := p.file(s.File)
	if err != nil {
		return false, diag.New(diag.Usage, "--set %s:%s: %w", s.File, s.Key, err)
	}
	root, err := params.Parse(s.File, data)
	if err != nil {
		return false, err
	}
	next, err := params.Set(s.File, root, s.Key, s.Value)
	return err == nil && next.Canonical() == root.Canonical(), err
}

// blind adds the stages whose params have the key, but whose command is the same with the value and
// without: it could only read the file.
func blind(unseen map[string]error, set spec.Setting, before, after *spec.Project) {
	for i := range after.Stages {
		s := &after.Stages[i]
		for _, f := range s.Params {
			if f.File != set.File || !touches(f.Keys, set.Key) {
				continue
			}
			if was := before.Stage(s.Name); was == nil || !slices.Equal(was.Cmd, s.Cmd) || !reflect.DeepEqual(was.Env, s.Env) {
				continue
			}
			unseen[s.Name] = diag.New(diag.Usage, "%s: --set %s:%s does not reach the command, which can only read %s as it is", s.Name, set.File, set.Key, set.File).At(f.Place).
				Hinted("pass the value in cmd, such as --%s ${%s}, or change the file", set.Key, set.Key)
		}
	}
}

// touches reports whether one of the keys is, holds or lies in a key; no keys are the whole file.
func touches(keys []string, key string) bool {
	return len(keys) == 0 || slices.ContainsFunc(keys, func(k string) bool {
		return k == key || strings.HasPrefix(k, key+".") || strings.HasPrefix(key, k+".")
	})
}
