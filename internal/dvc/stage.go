package dvc

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Stage is a stage as DVC has it: what a dvc.yaml says of it, and what a dvc.lock says of its last run.
type Stage struct {
	Name          string // in its file
	Original      string // in pipe
	Written       string // the name under which pipe.yaml has it: of a foreach or matrix, the group's
	Desc, Meta    string // Meta is a canonical value of package params
	Cmd           []string
	Wdir          string // relative to the file's directory
	Deps          []Item // paths are relative to Wdir
	Params        []ParamsOf
	Outs          []StageOut
	Frozen        bool
	AlwaysChanged bool

	Locked bool // what it made is known, and made from what lies there now
	Spread bool // its deps are other than as pipe.yaml has them: patterns, excludes
}

// StageOut is an out of a stage.
type StageOut struct {
	Item
	List                     string // outs, metrics or plots
	NoCache, Persist, NoPush bool
}

// ParamsOf are parameters of one file.
type ParamsOf struct {
	File   string   // relative to Wdir
	Keys   []string // none: the whole file
	Values []string // by Keys, canonical values of package params; of the whole file there is one
}

// paramsFile is the file whose keys stand alone in params.
const paramsFile = "params.yaml"

// literalText returns a text that DVC leaves as it is.
func literalText(s string) *yamldoc.Draft {
	return yamldoc.NewText(strings.ReplaceAll(s, "${", `\${`))
}

// draft returns what dvc.yaml says of the stage, with all names filled in.
func (s *Stage) draft() *yamldoc.Draft {
	d := yamldoc.NewMap(false)
	if s.Desc != "" {
		d.Set("desc", literalText(s.Desc))
	}
	d.Set("cmd", command(s.Cmd, literalText))
	if s.Wdir != "." {
		d.Set("wdir", literalText(s.Wdir))
	}
	setList(d, "deps", s.Deps, func(i Item) *yamldoc.Draft { return literalText(i.Path) })
	var params []*yamldoc.Draft
	for _, p := range s.Params {
		params = append(params, p.drafts()...)
	}
	setList(d, "params", params, func(p *yamldoc.Draft) *yamldoc.Draft { return p })
	for _, list := range outLists {
		in := slices.DeleteFunc(slices.Clone(s.Outs), func(o StageOut) bool { return o.List != list })
		setList(d, list, in, StageOut.draft)
	}
	if s.Frozen {
		d.Set("frozen", yamldoc.NewFlag(true))
	}
	if s.AlwaysChanged {
		d.Set("always_changed", yamldoc.NewFlag(true))
	}
	if s.Meta != "" {
		d.Set("meta", valueOf(s.Meta))
	}
	return d
}

func setList[T any](d *yamldoc.Draft, key string, items []T, one func(T) *yamldoc.Draft) {
	if len(items) == 0 {
		return
	}
	list := yamldoc.NewList(false)
	for _, it := range items {
		list.Append(one(it))
	}
	d.Set(key, list)
}

// command writes scripts. DVC runs each line of a text in a shell of its own, and each item of a list in
// one, whatever lines it has.
func command(scripts []string, text func(string) *yamldoc.Draft) *yamldoc.Draft {
	if len(scripts) == 1 && !strings.Contains(scripts[0], "\n") {
		return text(scripts[0])
	}
	list := yamldoc.NewList(false)
	for _, s := range scripts {
		list.Append(text(s))
	}
	return list
}

// Script returns a script of pipe for the shell of DVC, which goes on after a line that fails. A script of
// one line stays as it is: whether it was written for DVC, nobody knows.
func Script(script string, bash bool) string {
	script = strings.TrimRight(script, "\n")
	switch {
	case !strings.Contains(script, "\n"):
		return script
	case bash:
		return "set -eo pipefail\n" + script
	}
	return "set -e\n" + script
}

func (p ParamsOf) drafts() (all []*yamldoc.Draft) {
	if p.File == paramsFile && len(p.Keys) > 0 {
		for _, key := range p.Keys {
			all = append(all, literalText(key))
		}
		return all
	}
	m, keys := yamldoc.NewMap(false), yamldoc.NewPlain("")
	if len(p.Keys) > 0 {
		keys = yamldoc.NewList(false)
		for _, key := range p.Keys {
			keys.Append(literalText(key))
		}
	}
	m.Set(strings.ReplaceAll(p.File, "${", `\${`), keys)
	return []*yamldoc.Draft{m}
}

