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
