package dvc

import (
	"path"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// clean puts what stays into DVC's forms.
func (e *exporter) clean(body *yamldoc.Draft, made []*Stage) {
	if vars := body.Get("vars"); vars.IsMap() {
		body.Set("vars", yamldoc.NewList(false, vars))
	}
	scripts := func(n *yamldoc.Draft) *yamldoc.Draft {
		var all []string
		items := n.Items()
		if n.IsText() {
			items = append(items, n)
		}
		for i, it := range items {
			all = append(all, forDVC(Script(it.Value(), bash(made[0], i))))
		}
		if len(all) == 1 && n.IsText() && !strings.Contains(all[0], "\n") {
			n.SetValue(all[0])
			return n
		}
		return command(all, yamldoc.NewText)
	}
	body.Set("cmd", scripts(body.Get("cmd")))
	if wdir := body.Get("wdir"); wdir.IsText() {
		tidy(wdir)
	}
	for _, it := range body.Get("params").Items() {
		for _, file := range it.Keys() {
			it.Rename(file, path.Clean(file))
		}
	}
	deps := yamldoc.NewList(false)
	changed := false
	for _, it := range body.Get("deps").Items() {
		switch {
		case it.IsText():
			tidy(it)
			deps.Append(it)
			continue
		case it.Get("path") != nil:
			tidy(it.Get("path"))
			deps.Append(it.Get("path"))
		}
		changed = true
	}
	if len(deps.Items()) == 0 {
		body.Delete("deps")
	} else if changed {
		body.Set("deps", deps)
	}
	for _, list := range outLists {
		if old := body.Get(list); len(old.Items()) > 0 {
			body.Set(list, outsForDVC(old))
		} else {
			body.Delete(list)
		}
	}
	if made[0].Frozen && body.Get("frozen") == nil { // a deploy stage
		body.Set("frozen", yamldoc.NewFlag(true))
	}
}

// tidy writes a path as dvc.lock has it, for DVC compares the texts.
func tidy(at *yamldoc.Draft) {
	if clean := path.Clean(at.Value()); clean != at.Value() {
		at.SetValue(clean)
	}
}

// outsForDVC writes a list of outs with the options that DVC has.
func outsForDVC(old *yamldoc.Draft) *yamldoc.Draft {
	changed, next := false, yamldoc.NewList(false)
	for _, it := range old.Items() {
		at, options := outOf(it)
		at = path.Clean(at)
		if it.IsText() {
			tidy(it)
		} else if it.Get("path") == nil {
			it.Rename(it.Keys()[0], at)
		}
		if it.IsText() || options.IsList() {
			next.Append(it)
			continue
		}
		kept := yamldoc.NewMap(false)
		for _, key := range options.Keys() {
			switch key {
			case "path", "remote", "report", "sha256":
				changed = true
			default:
				kept.Set(key, options.Get(key))
			}
		}
		one := yamldoc.NewText(at)
		if len(kept.Keys()) > 0 {
			one = yamldoc.NewMap(false)
			one.Set(at, kept)
		}
		next.Append(one)
	}
	if !changed {
		return old
	}
	return next
}
