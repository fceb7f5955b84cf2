package lockfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
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

// FORMAT.md: bare is what begins with a letter or _, has these characters alone, and is no word of YAML's.
func TestATextIsBareOnlyWhereTheFormatSaysSo(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "_": true, "Z": true, "a0": true, "a9": true, "az_AZ/.-09": true, "nulls": true, "falsey": true,
		"": false, "0a": false, "-a": false, ".a": false, "a:b": false, "a b": false, "aé": false, "a{": false, "a@": false, "a[": false, "a`": false,
		"null": false, "Yes": false, "FALSE": false, "n": false,
	} {
		if isPlain(text) != want {
			t.Errorf("%q is bare: %v", text, !want)
		}
	}
}

func TestABlockMayBeLongerThanALineMayBe(t *testing.T) {
	s := small("a")
	for i := range 12_000 {
		s.Deps = append(s.Deps, artifact.Input{Path: repopath.Path(fmt.Sprintf("dep/%05d", i)), Digest: sum("x"), Size: 1})
	}
	f, err := Parse(FileName, []byte(head+string(s.append(nil))))
	if err != nil || len(f.Stages) != 1 || len(f.Stages[0].Deps) < 12_000 {
		t.Errorf("%d stages, %v", len(f.Stages), err)
	}
}

func TestAHashOfALaterKindIsANewerPipes(t *testing.T) {
	s := small("a")
	s.Deps = []artifact.Input{{Path: "in/tree", Digest: sum("x"), Size: 1, In: sum("tree")}}
	block := string(s.append(nil))
	for _, at := range []string{"    cmd: ", ", in: ", ", hash: "} {
		_, err := Parse(FileName, []byte(head+forged(block, at+"blake3:", at+"blake9:")))
		if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "hash blake9") {
			t.Errorf("%q: %v", at, err)
		}
	}
}
