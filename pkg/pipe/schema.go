package pipe

import "github.com/pipe-build/pipe/internal/spec"

// Schema returns the JSON Schema of pipe.yaml, draft 07.
func Schema() []byte { return spec.Schema() }
