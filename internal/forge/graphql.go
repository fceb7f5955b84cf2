package forge

import (
	"net/http"
	"strings"
)

// serveGraphQL answers the one query that says whose a token is, which the token of an app may ask, too.
func (f *Forge) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	c := &call{f: f, w: w, r: r}
	var known bool
	c.k, known = f.token(r)
	var in struct{ Query string }
	switch {
	case c.k == nil || !known:
		c.fail(http.StatusUnauthorized, "Bad credentials")
	case !c.read(&in): // it has said so
	case strings.Join(strings.Fields(in.Query), "") != "{viewer{login}}":
		c.say(http.StatusOK, object{"errors": []object{{"message": "the forge knows {viewer{login}} alone"}}})
	default:
		c.say(http.StatusOK, object{"data": object{"viewer": object{"login": c.k.Login}}})
	}
}
