package lockfile

import (
	"slices"
	"strings"
	"testing"
)

// A block has one form: each byte that is added, lost or changed makes it absent,
// or another block that Encode writes in just these bytes.
func TestOfABlockWithARightSumEveryByteCounts(t *testing.T) {
	stage := example().Stages[0]
	stage.Env = append(stage.Env, Env{Name: "Z"})
	plain := string(stage.append(nil))
	for _, block := range []string{plain, forged(plain, "files: 1} # build\n", "files: 1, x-b: \"ü\"} # build\n    x-note: any\n")} {
		if f, err := Parse(FileName, []byte(head+block)); err != nil || len(f.Stages) != 1 {
			t.Fatalf("%+v, %v", f, err)
		}
		begin, end := strings.IndexByte(block, '\n')+1, strings.Index(block, sumField)
		try := func(body string) {
			sum := sumOf([]byte(body))
			fuzzOne(t, []byte(head+block[:begin]+body+sumField+string(sum[:])+"\n"+endField+stage.Name+"\n"))
		}
		body := block[begin:end]
		for i := range body {
			try(body[:i] + "\n")                       // cut
			try(body[:i] + body[i+1:])                 // lost
			try(body[:i] + body[min(i+2, len(body)):]) // two lost
			for _, c := range "0 x\"\n" {
				try(body[:i] + string(c) + body[i+1:]) // changed
				try(body[:i] + string(c) + body[i:])   // added
			}
		}
	}
}

func TestAStageIsSaidToBeAbsentOnce(t *testing.T) {
	bad := strings.Replace(blockOf("a"), "size: 1", "size: 2", 1)
	f, err := Parse(FileName, []byte(head+bad+blockOf("b")+bad))
	if err != nil || !slices.Equal(namesOf(f), []string{"b"}) || len(f.Absent) != 1 || f.Absent[0].Stage != "a" {
		t.Errorf("%+v, %v", f, err)
	}
}
