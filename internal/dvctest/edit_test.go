//go:build unix

package dvctest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// change is what a case does to a project; it does the same to that of DVC and to that of pipe.
type change func(p project)

// sh is a shell script that runs at the project's root. $FILE is dvc.yaml in one, pipe.yaml in the other.
func sh(script string) change {
	return func(p project) { p.t.Helper(); p.sh("FILE=" + p.file + "\n" + script) }
}

// replace changes the first such text of a file, which must be there.
func replace(file, old, text string) change {
	return func(p project) {
		p.t.Helper()
		name := filepath.Join(p.at, strings.Replace(file, "$FILE", p.file, 1))
		b, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(b), old) {
			p.t.Fatalf("%s has no %s:\n%s", file, old, b)
		}
		if err == nil {
			err = os.WriteFile(name, []byte(strings.Replace(string(b), old, text, 1)), 0o666)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// all does several changes.
func all(changes ...change) change {
	return func(p project) {
		for _, c := range changes {
			c(p)
		}
	}
}

// set gives the key at a path a value, written as YAML. A path is the keys, and the texts of items, that lead to a place
// in the file with the stages, after the directory of that file, as dir/, when it is not the root.
func set(path, value string) change {
	return edit(path, func(parent *yaml.Node, i int, key string) {
		v := parsed(value)
		if i >= 0 {
			parent.Content[i] = v
		} else {
			parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
		}
	})
}

// unset removes what is at a path.
func unset(path string) change {
	return edit(path, func(parent *yaml.Node, i int, _ string) {
		from := i
		if parent.Kind == yaml.MappingNode {
			from--
		}
		parent.Content = slices.Delete(parent.Content, from, i+1)
	})
}

// rename gives the key at a path another name.
func rename(path, name string) change {
	return edit(path, func(parent *yaml.Node, i int, _ string) {
		parent.Content[i-1].Value = name
	})
}

// within replaces text in the value at a path, which must be there.
func within(path, old, text string) change {
	return edit(path, func(parent *yaml.Node, i int, _ string) {
		v := parent.Content[i]
		if !strings.Contains(v.Value, old) {
			panic(path + " is " + v.Value + ", without " + old)
		}
		v.Value = strings.ReplaceAll(v.Value, old, text)
	})
}

// push adds an item to the list at a path.
func push(path, item string) change {
	return edit(path, func(parent *yaml.Node, i int, _ string) {
		parent.Content[i].Content = append(parent.Content[i].Content, parsed(item))
	})
}

// edit calls do with the map or list that holds the last name of a path, and the place of its value there,
// -1 when it is not there yet.
func edit(path string, do func(parent *yaml.Node, i int, key string)) change {
	return func(p project) {
		p.t.Helper()
		at, keys := p.at, strings.Fields(path)
		if strings.HasSuffix(keys[0], "/") {
			at, keys = filepath.Join(at, keys[0]), keys[1:]
		}
		name := filepath.Join(at, p.file)
		b, err := os.ReadFile(name)
		var doc yaml.Node
		if err == nil {
			err = yaml.Unmarshal(b, &doc)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		n := doc.Content[0]
		for _, k := range keys[:len(keys)-1] {
			i := place(n, k)
			if i < 0 {
				p.t.Fatalf("%s has no %s of %s:\n%s", p.file, k, path, b)
			}
			n = n.Content[i]
		}
		last := keys[len(keys)-1]
		do(n, place(n, last), last)
		if b, err = yaml.Marshal(&doc); err == nil {
			err = os.WriteFile(name, b, 0o666)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// place returns where the value of a key, or of a list's item that is or begins with this text, is among the
// node's children, or -1.
func place(n *yaml.Node, key string) int {
	for i, c := range n.Content {
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == key,
			n.Kind == yaml.SequenceNode && c.Value == key,
			n.Kind == yaml.SequenceNode && c.Kind == yaml.MappingNode && c.Content[0].Value == key:
			return i
		}
	}
	return -1
}

func parsed(text string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		panic(err)
	}
	return doc.Content[0]
}
