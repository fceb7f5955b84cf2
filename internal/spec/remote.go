package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// AddRemote returns the text of a pipe.yaml with one more remote behind the others, and all else as
// it is. Where the text's form leaves no place for it, the user gets the line to write.
func AddRemote(text string, r Remote, opt Options) (string, error) {
	// Quoted in any case: a URL may hold characters that YAML reads as something else.
	value := yamldoc.Quote(r.URL)
	if r.Endpoint != "" || r.Region != "" {
		value = "{url: " + value
		if r.Endpoint != "" {
			value += ", endpoint: " + yamldoc.Quote(r.Endpoint)
		}
		if r.Region != "" {
			value += ", region: " + yamldoc.Quote(r.Region)
		}
		value += "}"
	}
	before, err := ParseIn(FileName, []byte(text), opt)
	if err != nil {
		return "", err
	}
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	line := yamldoc.Quote(r.Name) + ": " + value
	next, ok := d.addRemote(line)
	if ok {
		after, err := ParseIn(FileName, []byte(next), opt)
		if err != nil {
			return "", diag.New(diag.Usage, "cannot add the remote to %s: %w", FileName, err).At(FileName).Hinted("add this line below remote: %s", line)
		}
		ok = len(after.Remotes) == len(before.Remotes)+1
	}
	if !ok {
		return "", diag.New(diag.Usage, "cannot add the remote to %s in its present form", FileName).At(FileName).Hinted("add this line below remote: %s", line)
	}
	return next, nil
}

// addRemote adds a pair to remote:, and the key where there is none. A remote that is a plain text
// becomes the first of a map, under the name default that it had.
func (d *draft) addRemote(line string) (string, bool) {
	key, i := pair(d.root, "remote")
	switch m := key.Value; {
	case i < 0 && d.isFlow(d.root):
		first := d.root.Pairs[0].At
		return d.addFlow(d.root, first, d.quoted(first, "remote")+": {"+line+"}"), true
	case i < 0:
		return d.replaced(d.lines[0], d.lines[0], "remote:"+d.eol+"  "+line+d.eol+d.eol), true
	case m.Kind == yamldoc.Null:
		return d.inserted(key.At.Line, "  "+line), true
	case m.Kind != yamldoc.Map:
		from, end := d.offset(m), d.end(m)
		if end < 0 || d.isFlow(d.root) || m.Line != key.At.Line {
			return "", false
		}
		rest := strings.TrimRight(d.text[end:d.after(m.Line)], "\r\n") // a comment
		return d.replaced(d.offset(key.At), d.after(m.Line), "remote:"+rest+d.eol+"  default: "+d.text[from:end]+d.eol+"  "+line+d.eol), true
	case d.isFlow(m):
		end := d.end(m.Pairs[len(m.Pairs)-1].Value)
		return d.text[:max(end, 0)] + ", " + line + d.text[max(end, 0):], end >= 0
	default:
		last := m.Pairs[len(m.Pairs)-1].At
		if !d.begins(last) {
			return "", false
		}
		return d.inserted(d.last(last.Line), d.line(last.Line)[:indent(d.line(last.Line))]+line), true
	}
}

// RemoveRemote returns the text of a pipe.yaml without a remote, and all else as it is. Where the
// text's form leaves no place for the change, the user is told what to write.
func RemoveRemote(text, name string, opt Options) (string, error) {
	if d, err := newDraft(text); err == nil {
		if of := d.ofRemote(name); len(of) > 0 {
			if of[0] == d.root.Get("state_remote") {
				return "", diag.New(diag.Usage, "state_remote still names remote %s, which has the states of the environments", name).At(of[0].Place(FileName)).
					Hinted("change or remove it first; an environment whose state is not in the other remote counts as never deployed")
			}
			return "", diag.New(diag.Usage, "an output still uses remote %s", name).At(of[0].Place(FileName)).
				Hinted("to move its bytes to the default remote, run pipe pull, remove this line's remote: %s, then run pipe push", name)
		}
	}
	return changeRemote(text, name, "remove the line of the remote by hand", opt, func(d *draft, remotes yamldoc.Pair, i int) (string, *yamldoc.Node, bool) {
		if i < 0 || len(remotes.Value.Pairs) == 1 {
			_, at := pair(d.root, "remote")
			next, ok := d.cutPair(d.root, at)
			return next, with(d.root, nil, "remote"), ok
		}
		next, ok := d.cutPair(remotes.Value, i)
		return next, with(d.root, nil, "remote", name), ok
	})
}

// RenameRemote returns the text of a pipe.yaml in which a remote has another name, also where outs
// and inputs name it.
func RenameRemote(text, name, to string, opt Options) (string, error) {
	return changeRemote(text, name, "write the new name by hand", opt, func(d *draft, remotes yamldoc.Pair, i int) (string, *yamldoc.Node, bool) {
		renamed := &yamldoc.Node{Kind: yamldoc.String, Value: to}
		become := map[*yamldoc.Node]*yamldoc.Node{}
		for _, n := range d.ofRemote(name) {
			become[n] = renamed
		}
		if i >= 0 {
			become[remotes.Value.Pairs[i].At] = renamed
		} else {
			become[remotes.Value] = &yamldoc.Node{Kind: yamldoc.Map, Pairs: []yamldoc.Pair{{Key: to, At: renamed, Value: remotes.Value}}}
		}
		next, ok := d.exchanged(become)
		return next, exchanged(d.root, become), ok
	})
}

