package view

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Report is what a run of CI did. Markdown shows it on the run's page, and in comments.
type Report struct {
	Project  string // its name, or where it lies; "": the only one
	Kind     string // what was built: Branch, Tag or Pull request
	Ref      string // which one; "": it is not known
	Commit   string // that was built
	RunPage  string // address of the run's page; "": there is none
	PageOf   func(commit string) string
	Failed   bool
	Counts   event.Counts
	Lock     Published
	Failures []Failure

	Environments []ReportEnvironment
	Stages       []ReportStage // each after those that it needs
	Deployed     []ReportStage // to environments, whose names they begin with
	Planned      []ReportStage // deploy stages, as the merge of a pull request would find them
}

// Failure is an error, as package pipe describes it.
type Failure struct {
	Place, What, Hint string
	Output            []string // the last lines of a command
}

// ReportEnvironment is what became of one environment.
type ReportEnvironment struct {
	Name, Outcome, Release, Why string
	N                           uint64 // of the deployment; 0: there was none
}

// ReportStage is what became of one stage.
type ReportStage struct {
	Name           string
	Verb           event.Verb
	Deploy, Check  bool
	Failed         bool
	Because        []event.Reason
	Seconds, Saved float64
	Outs, Old      []artifact.Output // Old: as pipe.lock had them before, if others took their place
	Needs          []string          // names of stages
}

// Markdown returns the report as GitHub's Markdown, with all that matters first. What has no room within
// limit bytes is left out, and said to be. Without room for anything useful it is "".
func (r *Report) Markdown(limit int) string {
	s := &sheet{room: limit - reserve}
	if head := r.heading(); !s.add(head) {
		return ""
	}
	s.failures(r.Failures)
	s.environments(r.Environments)
	acted, unchanged, omitted := r.split()
	s.stages("\n### Stages\n\n", append(acted, r.Deployed...), "")
	s.stages("\n### If it is merged\n\n", r.Planned, "")
	s.stages(fmt.Sprintf("\n<details>\n<summary>%s unchanged</summary>\n\n", Count(len(unchanged), "stage")), unchanged, "\n</details>\n")
	s.stages(fmt.Sprintf("\n<details>\n<summary>%s left out</summary>\n\n", Count(len(omitted), "stage")), omitted, "\n</details>\n")
	s.graph(r.Stages)
	return s.String()
}

// heading says what was built and how it ended.
func (r *Report) heading() string {
	var b strings.Builder
	b.WriteString("## pipe ci")
	if r.Failed {
		b.WriteString(" failed")
	}
	if r.Project != "" {
		b.WriteString(": " + Markdown(r.Project))
	}
	b.WriteString("\n\n")
	var of []string
	if r.Ref != "" {
		of = append(of, r.Kind+" "+Markdown(r.Ref))
	}
	if r.Commit != "" {
		of = append(of, "Commit "+r.commit(r.Commit))
	}
	if r.RunPage != "" {
		of = append(of, Link("Run", r.RunPage))
	}
	if len(of) > 0 {
		b.WriteString(strings.Join(of, " · ") + "\n\n")
	}
	if r.Commit != "" { // else nothing began
		b.WriteString("**" + Counted(r.Counts) + "**\n\n" + r.lock() + "\n")
	}
	return b.String()
}

// lock says what became of pipe.lock.
func (r *Report) lock() string {
	l, text := r.Lock, ""
	switch {
	case l.Commit != "":
		text = "Pushed pipe.lock to " + Markdown(l.Branch) + ": " + r.commit(l.Commit)
	case l.Refused() && l.Fix != "":
		return "**pipe.lock was not committed:** " + Markdown(l.Why) + "\n\nTo fix this: " + Markdown(l.Fix)
	case l.Refused():
		return "**pipe.lock was not committed:** " + Markdown(l.Why)
	case l.Changed && l.Branch != "":
		text = "pipe.lock is on " + Markdown(l.Branch) + " already"
	default:
		return l.String()
	}
	if l.URL != "" {
		text += ", " + Link("pull request", l.URL)
	}
	return text
}

// commit is the beginning of a commit's hash, with a link where it has a page.
func (r *Report) commit(hash string) string {
	page := ""
	if r.PageOf != nil {
		page = r.PageOf(hash)
	}
	return Link(Markdown(fmt.Sprintf("%.12s", hash)), page)
}

// split returns the stages that something was done about, those that are as they were, and those that were left out.
func (r *Report) split() (acted, unchanged, omitted []ReportStage) {
	for _, s := range r.Stages {
		if s.Verb == event.Omit {
			omitted = append(omitted, s)
		} else if still := s.Verb == event.Skip || s.Verb == event.Frozen; still && !s.Failed && len(s.Old) == 0 {
			unchanged = append(unchanged, s)
		} else {
			acted = append(acted, s)
		}
	}
	return acted, unchanged, omitted
}

// sheet is Markdown that has so much room left.
type sheet struct {
	strings.Builder
	room int
}

