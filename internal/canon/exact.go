package canon

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// exact refuses what encoding/json takes for a member of t although it is none: one
// whose name differs in case, and null. Members that t does not know may be anything.
func exact(v any, t reflect.Type, at string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v == nil && t.Kind() != reflect.Interface {
		return fmt.Errorf("%w: %s is null", ErrForm, place(at))
	}
	switch v := v.(type) {
	case map[string]any:
		return exactMembers(v, t, at)
	case []any:
		if t.Kind() != reflect.Slice {
			return nil // of another type, as Unmarshal finds
		}
		for i := range v {
			if err := exact(v[i], t.Elem(), below(at, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

func exactMembers(m map[string]any, t reflect.Type, at string) error {
	known := members(t)
	for _, name := range slices.Sorted(maps.Keys(m)) { // always the same reason for the same document
		if of, ok := known[name]; ok {
			if err := exact(m[name], of, below(at, name)); err != nil {
				return err
			}
			continue
		}
		for other := range known {
			if strings.EqualFold(name, other) {
				return fmt.Errorf("%w: unknown member %q in %s (the name is %q)", ErrForm, name, place(at), other)
			}
		}
		if t.Kind() == reflect.Map {
			if err := exact(m[name], t.Elem(), below(at, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// members are those of a struct's JSON, with the members of what is embedded in it.
func members(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return all
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(all, members(f.Type))
		case name != "":
			all[name] = f.Type
		}
	}
	return all
}
