// Package metrics reads what stages measured out of JSON, YAML, TOML and CSV files, and compares it.
//
// Read turns a file into a flat list of values, Diff two lists into changes. A number counts as it
// is written, in decimal: 0.3 - 0.1 is 0.2 here, as in the file, and not what binary floating
// point makes of it.
package metrics

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// MaxSize is the largest file in bytes.
const MaxSize = yamldoc.MaxSize

// Value is one value of a file.
type Value struct {
	// Name leads to it: keys of maps and numbers of lists, from 0, joined by dots. A key that has a
	// dot itself, or is empty, stands in quotes. "": the file is this one value.
	Name string
	Text string // as the file has it, without quotes

	kind   yamldoc.Kind
	number decimal // if kind is Number
}

// MarshalJSON writes the value: a number as a number, exactly.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case yamldoc.Null:
		return []byte("null"), nil
	case yamldoc.Bool:
		return []byte(v.Text), nil
	case yamldoc.Number:
		if jsonNumber.MatchString(v.Text) {
			return []byte(v.Text), nil
		}
		return []byte(v.number.String()), nil
	}
	return canon.AppendString(nil, v.Text), nil
}

// Same reports whether two values are the same: numbers by what they say, 1.0 as 1.
func (v Value) Same(w Value) bool {
	if v.kind == yamldoc.Number && w.kind == yamldoc.Number {
		return v.number.minus(w.number).n.Sign() == 0
	}
	return v.kind == w.kind && v.Text == w.Text
}

// minus returns v - w in decimal, "" if one of them is no number.
func (v Value) minus(w Value) string {
	if v.kind != yamldoc.Number || w.kind != yamldoc.Number {
		return ""
	}
	return v.number.minus(w.number).String()
}

// types are the endings of the names of files with metrics.
var types = []string{".json", ".yaml", ".yml", ".toml", ".csv", ".tsv"}

// Readable reports whether a file's name says that Read takes it.
func Readable(file repopath.Path) bool { return slices.Contains(types, ending(file)) }

func ending(file repopath.Path) string { return strings.ToLower(path.Ext(string(file))) }

// Read returns the values of a file in its order. The name says how it is read; one that says
// nothing is YAML, as in DVC. The error is of kind Usage.
func Read(file repopath.Path, data []byte) ([]Value, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // of editors on Windows
	switch {
	case len(data) > MaxSize:
		return nil, yamldoc.CheckSize(string(file), data)
	case !utf8.Valid(data):
		return nil, diag.New(diag.Usage, "not valid UTF-8").At(string(file))
	}
	switch ending(file) {
	case ".csv":
		return table(file, data, ',')
	case ".tsv":
		return table(file, data, '\t')
	}
	root, err := document(file, data)
	if err != nil {
		return nil, err
	}
	r := &reader{toml: ending(file) == ".toml"}
	r.flatten("", root)
	return r.values, nil
}

// notANumber finds strings, and outside of them what Python writes into JSON files though JSON has
// no such values.
var notANumber = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b`)

// quoted makes strings of them.
func quoted(data []byte) []byte {
	return notANumber.ReplaceAllFunc(data, func(b []byte) []byte {
		if b[0] == '"' {
			return b
		}
		return canon.AppendString(nil, string(b))
	})
}

// document reads what is no table.
func document(file repopath.Path, data []byte) (*yamldoc.Node, error) {
	switch ending(file) {
	case ".toml":
		return params.Parse(file, data)
	case ".json":
		root, err := yamldoc.ParseJSON(string(file), data)
		if err != nil {
			if lax, lerr := yamldoc.ParseJSON(string(file), quoted(data)); lerr == nil {
				return lax, nil
			}
		}
		return root, err
	}
	return yamldoc.Parse(string(file), data, yamldoc.Options{})
}

// reader collects the values of a document.
type reader struct {
	values []Value
	toml   bool
}

func (r *reader) flatten(name string, n *yamldoc.Node) {
	switch n.Kind {
	case yamldoc.Map:
		for _, p := range n.Pairs {
			r.flatten(join(name, p.Key), p.Value)
		}
	case yamldoc.List:
		for i, it := range n.Items {
			r.flatten(join(name, strconv.Itoa(i)), it)
		}
	default:
		v := Value{Name: name, Text: n.Value, kind: n.Kind}
		switch n.Kind {
		case yamldoc.Source, yamldoc.Number:
			v = numeric(v, r.toml)
		case yamldoc.Bool, yamldoc.Null: // True, ~
			v.Text = n.Canonical()
		}
		r.values = append(r.values, v)
	}
}

// numeric makes a number of a value that is written as one.
func numeric(v Value, toml bool) Value {
	var ok bool
	if v.number, ok = parse(v.Text, toml); ok {
		v.kind = yamldoc.Number
	} else {
		v.kind = yamldoc.String
	}
	return v
}

// join adds a key to a name. Two values of a file never have one name.
func join(name, key string) string {
	if key == "" || strings.ContainsAny(key, `."`) {
		key = yamldoc.Quote(key)
	}
	if name == "" {
		return key
	}
	return name + "." + key
}

// table reads a table whose first row has the names of the columns. Rows go by their number, from 0:
// any column may be the one that is compared, so none of them can name the row.
func table(file repopath.Path, data []byte, comma rune) ([]Value, error) {
	rows := csv.NewReader(bytes.NewReader(data))
	rows.Comma, rows.TrimLeadingSpace = comma, comma == ','
	head, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(file, err)
	}
	for i, name := range head {
		if slices.Contains(head[:i], name) {
			_, col := rows.FieldPos(i)
			return nil, diag.New(diag.Usage, "column %q is there twice", name).At(fmt.Sprintf("%s:1:%d", file, col))
		}
	}
	var values []Value
	for i := 0; ; i++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, unreadable(file, err)
		}
		for j, text := range row {
			name := join(strconv.Itoa(i), head[j])
			values = append(values, numeric(Value{Name: name, Text: text}, false))
		}
	}
}

// unreadable gives an error of a table its place.
func unreadable(file repopath.Path, err error) error {
	var at *csv.ParseError
	if !errors.As(err, &at) {
		return err
	}
	return diag.New(diag.Usage, "not a valid table: %w", at.Err).At(fmt.Sprintf("%s:%d:%d", file, at.Line, at.Column))
}
