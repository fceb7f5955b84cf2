package yamldoc

// Nearest returns the choice that is closest to word, "" when none is close enough to be a
// slip of the pen. Up to a third of the letters and one more may differ; of several the first
// in order is taken. A choice whose last part is word goes before all others.
func Nearest(word string, choices []string) string {
	best, least := "", min(len(word), len(word)/3+2)
	for _, c := range choices {
		// Many write only the end of a name: app.zip for dist/app.zip, lr for train.lr.
		if at := len(c) - len(word) - 1; word != "" && at > 0 && (c[at] == '/' || c[at] == '.') && c[at+1:] == word {
			return c
		}
		// The distance is at least the difference in length, which costs nothing to see.
		if d := len(c) - len(word); d >= least || -d >= least {
			continue
		}
		if d := distance(word, c); d < least && d <= len(c) {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes. It keeps one row of the table: len(a) times len(b)
// steps and memory for len(b).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
