package lockfile

import "strings"

// Piece is a part of a pipe.lock, for people: a whole block that counts, or text that is none.
type Piece struct {
	Stage  *Stage  // whose block it is; nil: not one of a stage
	Source *Source // likewise
	Text   string  // when both are nil: conflict markers, a broken block, one with fields of a later version
}

// Pieces takes a lock apart, in the order of its lines. The lines that each lock begins with are left out.
// What is no pipe.lock, or was written by a newer pipe, is one piece of text.
func Pieces(data []byte) (all []Piece) {
	f, err := Parse(FileName, data)
	if err != nil {
		return []Piece{{Text: string(data)}}
	}
	blocks := map[string]Piece{} // by their whole text
	for i := range f.Stages {
		if s := &f.Stages[i]; s.raw == "" {
			blocks[string(s.append(nil))] = Piece{Stage: s}
		}
	}
	for i := range f.Sources {
		if s := &f.Sources[i]; s.raw == "" {
			blocks[string(s.append(nil))] = Piece{Source: s}
		}
	}
	rest := string(unixLines(data))
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		if name, ok := strings.CutPrefix(line, beginField); ok {
			end := endField + name + "\n"
			body, tail, _ := strings.Cut(rest, end)
			if piece, whole := blocks[body+end]; whole {
				all, rest = append(all, piece), tail
				continue
			}
		}
		if line+"\n" != banner && line != "schema: 1" && line != "stages:" && line != "stages: {}" {
			all = append(all, Piece{Text: rest[:len(rest)-len(after)]})
		}
		rest = after
	}
	return all
}
