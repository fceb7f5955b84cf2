package pipe

import (
	"maps"
	"strings"

	"github.com/pipe-build/pipe/internal/dvc"
)

// keepRaw has templates put their values into commands as DVC does, where quoting them, as pipe does, would
// make another command.
func (im *importing) keepRaw(c *dvc.Converted, to dvc.Target) (*dvc.Converted, error) {
	to.Raw = map[dvc.Template]bool{}
	now := im.commands()
	im.tryRaw(c.Templates, &to, &now)
	return im.reconvert(to)
}

// tryRaw finds those of the templates that change a command when they are raw, and leaves them so: now are the
// commands with those that were found. It halves the list, since most projects have none.
func (im *importing) tryRaw(all []dvc.Template, to *dvc.Target, now *map[string]string) {
	if len(all) == 0 {
		return
	}
	for _, t := range all {
		to.Raw[t] = true
	}
	_, err := im.reconvert(*to)
	if err == nil && !maps.Equal(*now, im.commands()) && len(all) == 1 {
		*now = im.commands()
		return
	}
	for _, t := range all {
		delete(to.Raw, t)
	}
	if len(all) == 1 || err == nil && maps.Equal(*now, im.commands()) {
		return // an error: a map, which becomes flags, has no raw text
	}
	im.tryRaw(all[:len(all)/2], to, now)
	im.tryRaw(all[len(all)/2:], to, now)
}

// reconvert converts and reads the project anew.
func (im *importing) reconvert(to dvc.Target) (*dvc.Converted, error) {
	c, err := im.d.Convert(to)
	if err == nil {
		im.texts = c.Files
		err = im.parse()
	}
	return c, err
}

// commands returns the commands of all stages.
func (im *importing) commands() map[string]string {
	all := map[string]string{}
	for i := range im.p.spec.Stages {
		all[im.p.spec.Stages[i].Name] = strings.Join(im.p.spec.Stages[i].Cmd, "\x00")
	}
	return all
}
