package transfer

import (
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// lane is the way between the cache and one remote.
type lane struct {
	*Carrier
	Remote store.Remote // in place of the carrier's; nil: there is none
}

// load is what goes along a lane.
type load struct {
	lane
	outs []artifact.Output
}

// to returns the lane of a remote, nil for the main one.
func (c *Carrier) to(r store.Remote) lane {
	if r == nil {
		r = c.Remote
	}
	return lane{c, r}
}

// lane returns the one of an output.
func (c *Carrier) lane(p repopath.Path) lane {
	if c.Remote == nil || c.Own == nil {
		return c.to(nil)
	}
	return c.to(c.Own(p))
}

// From returns the remote of an output.
func (c *Carrier) From(p repopath.Path) store.Remote { return c.lane(p).Remote }

// own reports whether the lane's remote is that of some outputs alone.
func (l lane) own() bool { return l.Remote != l.Carrier.Remote }

// lanes sorts outputs by their remotes. The main one comes first, also if nothing goes there.
func (c *Carrier) lanes(outs []artifact.Output) []load {
	all := []load{{lane: c.to(nil)}}
	at := map[store.Remote]int{c.Remote: 0}
	for _, o := range outs {
		l := c.lane(o.Path)
		i, ok := at[l.Remote]
		if !ok {
			i = len(all)
			at[l.Remote] = i
			all = append(all, load{lane: l})
		}
		all[i].outs = append(all[i].outs, o)
	}
	return all
}

// With returns a carrier like this one for outputs with other remotes of their own: those of
// another commit.
func (c *Carrier) With(own func(repopath.Path) store.Remote) *Carrier {
	return &Carrier{
		Cache: c.Cache, Remote: c.Remote, Workers: c.Workers, Own: own, NoFetch: c.NoFetch, Moved: c.Moved, Meter: c.Meter,
	}
}
