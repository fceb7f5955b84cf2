package spec

import (
	"strings"
	"testing"
)

func TestRemotesAreEditedAndAllElseStays(t *testing.T) {
	const block = "# top\nremote: # stores\n  # near\n  nas: /mnt/nas # old\n\n  # far\n  main:\n    url: s3://b/p # bucket\n    region: eu\n  third: /x\nstages: {}\n"
	for _, c := range []struct {
		name     string
		edit     func(text string) (string, error)
		in, want string
	}{
		{"remove the first", remove("nas"), block, "# top\nremote: # stores\n  # near\n\n  # far\n  main:\n    url: s3://b/p # bucket\n    region: eu\n  third: /x\nstages: {}\n"},
		{"remove a map", remove("main"), block, "# top\nremote: # stores\n  # near\n  nas: /mnt/nas # old\n\n  # far\n  third: /x\nstages: {}\n"},
		{"remove in flow", remove("a"), "remote: {a: /a, b: /b}\n", "remote: {b: /b}\n"},
		{"remove the only one", remove("a"), "project: p\nremote: {a: /a}\nstages: {}\n", "project: p\nstages: {}\n"},
		{"remove the only one of a block", remove("a"), "project: p\nremote:\n  a: /a\nstages: {}\n", "project: p\nstages: {}\n"},
		{"remove a plain text", remove("default"), "remote: /a # here\nstages: {}\n", "stages: {}\n"},
		{"rename", rename("nas", "disk"), block, strings.Replace(block, "nas: /", "disk: /", 1)},
		{"rename a quoted one", rename("a", "b"), "remote: {\"a\": /a}\n", "remote: {\"b\": /a}\n"},
		{"rename to a number", rename("a", "1"), "remote:\n  a: /a\n", "remote:\n  \"1\": /a\n"},
		{
			"rename where outs and inputs name it", rename("a", "1"), "inputs: [{path: i, remote: a}] # a\nstages:\n  s:\n    cmd: a\n    outs:\n      - o: {remote: a}\n      - {path: a, remote: \"a\"}\n      - {path: b, remote: b}\nremote: {a: /a, b: /b}\n",
			"inputs: [{path: i, remote: \"1\"}] # a\nstages:\n  s:\n    cmd: a\n    outs:\n      - o: {remote: \"1\"}\n      - {path: a, remote: \"1\"}\n      - {path: b, remote: b}\nremote: {\"1\": /a, b: /b}\n",
		},
		{"rename where state_remote names it", rename("a", "b"), "state_remote: a # states\nremote: {a: /a, c: /c}\n", "state_remote: b # states\nremote: {b: /a, c: /c}\n"},
		{"rename a plain text that an out names", rename("default", "nas"), "remote: /a\nstages: {s: {cmd: x, outs: [{path: o, remote: default}]}}\n", "remote: {\"nas\": \"/a\"}\nstages: {s: {cmd: x, outs: [{path: o, remote: nas}]}}\n"},
		{"rename a plain text", rename("default", "nas"), "remote: /a,b # here\n", "remote: {\"nas\": \"/a,b\"} # here\n"},
		{"default", first("main"), block, "# top\nremote: # stores\n  # far\n  main:\n    url: s3://b/p # bucket\n    region: eu\n  # near\n  nas: /mnt/nas # old\n\n  third: /x\nstages: {}\n"},
		{"default without a last line break", first("b"), "remote:\n  a: /a\n  b: /b", "remote:\n  b: /b\n  a: /a\n"},
		{"default in flow", first("b"), "remote: {a: /a, b: {url: /b}, c: /c}\n", "remote: {b: {url: /b}, a: /a, c: /c}\n"},
		{"default in JSON", first("b"), "{\"stages\": {}, \"remote\": {\"a\": \"/a\", \"b\": \"/b\"}}", "{\"stages\": {}, \"remote\": {\"b\": \"/b\", \"a\": \"/a\"}}"},
		{"add the first", add("nas"), "# top\nstages: {}\n", "remote:\n  \"nas\": \"/n: 1\"\n\n# top\nstages: {}\n"},
		{"add to a block", add("nas"), "remote:\n    # far\n    main:\n      url: s3://b/p # bucket\n\nstages: {}\n", "remote:\n    # far\n    main:\n      url: s3://b/p # bucket\n    \"nas\": \"/n: 1\"\n\nstages: {}\n"},
		{"add to flow", add("nas"), "remote: {a: /a} # here\n", "remote: {a: /a, \"nas\": \"/n: 1\"} # here\n"},
		{"add the first to JSON", add("nas"), "{\"stages\": {}}", "{\"remote\": {\"nas\": \"/n: 1\"}, \"stages\": {}}"},
		{"add to JSON", add("nas"), "{\"stages\": {}, \"remote\": {\"a\": \"/a\"}}", "{\"stages\": {}, \"remote\": {\"a\": \"/a\", \"nas\": \"/n: 1\"}}"},
		{"add to a plain text", add("nas"), "remote: /a,b # here\nstages: {}\n", "remote: # here\n  default: /a,b\n  \"nas\": \"/n: 1\"\nstages: {}\n"},
		{"add to a plain text at the end", add("nas"), "remote: '/a'", "remote:\n  default: '/a'\n  \"nas\": \"/n: 1\"\n"},
		{"add with CR LF", add("nas"), "remote:\r\n  a: /a\r\nstages: {}\r\n", "remote:\r\n  a: /a\r\n  \"nas\": \"/n: 1\"\r\nstages: {}\r\n"},
		{"default of one", first("default"), "remote: /a\n", "remote: /a\n"},
		{"default with CR LF", first("b"), "remote:\r\n  a: /a\r\n  b: /b\r\n", "remote:\r\n  b: /b\r\n  a: /a\r\n"},
	} {
		const stages = "stages: {}\n"
		if !strings.Contains(c.in, "stages") {
			c.in, c.want = stages+c.in, stages+c.want
		}
		got, err := c.edit(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s:\n%q, %v, want\n%q", c.name, got, err, c.want)
		}
	}
	for name, edit := range map[string]func(string) (string, error){"known": add("main"), "unknown": remove("none"), "not valid": rename("nas", "a/b"), "url": rename("nas", "url")} {
		if got, err := edit(block); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestARemoteThatIsNamedElsewhereStays(t *testing.T) {
	for _, of := range []string{"state_remote: a", "inputs: [{path: o, remote: a}]", "stages: {s: {cmd: x, outs: [{path: o, remote: a}]}}", "stages: {s: {cmd: x, outs: [o: {remote: a}]}}"} {
		if got, err := remove("a")("remote: {a: /a, b: /b}\n" + of + "\n"); err == nil || !strings.Contains(err.Error(), "pipe.yaml:2:") {
			t.Errorf("%s: %q, %v", of, got, err)
		}
	}
	if got, err := first("b")("stages: {}\nremote: &r\n  ? a\n  : /a\n  ? b\n  : /b\n"); err == nil || !strings.Contains(hintOf(err), "move the line") {
		t.Errorf("%q, %v", got, err)
	}
}

func add(name string) func(string) (string, error) {
	return func(text string) (string, error) { return AddRemote(text, Remote{Name: name, URL: "/n: 1"}, Options{}) }
}

func remove(name string) func(string) (string, error) {
	return func(text string) (string, error) { return RemoveRemote(text, name, Options{}) }
}

func rename(name, to string) func(string) (string, error) {
	return func(text string) (string, error) { return RenameRemote(text, name, to, Options{}) }
}

func first(name string) func(string) (string, error) {
	return func(text string) (string, error) { return DefaultRemote(text, name, Options{}) }
}
