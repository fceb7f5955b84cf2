package dvc

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// tokens are the parts of a canonical value of package params.
var tokens = regexp.MustCompile(`!?"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\[\]{}:,"!\s]+`)

// SameValue compares two values in their canonical form, that of a params file and that of dvc.lock, as
// DVC would: 1e-3 is 0.001 there, since it writes what it has read.
func SameValue(a, b string) bool {
	if a == b {
		return true
	}
	as, bs := tokens.FindAllString(a, -1), tokens.FindAllString(b, -1)
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		if as[i] != bs[i] && !sameScalar(as[i], bs[i]) {
			return false
		}
	}
	return true
}

func sameScalar(a, b string) bool {
	x, xText := content(a)
	y, yText := content(b)
	if strings.ContainsAny(a+b, "[]{},") && (!strings.HasSuffix(a, `"`) || !strings.HasSuffix(b, `"`)) {
		return false
	}
	f, ferr := number(x)
	g, gerr := number(y)
	switch {
	case xText && yText:
		return false // they differ as texts
	case !xText && !yText && ferr == nil && gerr == nil:
		i, iok := new(big.Int).SetString(x, 10)
		j, jok := new(big.Int).SetString(y, 10)
		if iok && jok { // beyond 2^53 two of them are one float
			return i.Cmp(j) == 0
		}
		return f == g
	case x != y:
		return false
	}
	// y, on or 1.2.3 without quotes is a text to YAML 1.2, which DVC reads.
	return ferr != nil && x != "true" && x != "false" && x != "null"
}

// content returns a scalar's text, and whether it was written as a text.
func content(token string) (text string, isText bool) {
	source, plain := strings.CutPrefix(token, "!")
	if s, err := strconv.Unquote(source); err == nil {
		return s, !plain
	}
	return token, false
}

// number reads a number of YAML 1.2.
func number(s string) (float64, error) {
	for _, base := range []struct {
		prefix string
		base   int
	}{{"0x", 16}, {"0o", 8}} {
		if digits, ok := strings.CutPrefix(s, base.prefix); ok {
			n, err := strconv.ParseInt(digits, base.base, 64)
			return float64(n), err
		}
	}
	switch strings.ToLower(strings.TrimPrefix(s, "+")) {
	case ".inf":
		s = "inf"
	case "-.inf":
		s = "-inf"
	case "inf", "-inf", "nan", "infinity", "-infinity":
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// words are what may be a number in a command.
var words = regexp.MustCompile(`[0-9A-Za-z_.+-]+`)

// SameCommand reports whether two commands are the same but for how numbers are written: DVC's templates give
// 0.001 for the 1e-3 of a file, and pipe's what the file has.
func SameCommand(a, b string) bool {
	if a == b {
		return true
	}
	as, bs := words.FindAllString(a, -1), words.FindAllString(b, -1)
	if len(as) != len(bs) || words.ReplaceAllString(a, "\x00") != words.ReplaceAllString(b, "\x00") {
		return false
	}
	for i := range as {
		f, ferr := number(strings.ReplaceAll(as[i], "_", ""))
		g, gerr := number(strings.ReplaceAll(bs[i], "_", ""))
		if as[i] != bs[i] && (ferr != nil || gerr != nil || f != g) {
			return false
		}
	}
	return true
}
