package metrics

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// decimal is n / 10^scale, exactly.
type decimal struct {
	n     *big.Int
	scale int
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// The numbers of YAML 1.2 (10.3.2); those of JSON, TOML and tables are among them.
	decimals = regexp.MustCompile(`^([-+]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$`)
	integers = regexp.MustCompile(`^[-+]?0(x[0-9a-fA-F]+|o[0-7]+)$`)
	binary   = regexp.MustCompile(`^0b[01]+$`) // of TOML
)

// most bounds the digits of a number and its exponent: 1e999999999 is a short text, and its sum with 1
// is none. No float64 has more.
const most = 2000

// parse reads a number; false: the text is none, or too large to be reckoned with.
func parse(text string, toml bool) (decimal, bool) {
	if toml {
		text = strings.ReplaceAll(text, "_", "")
	}
	if len(text) > most {
		return decimal{}, false
	}
	if integers.MatchString(text) || toml && binary.MatchString(text) {
		n, ok := new(big.Int).SetString(text, 0)
		return decimal{n: n}, ok
	}
	m := decimals.FindStringSubmatch(text)
	if m == nil || m[2]+m[3] == "" {
		return decimal{}, false
	}
	exp := 0
	if m[4] != "" {
		var err error
		if exp, err = strconv.Atoi(m[4]); err != nil || exp > most || exp < -most {
			return decimal{}, false
		}
	}
	n, ok := new(big.Int).SetString(m[1]+m[2]+m[3], 10)
	return decimal{n, len(m[3]) - exp}, ok
}

// minus returns d - e.
func (d decimal) minus(e decimal) decimal {
	scale := max(d.scale, e.scale)
	return decimal{new(big.Int).Sub(d.at(scale), e.at(scale)), scale}
}

// at returns d * 10^scale, for a scale of at least its own.
func (d decimal) at(scale int) *big.Int {
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-d.scale)), nil)
	return ten.Mul(ten, d.n)
}

// String writes the number in the shorter of 0.015 and 1.5e-20, as a JSON number.
func (d decimal) String() string {
	sign, digits := "", d.n.String()
	if d.n.Sign() < 0 {
		sign, digits = "-", digits[1:]
	}
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "0"
	}
	scale := d.scale - (len(digits) - len(short))
	exp := len(short) - 1 - scale // of the first digit
	switch {
	case exp < -6 || exp > 20: // where a float64 of JavaScript changes its form, too
		if len(short) > 1 {
			short = short[:1] + "." + short[1:]
		}
		return sign + short + "e" + strconv.Itoa(exp)
	case scale <= 0:
		return sign + short + strings.Repeat("0", -scale)
	case exp < 0:
		return sign + "0." + strings.Repeat("0", -exp-1) + short
	}
	return sign + short[:exp+1] + "." + short[exp+1:]
}
