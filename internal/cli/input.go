package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// asInput adds to the options what a file for --input says. The form is that of an event: an
// orchestrator hands its own on as it is. A name in it that means nothing here is an error,
// because what somebody has asked for must not be left out in silence.
func asInput(in io.Reader, file string, opt *pipe.DeployOptions) error {
	if file == "" {
		return nil
	}
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(io.LimitReader(in, maxInput))
	} else {
		b, err = atomicfile.Read(file, maxInput)
	}
	if err != nil {
		return diag.New(diag.Usage, "%w", err).At(file)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var all map[string]json.RawMessage
	if err := d.Decode(&all); err != nil || d.More() {
		return diag.New(diag.Usage, "not one JSON object").At(file).Hinted(`{"environment": "staging", "skip_web": true}`)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := inputMember(name, all[name], opt); err != nil {
			return err.At(file)
		}
	}
	return nil
}

// maxInput is the largest input in bytes.
const maxInput = 1 << 20

// inputMember reads one member of the input.
func inputMember(name string, value json.RawMessage, opt *pipe.DeployOptions) *diag.Error {
	stage, skip := strings.CutPrefix(name, "skip_")
	var flag bool
	var text string
	switch {
	case name == "environment":
		var list []string
		if json.Unmarshal(value, &text) == nil {
			list = []string{text}
		} else if json.Unmarshal(value, &list) != nil {
			return diag.New(diag.Usage, "environment must be a name or a list of names")
		}
		opt.Envs = append(opt.Envs, list...)
	case skip:
		if json.Unmarshal(value, &flag) != nil {
			return diag.New(diag.Usage, "%s must be true or false", name)
		}
		if flag {
			opt.Skip = append(opt.Skip, stage)
		}
	case name == "override_branches":
		return overrides(value, opt)
	case name == "reason":
		if json.Unmarshal(value, &opt.Reason) != nil {
			return diag.New(diag.Usage, "reason must be a string")
		}
	default:
		return diag.New(diag.Usage, "unknown member %q", name).Hinted("known: environment, skip_STAGE, override_branches, reason")
	}
	return nil
}

// overrides reads refs of sources: a list of projects and branches, or a map of them.
func overrides(value json.RawMessage, opt *pipe.DeployOptions) *diag.Error {
	if opt.Sources == nil {
		opt.Sources = map[string]string{}
	}
	var byName map[string]string
	if json.Unmarshal(value, &byName) == nil {
		maps.Copy(opt.Sources, byName)
		return nil
	}
	var list []struct{ Project, Branch string }
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if d.Decode(&list) != nil {
		return diag.New(diag.Usage, "override_branches must be a map, or a list of project and branch")
	}
	for _, o := range list {
		if o.Project == "" || o.Branch == "" {
			return diag.New(diag.Usage, "override_branches: an item has no project or branch")
		}
		opt.Sources[o.Project] = o.Branch
	}
	return nil
}
