package spec

import "embed"

//go:embed schema.json
var schemaFile embed.FS

// Schema returns the JSON Schema of pipe.yaml (draft 07, which editors know), with a line break at its
// end. What fits it may still be refused: it knows neither files nor what one part of the file says of another.
func Schema() []byte {
	b, err := schemaFile.ReadFile("schema.json")
	if err != nil {
		panic(err) // it is a part of the program
	}
	return b
}
