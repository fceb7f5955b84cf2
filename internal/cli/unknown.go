package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// group checks the arguments of a command that only has subcommands: any argument is a mistake.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := diag.New(diag.Usage, "unknown command %q", strings.TrimSpace(c.CommandPath()+" "+args[0]))
	var known []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			known = append(known, sub.Name())
		}
	}
	if c.Parent() == nil && strings.EqualFold(args[0], "dvc") {
		return e.Hinted("pipe import dvc")
	}
	if near := yamldoc.Nearest(strings.ToLower(args[0]), known); near != "" {
		return e.Hinted("did you mean %s %s?", c.CommandPath(), near)
	}
	return e.Hinted("%s --help", c.CommandPath())
}

// wrongFlag words what is wrong with a flag, and names the nearest one.
func wrongFlag(c *cobra.Command, err error) error {
	e := diag.New(diag.Usage, "%w", err).Hinted("%s --help", c.CommandPath())
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		e.What = "unknown flag -" + unknown.GetSpecifiedName()
	case errors.As(err, &unknown):
		e.What = "unknown flag --" + unknown.GetSpecifiedName()
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := yamldoc.Nearest(unknown.GetSpecifiedName(), known); near != "" {
			return e.Hinted("did you mean --%s?", near)
		}
	case errors.As(err, &empty):
		e.What = "--" + empty.GetFlag().Name + " needs a value"
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "bool":
		e.What = "--" + invalid.GetFlag().Name + " is true or false, not " + invalid.GetValue()
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "int":
		e.What = "--" + invalid.GetFlag().Name + " needs a number, not " + invalid.GetValue()
	}
	return e
}
