package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pairs is a flag NAME=VALUE that may be given several times. A value is taken as it is: pflag's own type drops
// quotes at its ends, and splits it at commas where it has another "=".
type pairs struct{ to *map[string]string }

// Set implements pflag.Value.
func (p pairs) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("write NAME=VALUE")
	}
	if *p.to == nil {
		*p.to = map[string]string{}
	}
	(*p.to)[name] = value
	return nil
}

// Type implements pflag.Value.
func (p pairs) Type() string { return "NAME=VALUE" }

// String implements pflag.Value.
func (p pairs) String() string {
	if p.to == nil || len(*p.to) == 0 {
		return ""
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(*p.to)))
}

// setting is the flag --set: a value of a variable, NAME=VALUE, or of a key of a file, FILE:KEY=VALUE.
// No variable has a colon in its name.
type setting struct{ variables, params *map[string]string }

// Set implements pflag.Value.
func (s setting) Set(text string) error {
	name, _, _ := strings.Cut(text, "=")
	file, key, ok := strings.Cut(name, ":")
	switch {
	case ok && file != "" && key != "" && name != text:
		return pairs{s.params}.Set(text)
	case s.variables == nil && !ok && name != "" && name != text:
		return fmt.Errorf("write FILE:KEY=VALUE, such as params.yaml:%s", text)
	case s.variables == nil:
		return errors.New("write FILE:KEY=VALUE")
	case ok:
		return errors.New("write NAME=VALUE or FILE:KEY=VALUE")
	}
	return pairs{s.variables}.Set(text)
}

// Type implements pflag.Value.
func (s setting) Type() string { return "FILE:KEY=VALUE" }

// String implements pflag.Value.
func (s setting) String() string {
	if s.params == nil {
		return ""
	}
	text := pairs{s.params}.String()
	if s.variables != nil {
		text += pairs{s.variables}.String()
	}
	return text
}
