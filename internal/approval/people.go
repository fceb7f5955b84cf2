package approval

import (
	"slices"
	"strings"
)

// people says which names and keys are one person's: those that one line of the signers file
// or one vote has together, and so on from each of them. E-mail addresses are compared without
// case. So a person with two keys or two names counts once.
type people struct {
	lines signers
	of    map[string]string // a name or key to another one of the same person; to itself at the end
}

func name(s string) string { return "name " + strings.ToLower(s) }
func key(s string) string  { return "key " + s }

// people are those of the file and of votes.
func (all signers) people(votes []Signed) *people {
	p := &people{lines: all, of: map[string]string{}}
	for _, s := range all {
		if s.ca { // its key vouches for several
			continue
		}
		one := []string{key(s.print())}
		for _, n := range s.positive() {
			one = append(one, name(n))
		}
		p.join(one)
	}
	for _, v := range votes {
		p.join(v.ids)
	}
	return p
}

// join makes one person of those whom the names and keys stand for.
func (p *people) join(one []string) {
	for _, n := range one {
		p.of[p.who(n)] = p.who(one[0])
	}
}

// who returns the one name or key that stands for the person.
func (p *people) who(n string) string {
	for p.of[n] != "" && p.of[n] != n {
		n = p.of[n]
	}
	return n
}

// names returns a name for each person who may approve, and the patterns of authorities,
// without those who are left out.
func (p *people) names(without ...string) (names []string) {
	seen := slices.Clone(without)
	add := func(who, name string) {
		if !slices.Contains(seen, who) {
			seen, names = append(seen, who), append(names, name)
		}
	}
	for _, s := range p.lines {
		switch {
		case !s.approves():
		case s.ca:
			for _, n := range s.positive() {
				add(p.who(name(n)), n)
			}
		default:
			add(p.who(key(s.print())), s.positive()[0])
		}
	}
	return names
}
