package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Stream is a writer that people read, and whether it shows colours.
type Stream struct {
	io.Writer
	Colours bool
}

// Screen is a terminal whose last lines are live: they are drawn again and again, and all else
// that is printed goes above them.
//
// The cursor is never hidden and always stands below the live lines, and no mode of the
// terminal stays changed between two writes. So there is little to put right: after Show of no
// lines, or when pipe is killed, the terminal works as before.
type Screen struct {
	W    io.Writer                  // the terminal
	Size func() (columns, rows int) // of it now; it may change at any time

	mu     sync.Mutex
	lines  []string
	drawn  []int // how wide each line was drawn; none: no live line is on the screen
	inside bool  // what was printed last has not ended its line
}

// Over returns a writer to w, which may be the screen's terminal or something else that appears
// on it. All that does must go through such a writer.
func (s *Screen) Over(w io.Writer) io.Writer { return over{s, w} }

type over struct {
	*Screen
	w io.Writer
}

// Write implements io.Writer. After an unfinished line nothing is drawn until it is finished.
func (o over) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	if up := o.erase(); up != "" {
		raw(o.W, up)
	}
	n, err := o.w.Write(b)
	o.inside = b[len(b)-1] != '\n'
	o.draw("")
	return n, err
}

// Show draws these lines in place of those that are live now. Each must fit the screen.
func (s *Screen) Show(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Join(lines, "\n") == strings.Join(s.lines, "\n") && len(s.drawn) == len(lines) && !s.moved() {
		return
	}
	up := s.erase()
	s.lines = lines
	s.draw(up)
}

// moved reports whether the terminal has been made so narrow that lines take more than a row.
func (s *Screen) moved() bool {
	columns, _ := s.Size()
	return rows(s.drawn, columns) != len(s.drawn)
}

// erase returns what clears the live lines and puts the cursor where the first one stood. A
// terminal that was made narrower since has broken them into rows: all but xterm do that.
func (s *Screen) erase() string {
	if len(s.drawn) == 0 {
		return ""
	}
	columns, _ := s.Size()
	n := rows(s.drawn, columns)
	s.drawn = nil
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", n)
}

// rows returns how many rows lines of these widths take.
func rows(widths []int, columns int) (n int) {
	for _, w := range widths {
		n += max(1, (w+max(columns, 1)-1)/max(columns, 1))
	}
	return n
}

// draw writes the lines after what comes before them, in one piece, so that nothing flickers. A
// character that a terminal draws wider than expected must not break a line in two: wrapping is
// off meanwhile.
func (s *Screen) draw(before string) {
	text := before
	if len(s.lines) > 0 && !s.inside {
		columns, _ := s.Size()
		text += "\x1b[?7l"
		for _, l := range s.lines {
			text += l + "\n"
			s.drawn = append(s.drawn, min(cells(l), columns)) // it may have got narrower since Show
		}
		text += "\x1b[?7h"
	}
	if text != "" {
		raw(s.W, text)
	}
}