// reserve is kept for the words about what is left out, a line for each part.
const reserve = 1200

// add adds a text if it fits.
func (s *sheet) add(text string) bool {
	if len(text) > s.room {
		return false
	}
	s.room -= len(text)
	s.WriteString(text)
	return true
}

// list adds a part with its items, as many as fit. Each part ends with a line of its own.
func (s *sheet) list(begin string, items []string, noun, end string) {
	if len(items) == 0 {
		return
	}
	if len(begin)+len(end)+len(items[0]) > s.room {
		s.WriteString(fmt.Sprintf("\n%s left out: there is no room for more.\n", Count(len(items), noun)))
		return
	}
	s.add(begin)
	s.room -= len(end)
	for i, item := range items {
		if !s.add(item) {
			s.WriteString(fmt.Sprintf("\n%s left out: there is no room for more.\n", Count(len(items)-i, "more "+noun)))
			break
		}
	}
	s.WriteString(end)
}

// maxFailures is how many failures are shown in full: what comes after them is mostly the same.
const maxFailures = 10

// failures adds what went wrong, with the last lines that commands printed.
func (s *sheet) failures(all []Failure) {
	var items []string
	for i, f := range all {
		if i == maxFailures {
			items = append(items, fmt.Sprintf("\n%s in the log.\n", Count(len(all)-i, "more failure")))
			break
		}
		items = append(items, f.markdown())
	}
	s.list("\n### Failures\n", items, "failure", "")
}

// markdown is a block that can be opened, if there is more to see than what went wrong.
func (f Failure) markdown() string {
	what, more, _ := strings.Cut(f.What, "\n")
	place := ""
	if f.Place != "" {
		place = Markdown(f.Place) + "\n\n"
	}
	hint := ""
	if f.Hint != "" {
		hint = "\nHint: " + Markdown(f.Hint) + "\n"
	}
	lines := f.Output
	if more != "" {
		lines = append(strings.Split(more, "\n"), lines...)
	}
	if len(lines) == 0 {
		return "\n" + place + Markdown(what) + "\n" + hint
	}
	return "\n<details open>\n<summary><code>" + html.EscapeString(visible(what)) + "</code></summary>\n\n" + place + fenced(lines) + hint + "\n</details>\n"
}

// fenced returns lines of a command's output as a block of code that they cannot end.
func fenced(lines []string) string {
	lines, fence := slices.Clone(lines), "```"
	for i, line := range lines {
		lines[i] = shownLine(line)
		for strings.Contains(lines[i], fence) {
			fence += "`"
		}
	}
	return fence + "text\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// environments adds a table.
func (s *sheet) environments(all []ReportEnvironment) {
	var rows []string
	for _, e := range all {
		n := ""
		if e.N > 0 {
			n = fmt.Sprintf("%d", e.N)
		}
		rows = append(rows, MarkdownRow(Markdown(e.Name), e.Outcome, n, Markdown(e.Release), Markdown(e.Why)))
	}
	s.list("\n### Environments\n\n"+MarkdownHead("Environment", "Outcome", "Number", "Release", "Why"), rows, "environment", "")
}

// stages adds a table.
func (s *sheet) stages(begin string, all []ReportStage, end string) {
	var rows []string
	for i := range all {
		rows = append(rows, all[i].row())
	}
	s.list(begin+MarkdownHead("Stage", "Verb", "Why", "Time", "Saved", "Artifacts"), rows, "stage", end)
}

// row is a row of the table.
func (t *ReportStage) row() string {
	verb, why := Verdict(t.Verb, t.Deploy, t.Check, t.Because)
	if t.Failed {
		verb = "**failed**"
	}
	return MarkdownRow(Markdown(t.Name), verb, Markdown(why), duration(t.Seconds), duration(t.Saved), strings.Join(Few(t.artifacts(), 3), "<br>"))
}

// duration is empty where nothing took long, or nobody knows.
func duration(s float64) string {
	if s <= 0 {
		return ""
	}
	return Seconds(s)
}

// artifacts says of each output which version was there before, and which one is now.
func (t *ReportStage) artifacts() (all []string) {
	old := map[repopath.Path]artifact.Output{}
	for _, o := range t.Old {
		old[o.Path] = o
	}
	for _, o := range t.Outs {
		text, hash := Markdown(string(o.Path)), Markdown(o.Digest.Short())
		was, known := old[o.Path]
		delete(old, o.Path)
		switch {
		case known && !was.Same(o):
			text += fmt.Sprintf(" %s → %s (%s → %s)", Markdown(was.Digest.Short()), hash, Bytes(was.Size), Bytes(o.Size))
		default:
			text += fmt.Sprintf(" %s (%s)", hash, Bytes(o.Size))
		}
		all = append(all, text)
	}
	if len(t.Outs) == 0 {
		return all // not known
	}
	for _, o := range t.Old {
		if _, gone := old[o.Path]; gone {
			all = append(all, Markdown(string(o.Path))+" removed")
		}
	}
	return all
}