// ofRemote returns the nodes that name a remote: of state_remote, outs and inputs.
func (d *draft) ofRemote(name string) (all []*yamldoc.Node) {
	if n := d.root.Get("state_remote"); n != nil && n.Value == name {
		all = append(all, n)
	}
	lists := []*yamldoc.Node{d.root.Get("inputs")}
	if stages := d.root.Get("stages"); stages != nil {
		for _, s := range stages.Pairs {
			body := s.Value
			if do := body.Get("do"); do != nil { // of a foreach
				body = do
			}
			for _, sort := range OutSorts() {
				lists = append(lists, body.Get(sort.String()))
			}
		}
	}
	for _, list := range lists {
		if list == nil {
			continue
		}
		for _, it := range list.Items {
			if it.Get("path") == nil && len(it.Pairs) == 1 {
				it = it.Pairs[0].Value // DVC's {p: {options}}
			}
			for _, o := range append(drawn(it), it.Pairs...) {
				if o.Key == "remote" && o.Value.Value == name {
					all = append(all, o.Value)
				}
			}
		}
	}
	return all
}

// exchanged returns the text in which nodes have become others: texts, or a map of one text.
func (d *draft) exchanged(become map[*yamldoc.Node]*yamldoc.Node) (string, bool) {
	nodes := slices.SortedFunc(maps.Keys(become), func(a, b *yamldoc.Node) int { return d.offset(b) - d.offset(a) })
	next := *d
	for _, n := range nodes { // from the last: those before keep their places
		to, at, end := become[n], d.offset(n), d.end(n)
		if end < 0 {
			return "", false
		}
		text := to.Value
		if read, err := yamldoc.Parse(FileName, []byte(text), yamldoc.Options{}); err != nil || read.Kind != yamldoc.String || d.text[at] == '"' {
			text = yamldoc.Quote(text)
		}
		if to.Kind == yamldoc.Map {
			text = "{" + yamldoc.Quote(to.Pairs[0].Key) + ": " + yamldoc.Quote(to.Pairs[0].Value.Value) + "}"
		}
		next.text = next.replaced(at, end, text)
	}
	return next.text, true
}

// exchanged returns the tree in which nodes have become others.
func exchanged(n *yamldoc.Node, become map[*yamldoc.Node]*yamldoc.Node) *yamldoc.Node {
	if to := become[n]; to != nil {
		return to
	}
	next := *n
	next.Items, next.Pairs = slices.Clone(n.Items), slices.Clone(n.Pairs)
	for i, it := range next.Items {
		next.Items[i] = exchanged(it, become)
	}
	for i := range next.Pairs {
		p := &next.Pairs[i]
		if to := become[p.At]; to != nil {
			p.Key, p.At = to.Value, to
		}
		p.Value = exchanged(p.Value, become)
	}
	return &next
}

// DefaultRemote returns the text of a pipe.yaml in which a remote comes first: it is the default.
// Comments directly above it come along.
func DefaultRemote(text, name string, opt Options) (string, error) {
	return changeRemote(text, name, "move the line of the remote to the first place below remote:", opt, func(d *draft, remotes yamldoc.Pair, i int) (string, *yamldoc.Node, bool) {
		if i <= 0 {
			return d.text, d.root, true
		}
		next, ok := d.toFront(remotes, i)
		return next, d.root, ok
	})
}

// changeRemote applies one edit. It gets the pair remote: and the number of the remote in its map,
// -1 when remote: is a plain text, and returns what the text must mean then.
func changeRemote(text, name, byHand string, opt Options, edit func(d *draft, remotes yamldoc.Pair, i int) (string, *yamldoc.Node, bool)) (string, error) {
	p, err := ParseIn(FileName, []byte(text), opt)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(p.Remotes, func(r Remote) bool { return r.Name == name })
	if at < 0 {
		return "", diag.New(diag.Usage, "no remote named %q", name).At(FileName).Hinted("pipe remote list")
	}
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	remotes, _ := pair(d.root, "remote")
	i := -1
	if remotes.Value.Kind == yamldoc.Map {
		_, i = pair(remotes.Value, name)
	}
	next, want, ok := edit(d, remotes, i)
	if !ok || !says(next, want) {
		return "", diag.New(diag.Usage, "cannot change remote %s in the present form of %s", name, FileName).At(p.Remotes[at].Place).Hinted("%s", byHand)
	}
	_, err = ParseIn(FileName, []byte(next), opt) // such as a name that is not valid
	return next, err
}

// toFront moves a pair of the map that is the value of parent before all others.
func (d *draft) toFront(parent yamldoc.Pair, i int) (string, bool) {
	m, p := parent.Value, parent.Value.Pairs[i]
	if d.isFlow(m) {
		end := d.end(p.Value)
		if end < 0 {
			return "", false
		}
		element := d.text[d.offset(p.At):end]
		first := m.Pairs[0].At
		rest, ok := d.cutPair(m, i)
		if !ok {
			return "", false
		}
		cut, err := newDraft(rest)
		if err != nil {
			return "", false
		}
		return cut.addFlow(m, first, element), true // both lie before what was cut
	}
	if !d.begins(p.At) || !d.begins(m.Pairs[0].At) || m.Pairs[0].At.Line <= parent.At.Line {
		return "", false
	}
	from, last := p.At.Line, d.last(p.At.Line)
	for strings.HasPrefix(strings.TrimSpace(d.line(from-1)), "#") {
		from--
	}
	moved := d.text[d.lines[from-1]:d.after(last)]
	if !strings.HasSuffix(moved, "\n") {
		moved += d.eol
	}
	at := d.after(parent.At.Line)
	return d.text[:at] + moved + d.text[at:d.lines[from-1]] + d.text[d.after(last):], true
}
