package dvc

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// The names of DVC's files.
const (
	StagesFile = "dvc.yaml"
	LockFile   = "dvc.lock"
	DataSuffix = ".dvc" // of the files that dvc add writes
	IgnoreFile = ".dvcignore"
	Dir        = ".dvc"
)

// Item is a dep or an out as dvc.lock or a .dvc file has it.
type Item struct {
	Path  string // as it stands there, relative to the stage's working directory
	Sum   Sum
	Size  int64 // -1: not told
	Files int64 // of a directory; 0: not told
	Exec  bool
}

// Sum is what DVC names bytes by.
type Sum struct {
	MD5    string // 32 digits; empty: DVC has none
	Dir    bool   // of the list of a directory's files
	Legacy bool   // of DVC 2: line ends of text count as LF, and objects lie elsewhere
}

// String returns the name as DVC writes it.
func (s Sum) String() string {
	if s.Dir {
		return s.MD5 + dirSuffix
	}
	return s.MD5
}

// dirSuffix ends the name of a directory's list.
const dirSuffix = ".dir"

var md5Form = regexp.MustCompile(`^[0-9a-f]{32}(\.dir)?$`)

// ParseSum reads a name. Without hash: md5 beside it, DVC 2 has written it.
func ParseSum(text string, legacy bool) (Sum, bool) {
	text = strings.ToLower(text)
	if !md5Form.MatchString(text) {
		return Sum{}, false
	}
	hex, dir := strings.CutSuffix(text, dirSuffix)
	return Sum{MD5: hex, Dir: dir, Legacy: legacy}, true
}

// Locked is a stage as dvc.lock has it.
type Locked struct {
	Name   string
	Cmd    []string // each item is one shell
	Deps   []Item
	Outs   []Item
	Params map[string]*yamldoc.Node // by file; a map of keys to values
}

// ParseLock reads a dvc.lock of schema 2.0. Stages come in the order of the file.
func ParseLock(file string, data []byte) ([]Locked, error) {
	if bytes.HasPrefix(data, []byte("<<<<<<< ")) || bytes.Contains(data, []byte("\n<<<<<<< ")) {
		return nil, diag.New(diag.Usage, "has the marks of a merge conflict").At(file).Hinted("settle it (git checkout --ours %s, then dvc repro), then run pipe import dvc", file)
	}
	root, err := yamldoc.Parse(file, data, yamldoc.Options{})
	if err != nil {
		return nil, err
	}
	if root.Kind == yamldoc.Null {
		return nil, nil
	}
	schema := root.Get("schema")
	switch {
	case root.Kind != yamldoc.Map:
		return nil, diag.New(diag.Usage, "must be a map with schema and stages, not %s", root.Kind).At(file).Hinted("git checkout %s", file)
	case schema == nil:
		return nil, diag.New(diag.Usage, "an older DVC wrote this file: it has no schema").At(file).
			Hinted("run dvc commit -f with DVC 2 or later, which writes it again, then pipe import dvc")
	case schema.Value != "2.0":
		return nil, diag.New(diag.Usage, "schema %s is not supported; pipe reads schema 2.0", schema.Value).At(schema.Place(file)).
			Hinted("run dvc commit -f with DVC 3, which writes it again, then pipe import dvc")
	}
	var all []Locked
	for _, p := range pairs(root.Get("stages")) {
		l := Locked{Name: p.Key, Cmd: Commands(p.Value.Get("cmd")), Params: map[string]*yamldoc.Node{}}
		l.Deps, l.Outs = parseItems(p.Value.Get("deps")), parseItems(p.Value.Get("outs"))
		for _, f := range pairs(p.Value.Get("params")) {
			l.Params[f.Key] = f.Value
		}
		all = append(all, l)
	}
	return all, nil
}

// pairs are those of a map; none of what is no map.
func pairs(n *yamldoc.Node) []yamldoc.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

// Commands returns the commands of a cmd. DVC runs each item of a list, and each line of a text, in a
// shell of its own.
func Commands(n *yamldoc.Node) (all []string) {
	switch {
	case n == nil:
		return nil
	case n.Kind == yamldoc.List:
		for _, it := range n.Items {
			all = append(all, it.Value)
		}
		return all
	}
	return commandLines(n.Value)
}

// commandLines returns the lines of a text that are commands.
func commandLines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			all = append(all, line)
		}
	}
	return all
}

func parseItems(n *yamldoc.Node) (all []Item) {
	if n == nil {
		return nil
	}
	for _, it := range n.Items {
		all = append(all, parseItem(it))
	}
	return all
}

func parseItem(n *yamldoc.Node) Item {
	i := Item{Size: -1}
	for _, p := range n.Pairs {
		switch p.Key {
		case "path":
			i.Path = p.Value.Value
		case "size":
			if size, err := strconv.ParseInt(p.Value.Value, 10, 64); err == nil {
				i.Size = size
			}
		case "nfiles":
			i.Files, _ = strconv.ParseInt(p.Value.Value, 10, 64) // it is for people
		case "isexec":
			i.Exec = p.Value.Value == "true"
		case "md5":
			hash := n.Get("hash")
			i.Sum, _ = ParseSum(p.Value.Value, hash == nil || hash.Value != "md5")
		}
	}
	return i
}

// Data is a .dvc file: files that dvc add, import or import-url keeps.
type Data struct {
	Wdir   string
	Outs   []Out
	From   string // where dvc import and import-url have it from; empty: dvc add
	Cmd    bool   // it is a stage of DVC 0.x
	Frozen bool
}

// Out is an out of a .dvc file.
type Out struct {
	Item
	NoCache bool
	Remote  string // that has its bytes, other than the default one
	Cloud   bool   // its bytes lie under their own name in a version-aware remote
}

// ParseData reads a .dvc file.
func ParseData(file string, data []byte) (*Data, error) {
	root, err := yamldoc.Parse(file, data, yamldoc.Options{})
	if err != nil {
		return nil, err
	}
	d := &Data{Wdir: ".", Cmd: root.Get("cmd") != nil}
	if n := root.Get("wdir"); n != nil && n.Value != "" {
		d.Wdir = n.Value
	}
	if n := root.Get("frozen"); n != nil {
		d.Frozen = n.Value == "true"
	}
	for _, it := range items(root.Get("deps")) {
		d.From = source(it)
	}
	for _, it := range items(root.Get("outs")) {
		o := Out{Item: parseItem(it), Cloud: it.Get("cloud") != nil || it.Get("files") != nil}
		if n := it.Get("cache"); n != nil {
			o.NoCache = n.Value == "false"
		}
		if n := it.Get("remote"); n != nil {
			o.Remote = n.Value
		}
		d.Outs = append(d.Outs, o)
	}
	return d, nil
}

func items(n *yamldoc.Node) []*yamldoc.Node {
	if n == nil {
		return nil
	}
	return n.Items
}

// source names where an imported file comes from: a URL, or a path in a repository.
func source(n *yamldoc.Node) string {
	at := ""
	if p := n.Get("path"); p != nil {
		at = p.Value
	}
	if repo := n.Get("repo"); repo != nil {
		if url := repo.Get("url"); url != nil {
			return url.Value + " " + at
		}
	}
	return at
}
