package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/pipe-build/pipe/pkg/event"
)

// Tick draws the live lines anew, or without a screen prints a heartbeat.
func (p *Progress) Tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	if p.Meter != nil {
		p.push.look(now, &p.Meter.Push)
		p.pull.look(now, &p.Meter.Pull)
	}
	if p.Screen != nil {
		p.draw()
		return
	}
	var all []string
	for _, s := range p.running {
		if now.Sub(s.since) >= maxWait {
			p.fold(s, false)
		}
		all = append(all, fmt.Sprintf("%s since %s (%s)", s.name, s.began.Format(time.TimeOnly), whole(seconds(now.Sub(s.began)))))
	}
	if len(all) > 0 {
		Print(p.W, "still running: %s\n", strings.Join(all, ", "))
	}
	for _, t := range p.transfers() {
		Print(p.W, "still %sing: %s\n", t.verb, t.text)
	}
}

// transfer is one direction that goes on, in words.
type transfer struct{ verb, text string }

func (p *Progress) transfers() (all []transfer) {
	if text := p.push.words(); text != "" {
		all = append(all, transfer{"push", text})
	}
	if text := p.pull.words(); text != "" {
		all = append(all, transfer{"pull", text})
	}
	return all
}

// draw shows the live lines: one for each stage that runs, with its time and what it printed
// last, and one for each direction in which something is transferred.
func (p *Progress) draw() {
	if p.Screen == nil || p.Quiet {
		return
	}
	columns, rows := p.Screen.Size()
	var lines []string
	add := func(name, text, last string) {
		head := fmt.Sprintf("%-*s  %s", p.width, name, text)
		line := Paint(p.W, Cyan, cut(head, columns))
		if last = cut(last, columns-cells(head)-2); last != "" {
			line += "  " + Paint(p.W, Dim, last)
		}
		lines = append(lines, line)
	}
	for _, s := range p.running {
		add(visible(s.name), fmt.Sprintf("%-7s", whole(seconds(p.Now().Sub(s.began)))), plain(s.last))
	}
	for _, t := range p.transfers() {
		add(t.verb, t.text, "")
	}
	// The row below them has the cursor, and the one above shows what is printed.
	if most := max(rows-2, 1); len(lines) > most {
		more := len(lines) - most + 1
		lines = append(lines[:most-1], Paint(p.W, Cyan, cut(fmt.Sprintf("and %d more", more), columns)))
	}
	p.Screen.Show(lines)
}

// seconds returns whole seconds that have passed.
func seconds(d time.Duration) int { return max(0, int(d/time.Second)) }

// gauge follows one direction of the meter.
type gauge struct {
	done, total int64
	looks       []look // of the last window
}

type look struct {
	at   time.Time
	done int64
}

// window is over how long the rate is taken: long enough to be steady between two objects,
// short enough to tell of a line that got slow.
const window = 10 * time.Second

// look takes a reading.
func (g *gauge) look(now time.Time, f *event.Flow) {
	g.done, g.total = f.Read()
	if g.done >= g.total {
		g.looks = nil
		return
	}
	g.looks = append(g.looks, look{now, g.done})
	for len(g.looks) > 2 && now.Sub(g.looks[1].at) >= window {
		g.looks = g.looks[1:]
	}
}

// words returns how far the transfer is, how fast, and how long it takes yet; "" when there is
// none.
func (g *gauge) words() string {
	if len(g.looks) == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of %s", Bytes(g.done), Bytes(g.total))
	first, last := g.looks[0], g.looks[len(g.looks)-1]
	rate := float64(last.done-first.done) / last.at.Sub(first.at).Seconds()
	if !(rate >= 1) || last.at.Sub(first.at) < time.Second { // too early, or it stands still
		return text
	}
	return fmt.Sprintf("%s, %s/s, %s left", text, Bytes(int64(rate)), whole(int(float64(g.total-g.done)/rate)+1))
}
