package starter

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
)

// dockerData is for the template.
type dockerData struct {
	names
	Dir, Archive, Tag, File string
	Deps, Outs, Needs       []string
}

// imageName matches what docker takes as the name of an image.
var imageName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// docker proposes for a Dockerfile. What other parts build counts for the image only where
// a COPY names it.
func (t *Tree) docker(name string, parts []*part) (*part, error) {
	found := t.there("Dockerfile", "Containerfile")
	if len(found) == 0 {
		return nil, nil
	}
	b, err := t.Read(found[0])
	if err != nil {
		return nil, err
	}
	dir, err := t.free("dist", "image")
	if err != nil {
		return nil, err
	}
	d := dockerData{Dir: dir, Archive: dir + "/image.tar", Tag: "app"}
	if imageName.MatchString(name) {
		d.Tag = name
	}
	if found[0] != "Dockerfile" {
		d.File = found[0]
	}
	var made []string
	for _, p := range parts {
		made = append(made, p.makes...)
	}
	// Where a build owns the directory, the image lies beside it.
	if slices.ContainsFunc(made, func(m string) bool { return strings.Trim(m, "/") == dir }) {
		d.Dir, d.Archive = "image", "image/image.tar"
	}
	d.Deps = files(append(found[:1:1], t.there(".dockerignore")...)...)
	junk, err := t.anyJunk()
	if err != nil {
		return nil, err
	}
	whole := false
	for _, s := range copied(string(b)) {
		switch s = path.Clean(strings.TrimPrefix(s, "/")); {
		case s == ".":
			d.Deps = slices.Concat(d.Deps, []string{item("**"), not("*.md"), not(".git*")}, junk)
			whole = true
		case strings.HasPrefix(s, "..") || strings.Contains(s, "$"):
		// COPY package.json yarn.lock* takes a file that need not be there.
		case strings.ContainsAny(s, "*?[{") && !slices.ContainsFunc(t.Files, func(f string) bool { ok, _ := path.Match(s, f); return ok }):
		default:
			d.Deps = append(d.Deps, item(s))
		}
	}
	seen := map[string]bool{}
	d.Deps = slices.DeleteFunc(d.Deps, func(i string) bool { again := seen[i]; seen[i] = true; return again })
	d.Outs = files(d.Archive)
	p := &part{Found: Found{File: found[0]}, template: "docker", outs: d.Outs, makes: []string{d.Archive}}
	p.data = func(s stages) any {
		d := d
		d.names, d.Needs = s.names, s.needs
		if whole {
			d.Deps = slices.Concat(d.Deps, s.made)
		}
		return d
	}
	return p, nil
}

// copied returns what the COPY and ADD lines of a Dockerfile take from the context.
func copied(text string) (sources []string) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || !strings.EqualFold(words[0], "COPY") && !strings.EqualFold(words[0], "ADD") {
			continue
		}
		words = words[1:]
		from := false
		for len(words) > 0 && strings.HasPrefix(words[0], "--") {
			from = from || strings.HasPrefix(words[0], "--from=")
			words = words[1:]
		}
		if list := strings.Join(words, " "); strings.HasPrefix(list, "[") {
			words = nil
			_ = json.Unmarshal([]byte(list), &words) // what is no list names nothing
		}
		if from || len(words) < 2 || strings.HasPrefix(words[0], "<<") {
			continue
		}
		for _, w := range words[:len(words)-1] {
			if !strings.Contains(w, "://") {
				sources = append(sources, w)
			}
		}
	}
	return sources
}
