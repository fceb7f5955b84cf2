package spec

import "github.com/pipe-build/pipe/internal/yamldoc"

// topField is a key at the top of a pipe.yaml.
type topField struct {
	read     func(r *reader, p *Project, f yamldoc.Pair)
	expand   func(r *reader, n *yamldoc.Node) *yamldoc.Node // gives templates their values; nil: there must be none
	anywhere bool                                           // an included file may have it, too
}

// topFields reads each key at the top. The table is the list of known keys, too, so that a key cannot be
// read and be unknown. It is made by a function because include reads files that have such keys in turn.
func topFields() map[string]topField {
	expanded, entries := (*reader).expanded, (*reader).expandEntries
	return map[string]topField{
		// Read before all others: see names.
		"vars":         {func(*reader, *Project, yamldoc.Pair) {}, itself, true},
		"include":      {func(r *reader, p *Project, f yamldoc.Pair) { r.include(p, f.Value) }, itself, true},
		"stages":       {(*reader).stages, itself, true},
		"inputs":       {func(r *reader, p *Project, f yamldoc.Pair) { r.inputs(p, f.Value) }, expanded, true},
		"env_file":     {func(r *reader, p *Project, f yamldoc.Pair) { p.EnvFiles = r.envFiles(f.Value, r.base, "") }, expanded, true},
		"project":      {func(r *reader, p *Project, f yamldoc.Pair) { p.Name = r.name(f.Value) }, nil, false},
		"remote":       {func(r *reader, p *Project, f yamldoc.Pair) { p.Remotes = r.remotes(f.Value) }, expanded, false},
		"env_mode":     {(*reader).envMode, nil, false},
		"sources":      {func(r *reader, p *Project, f yamldoc.Pair) { p.Sources = r.sources(f.Value) }, expanded, false},
		"limits":       {func(r *reader, p *Project, f yamldoc.Pair) { p.Limits = r.limits(f.Value) }, nil, false},
		"environments": {func(r *reader, p *Project, f yamldoc.Pair) { p.entries = r.environments(f.Value) }, entries, false},
		"state_remote": {(*reader).stateRemote, nil, false},
		"metrics":      {func(r *reader, p *Project, f yamldoc.Pair) { p.Metrics = r.metricFiles(f.Value) }, nil, false},
		"lock":         {func(r *reader, p *Project, f yamldoc.Pair) { p.LockCommit = r.lock(f.Value) }, nil, false},
		"deploy_on":    {func(r *reader, p *Project, f yamldoc.Pair) { p.DeployOn = r.branch(f.Value, "deploy_on") }, nil, false},
	}
}

// itself is the expand of a key whose reader looks after its templates.
func itself(_ *reader, n *yamldoc.Node) *yamldoc.Node { return n }

// take reads a key into p.
func (t topField) take(r *reader, p *Project, f yamldoc.Pair) {
	if t.expand != nil {
		f.Value = t.expand(r, f.Value)
	} else {
		r.refuse(f.Value, f.Key, "it must be readable as it stands")
	}
	t.read(r, p, f)
}

// envMode reads whether build stages see the whole environment.
func (r *reader) envMode(p *Project, f yamldoc.Pair) {
	p.Loose = r.oneOf(f.Value, "", f.Key, "strict", "loose") == "loose"
}

// stateRemote reads which remote keeps the environments' states.
func (r *reader) stateRemote(p *Project, f yamldoc.Pair) {
	p.StateRemote, _ = r.text(f.Value, "", f.Key)
	p.stateAt = f.Value.Place(r.file)
}
