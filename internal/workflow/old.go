package workflow

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

var (
	// uses matches an action, its version, and the version in a comment behind a commit's hash.
	uses = regexp.MustCompile(`\buses:\s*["']?([\w.-]+/[\w.-]+)[^@\s]*@([\w.-]+)["']?(?:[ \t]*#[ \t]*(v[\w.-]+))?`)
	// major is the first number of a version.
	major = regexp.MustCompile(`^v(\d+)(\.|$)`)
)

// Old names the actions in a workflow of GitHub's that are majors behind those of the workflow that pipe
// writes. Of others, and of one that is pinned without a comment, it is not known.
func Old(workflow []byte) (old []string) {
	current := map[string]int{}
	for _, pinned := range []string{checkoutAction, awsAction} {
		action, n, _ := version(uses.FindSubmatch([]byte("uses: " + pinned)))
		current[action] = n
	}
	for _, m := range uses.FindAllSubmatch(bytes.ReplaceAll(workflow, []byte("\r"), nil), -1) {
		if action, n, known := version(m); known && n < current[action] {
			old = append(old, fmt.Sprintf("%s v%d (v%d is current)", action, n, current[action]))
		}
	}
	slices.Sort(old)
	return slices.Compact(old)
}

// version returns the action and the major version of a match of uses.
func version(m [][]byte) (action string, n int, known bool) {
	v := major.FindSubmatch(m[2])
	if v == nil {
		v = major.FindSubmatch(m[3])
	}
	if v == nil {
		return "", 0, false
	}
	n, err := strconv.Atoi(string(v[1]))
	return string(m[1]), n, err == nil
}
