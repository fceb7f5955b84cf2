package ci

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Output is a value that later steps of a job can read.
type Output struct{ Name, Value string }

// Outputs returns values in the form of the file that GITHUB_OUTPUT names. Each stands between lines that
// nobody can foresee, so that no value can end itself and set another one.
func Outputs(all []Output) string {
	var b strings.Builder
	for _, o := range all {
		end := "pipe_" + rand.Text()
		b.WriteString(o.Name + "<<" + end + "\n" + o.Value + "\n" + end + "\n")
	}
	return b.String()
}

// MaxSummary is how many bytes GitHub takes for the summary of one step. It takes nothing of a larger one.
const MaxSummary = 1 << 20

// Room returns how many bytes can still be added to the summary in this file.
func Room(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return MaxSummary
	}
	return int(max(0, MaxSummary-info.Size()))
}

// Append adds text to a file that GitHub reads when the step has ended, and makes it if it is not there.
// What others have written stays.
func Append(path, text string) (err error) {
	// To open anything else may wait for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "append", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, text)
	return errors.Join(err, f.Close())
}
