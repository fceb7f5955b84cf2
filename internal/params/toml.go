package params

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// parseTOML reads TOML into the nodes that YAML and JSON give. They have no places.
func parseTOML(file string, data []byte) (*yamldoc.Node, error) {
	if len(data) > yamldoc.MaxSize {
		return nil, diag.List{diag.New(diag.Usage, "%d bytes are more than the %d that are read", len(data), yamldoc.MaxSize).At(file)}
	}
	if tooDeep(data) {
		return nil, diag.List{diag.New(diag.Usage, "too deep values").At(file)}
	}
	var doc map[string]any
	if _, err := toml.Decode(string(data), &doc); err != nil {
		place, text := file, err.Error()
		var at toml.ParseError
		if errors.As(err, &at) {
			place, text = fmt.Sprintf("%s:%d:%d", file, max(at.Position.Line, 1), max(at.Position.Col, 1)), at.Message
		}
		return nil, diag.List{diag.New(diag.Usage, "not valid TOML: %s", text).At(place)}
	}
	return node(doc), nil
}

// maxDepth bounds tables in tables: the TOML library's memory is quadratic in
// the parts of a dotted key, and its stack grows with each bracket.
const maxDepth = 500

// tooDeep counts brackets and the dots of one key. It does not know texts, where
// it would take as many open brackets, or dots without a comma, for depth.
func tooDeep(data []byte) bool {
	open, dots := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			open, dots = open+1, 0
		case ']', '}':
			open, dots = max(open-1, 0), 0
		case '.':
			dots++
		case '=', ',', '\n':
			dots = 0
		}
		if open > maxDepth || dots > maxDepth {
			return true
		}
	}
	return false
}

func node(v any) *yamldoc.Node {
	n := &yamldoc.Node{}
	switch v := v.(type) {
	case bool:
		n.Kind, n.Value = yamldoc.Bool, strconv.FormatBool(v)
	case int64:
		n.Kind, n.Value = yamldoc.Int, strconv.FormatInt(v, 10)
	case float64:
		n.Kind, n.Value = yamldoc.Float, float(v)
	case string:
		n.Kind, n.Value = yamldoc.String, v
	case time.Time:
		n.Kind, n.Value = yamldoc.String, date(v)
	case []any:
		n.Kind = yamldoc.List
		for _, it := range v {
			n.Items = append(n.Items, node(it))
		}
	case []map[string]any:
		n.Kind = yamldoc.List
		for _, it := range v {
			n.Items = append(n.Items, node(it))
		}
	case map[string]any:
		n.Kind = yamldoc.Map
		for _, k := range slices.Sorted(maps.Keys(v)) {
			n.Pairs = append(n.Pairs, yamldoc.Pair{Key: k, At: &yamldoc.Node{Kind: yamldoc.String, Value: k}, Value: node(v[k])})
		}
	}
	return n
}

// float writes a number as YAML does, infinities included.
func float(f float64) string {
	switch s := strconv.FormatFloat(f, 'g', -1, 64); s {
	case "+Inf":
		return ".inf"
	case "-Inf":
		return "-.inf"
	case "NaN":
		return ".nan"
	default:
		return s
	}
}

// date writes a date as RFC 3339, or the part of it that the file gives. The
// names of the locations are the TOML library's mark for dates without a zone.
func date(t time.Time) string {
	switch t.Location().String() {
	case "datetime-local":
		return t.Format("2006-01-02T15:04:05.999999999")
	case "date-local":
		return t.Format("2006-01-02")
	case "time-local":
		return t.Format("15:04:05.999999999")
	}
	return t.Format(time.RFC3339Nano)
}
