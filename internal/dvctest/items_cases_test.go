//go:build unix

package dvctest

// itemCases change foreach and matrix.
func itemCases() []twin {
	return []twin{
		{name: "an item is added to a list", do: push("stages train foreach", "east"), runs: "train@east"},
		{name: "a number is added to a list", do: push("stages train foreach", "2024"), runs: "train@2024"},
		{name: "an item is removed from a list", do: unset("stages train foreach west"), runs: none},
		{name: "an item of a list gets another name", do: set("stages train foreach west", "east"), runs: "train@east"},
		{name: "an item of a list gets another name, and a stage needs it", do: all(set("stages train foreach south", "mid"), set("stages evaluate deps models/south.bin", "models/mid.bin"), within("stages evaluate cmd", "south", "mid")), runs: "train@mid evaluate publish"},
		{name: "a list changes its order", do: set("stages train foreach", "[west, south, north]"), runs: none},
		{name: "an item is removed and comes back", first: unset("stages train foreach west"), do: push("stages train foreach", "west"), runs: none},
		{name: "the command of a list's stages changes", do: within("stages train do cmd", "part.csv;", "part.csv; echo;"), runs: "train@* evaluate publish"},
		{name: "a dependency is added to a list's stages", do: push("stages train do deps", "src/prepare.sh"), runs: "train@*"},
		{name: "an item is added to a map", do: sh("printf '  ap:\\n    zone: ap-1\\n    replicas: 1\\n' > item; sed -i.bak '/^regions:/r item' conf/regions.yaml; rm conf/regions.yaml.bak item"), runs: "region@ap"},
		{name: "an item is removed from a map", do: sh("printf 'regions:\\n  eu:\\n    zone: eu-central-1\\n    replicas: 2\\n' > conf/regions.yaml"), runs: none},
		{name: "an item of a map changes", do: replace("conf/regions.yaml", "replicas: 2", "replicas: 5"), runs: "region@eu"},
		{name: "an item of a map gets a key that nothing uses", do: replace("conf/regions.yaml", "replicas: 2", "replicas: 2\n    fresh: 1"), runs: none},
		{name: "a map changes its order", do: sh("printf 'regions:\\n  us: {replicas: 3, zone: us-east-1}\\n  eu: {replicas: 2, zone: eu-central-1}\\n' > conf/regions.yaml"), runs: none},
		{name: "a key of a map gets another name", do: replace("conf/regions.yaml", "eu:", "europe:"), runs: "region@europe"},
		{name: "a value is added to a matrix", do: push("vars app kinds", "net"), runs: "grid@net-1-data0 grid@net-1-data1 grid@net-2-data0 grid@net-2-data1"},
		{name: "a number is added to a matrix", do: push("stages grid matrix depth", "4"), runs: "grid@linear-4-data0 grid@linear-4-data1 grid@tree-4-data0 grid@tree-4-data1"},
		{name: "a value is removed from a matrix", do: set("stages grid matrix depth", "[1]"), runs: none},
		{name: "the values of a matrix change their order", do: set("stages grid matrix depth", "[2, 1]"), runs: none},
		{name: "composite values of a matrix change their order", do: set("stages grid matrix data", "[{name: large, file: data/raw.csv}, {name: small, file: data/count.txt}]"), runs: "grid@*"},
		{name: "a composite value is added to a matrix", do: push("stages grid matrix data", "{name: rules, file: work/rules.txt}"), runs: "grid@linear-1-data2 grid@linear-2-data2 grid@tree-1-data2 grid@tree-2-data2"},
		{name: "a composite value gets a key that nothing uses", do: set("stages grid matrix data name more", "1"), runs: none},
		{name: "a key of a matrix gets another name", do: all(rename("stages grid matrix depth", "size"), within("stages grid cmd", "item.depth", "item.size"), set("stages grid outs", "['grid/${item.kind}-${item.size}-${item.data.name}.${suffix}']")), runs: none},
		{name: "a key is added to a matrix", do: set("stages grid matrix more", "[x]"), runs: "grid@linear-1-data0-x grid@linear-1-data1-x grid@linear-2-data0-x grid@linear-2-data1-x grid@tree-1-data0-x grid@tree-1-data1-x grid@tree-2-data0-x grid@tree-2-data1-x"},
		{name: "a var of the stage changes the names of outputs", do: set("stages grid vars suffix suffix", "csv"), runs: "grid@*"},
		{name: "the command of a matrix changes", do: within("stages grid cmd", "item.depth};", "item.depth} more;"), runs: "grid@*"},
		{name: "a group gets another name", do: rename("stages region", "zone"), runs: none},
		{name: "a group is removed", do: unset("stages region"), runs: none},
	}
}
