package starter

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

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
	tag, context := "app", " ."
	if imageName.MatchString(name) {
		tag = name
	}
	if found[0] != "Dockerfile" {
		context = " -f " + found[0] + " ."
	}
	var made []string
	for _, p := range parts {
		made = append(made, p.makes...)
	}
	// Where a build owns the directory, the image lies beside it.
	if slices.ContainsFunc(made, func(m string) bool { return strings.Trim(m, "/") == dir }) {
		dir = "image"
	}
	deps, whole, err := t.dockerDeps(found[0], string(b))
	if err != nil {
		return nil, err
	}
	archive := dir + "/image.tar"
	p := &part{Found: Found{File: found[0]}, image: true, outs: files(archive), makes: []string{archive}}
	p.build = func(at place) string {
		deps, needs := deps, ""
		if whole {
			deps = slices.Concat(deps, at.made)
		}
		if len(at.needs) > 0 {
			needs = "needs: " + flow(at.needs)
		}
		return stage(fmt.Sprintf(imageNote, archive), at.name,
			script("mkdir -p "+dir, "docker build -t "+tag+context, "docker save -o "+archive+" "+tag),
			"platform: auto           # an image is for one operating system and architecture",
			"deps:"+list(deps),
			"outs:"+list(p.outs),
			needs)
	}
	return p, nil
}

// dockerDeps returns what an image is made of, and whether that is all files.
func (t *Tree) dockerDeps(name, text string) (deps []string, whole bool, err error) {
	deps = files(append([]string{name}, t.there(".dockerignore")...)...)
	junk, err := t.anyJunk()
	if err != nil {
		return nil, false, err
	}
	for _, s := range copied(text) {
		switch s = path.Clean(strings.TrimPrefix(s, "/")); {
		case s == ".":
			deps = slices.Concat(deps, []string{item("**"), not("*.md"), not(".git*")}, junk)
			whole = true
		case strings.HasPrefix(s, "..") || strings.Contains(s, "$"):
		// COPY package.json yarn.lock* takes a file that need not be there.
		case strings.ContainsAny(s, "*?[{") && !slices.ContainsFunc(t.Files, func(f string) bool { ok, _ := path.Match(s, f); return ok }):
		default:
			deps = append(deps, item(s))
		}
	}
	seen := map[string]bool{}
	deps = slices.DeleteFunc(deps, func(i string) bool { again := seen[i]; seen[i] = true; return again })
	return deps, whole, nil
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
			_ = json.Unmarshal([]byte(list), &words) // anything but a list names nothing
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