func (o StageOut) draft() *yamldoc.Draft {
	options := yamldoc.NewMap(false)
	if o.NoCache {
		options.Set("cache", yamldoc.NewFlag(false))
	}
	if o.Persist {
		options.Set("persist", yamldoc.NewFlag(true))
	}
	if o.NoPush {
		options.Set("push", yamldoc.NewFlag(false))
	}
	if len(options.Keys()) == 0 {
		return literalText(o.Path)
	}
	m := yamldoc.NewMap(false)
	m.Set(strings.ReplaceAll(o.Path, "${", `\${`), options)
	return m
}

// EncodeLock writes what a dvc.lock says of the stages; nil if none is Locked.
func EncodeLock(stages []Stage) []byte {
	all := yamldoc.NewMap(false)
	for i := range stages {
		if stages[i].Locked {
			all.Set(stages[i].Name, stages[i].lock())
		}
	}
	if len(all.Keys()) == 0 {
		return nil
	}
	root := yamldoc.NewMap(false)
	root.Set("schema", yamldoc.NewText("2.0"))
	root.Set("stages", all)
	return []byte(root.Encode())
}

func (s *Stage) lock() *yamldoc.Draft {
	d := yamldoc.NewMap(false)
	d.Set("cmd", command(s.Cmd, yamldoc.NewText))
	known := func(i Item) bool { return i.Sum.MD5 == "" }
	setList(d, "deps", slices.DeleteFunc(slices.Clone(s.Deps), known), Item.draft)
	params := yamldoc.NewMap(false)
	for _, p := range s.Params {
		values := yamldoc.NewMap(false)
		if len(p.Keys) == 0 && len(p.Values) == 1 {
			values = valueOf(p.Values[0])
		}
		for i, key := range p.Keys {
			values.Set(key, valueOf(p.Values[i]))
		}
		params.Set(p.File, values)
	}
	if len(params.Keys()) > 0 {
		d.Set("params", params)
	}
	setList(d, "outs", s.Outs, func(o StageOut) *yamldoc.Draft { return o.Item.draft() })
	return d
}

// draft is the item as dvc.lock has it.
func (i Item) draft() *yamldoc.Draft {
	m := yamldoc.NewMap(false)
	m.Set("path", yamldoc.NewText(i.Path))
	m.Set("hash", yamldoc.NewText("md5"))
	m.Set("md5", yamldoc.NewText(i.Sum.String()))
	m.Set("size", yamldoc.NewPlain(strconv.FormatInt(i.Size, 10)))
	if i.Sum.Dir {
		m.Set("nfiles", yamldoc.NewPlain(strconv.FormatInt(i.Files, 10)))
	}
	if i.Exec {
		m.Set("isexec", yamldoc.NewFlag(true))
	}
	return m
}

// EncodeData writes the .dvc file of an item.
func EncodeData(i Item) []byte {
	root := yamldoc.NewMap(false)
	root.Set("outs", yamldoc.NewList(false, i.draft()))
	return []byte(root.Encode())
}

// valueOf writes a canonical value of package params as YAML that means it.
func valueOf(canonical string) *yamldoc.Draft {
	d, _ := parseValue(canonical)
	return d
}

// parseValue reads one value from the beginning of a text.
func parseValue(s string) (d *yamldoc.Draft, rest string) {
	switch s[0] {
	case '{':
		d, s = yamldoc.NewMap(false), s[1:]
		for s[0] != '}' {
			var key *yamldoc.Draft
			key, s = parseValue(strings.TrimPrefix(s, ","))
			var value *yamldoc.Draft
			value, s = parseValue(s[1:])
			d.SetKey(key, value)
		}
		return d, s[1:]
	case '[':
		d, s = yamldoc.NewList(false), s[1:]
		for s[0] != ']' {
			var it *yamldoc.Draft
			it, s = parseValue(strings.TrimPrefix(s, ","))
			d.Append(it)
		}
		return d, s[1:]
	case '!':
		text, rest := parseText(s[1:])
		return yamldoc.NewPlain(text), rest
	case '"':
		text, rest := parseText(s)
		return yamldoc.NewText(text), rest
	}
	n := strings.IndexAny(s+",", ",]}:")
	return yamldoc.NewPlain(s[:n]), s[n:]
}

// parseText reads a JSON string from the beginning of a text.
func parseText(s string) (text, rest string) {
	n := 1
	for s[n] != '"' {
		if s[n] == '\\' {
			n++
		}
		n++
	}
	_ = json.Unmarshal([]byte(s[:n+1]), &text) // package params has written it
	return text, s[n+1:]
}

// DataName is the file that dvc add writes for a path.
func DataName(at string) (name, inside string) { return at + DataSuffix, path.Base(at) }
