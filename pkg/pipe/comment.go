package pipe

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/github"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// PlanComment is the one comment of a project on a pull request that shows its plan.
type PlanComment struct {
	URL string `json:"url,omitempty"` // of the comment
	Why string `json:"why,omitempty"` // why it was not written

	p      *Project
	client *github.Client // nil: nobody may write, see Why
	number int
}

// ShownPlan is what the comment shows.
type ShownPlan struct {
	Stages       []StageResult // of a plan
	Environments []DeployedTo  // of a dry run
	Failed       error         // why it is not complete
}

// PlanComment prepares the comment on a pull request of GitHub; number 0 is the one that CI builds. It makes no request.
func (p *Project) PlanComment(number int) (*PlanComment, error) {
	job := p.job()
	if job.System != ci.GitHub {
		return nil, diag.New(diag.Usage, "--comment works in GitHub Actions only").Hinted("pipe plan")
	}
	if number = cmp.Or(number, job.Number); number == 0 {
		return nil, diag.New(diag.Usage, "this run has no pull request to comment on").Hinted("run it for a pull_request event, or name one: pipe plan --comment --pr NUMBER")
	}
	c := &PlanComment{p: p, number: number}
	var err error
	if c.client, err = p.github(job.Repository); err != nil && !c.unwritable(err) {
		return nil, err
	}
	return c, nil
}

// unwritable reports that an error is what is to be expected: GitHub gives runs of pull requests from forks, and
// those of Dependabot, a token that may only read. It says so.
func (c *PlanComment) unwritable(err error) bool {
	if !diag.Is(err, diag.Auth) && !diag.Is(err, diag.NotFound) {
		return false
	}
	switch {
	case c.p.job().Fork:
		c.Why = "the pull request comes from a fork, so its token may not write comments"
	case c.p.variable("GITHUB_ACTOR") == "dependabot[bot]":
		c.Why = "Dependabot's token may not write comments"
	default:
		return false
	}
	c.p.note("no comment was written: " + c.Why)
	return true
}

// Write writes the comment, unless it says all this already.
func (c *PlanComment) Write(ctx context.Context, plan ShownPlan) error {
	if c.client == nil {
		return nil
	}
	defer c.client.Close()
	mark := c.mark()
	at, err := c.client.KeepComment(ctx, c.number, mark, mark+"\n"+c.text(ctx, plan))
	if err != nil && !c.unwritable(err) {
		return err
	}
	c.URL = at
	return nil
}

// mark begins the comment and tells it from those of other projects, and environments, on the same pull request.
func (c *PlanComment) mark() string {
	of := strings.ReplaceAll(url.PathEscape(string(c.p.at())), "%2F", "/")
	if c.p.envAsked {
		of += " " + c.p.opt.Env
	}
	return "<!-- pipe-plan " + strings.ReplaceAll(of, "--", "-%2D") + " -->"
}

// commentLimit is GitHub's: 65,536 characters. Counted in bytes it is never too many.
const commentLimit = 65536

// text is the comment in Markdown, without the mark.
func (c *PlanComment) text(ctx context.Context, plan ShownPlan) string {
	head := "### pipe plan"
	if at := c.p.at(); at != repopath.Root {
		head += " of " + view.Markdown(string(at))
	}
	if c.p.envAsked {
		head += " for " + view.Markdown(c.p.opt.Env)
	}
	stages := slices.DeleteFunc(slices.Clone(plan.Stages), func(s StageResult) bool {
		// What becomes of it stands with the environments.
		return len(plan.Environments) > 0 && s.Deploy && len(s.Because) == 1 && s.Because[0].Code == event.ByDeploy
	})
	head += "\n\n" + countedPlan(stages) + "\n"
	if plan.Failed != nil {
		head += "\n**The plan is not complete:** " + shown(diag.All(plan.Failed)[0].Error()) + "\n"
	}
	more := "see " + view.Link("the job's log", c.p.job().URL) // what a table leaves out
	tail := "\n" + c.environments(plan.Environments, more)
	if commit := cmp.Or(c.p.job().Head, c.p.commit(ctx)); plainHash.MatchString(commit) {
		tail += "Commit " + commit + "\n"
	}
	const markup = 1 << 10 // the mark, the heads of the tables, and the words where they are cut
	room := commentLimit - len(head) - len(tail) - markup
	pending, same := stageRows(stages)
	nothing := "up to date"
	if slices.ContainsFunc(stages, func(s StageResult) bool { return s.Verb == event.Omit }) {
		nothing += " or left out"
	}
	table := cutTable([]string{"Stage", "Verb", "Reason"}, pending, room, "stage", more)
	if rest := cutTable([]string{"Stage", "Verb", "Reason"}, same, room-len(table), "stage", more); rest != "" {
		if table != "" {
			table += "\n"
		}
		table += "<details><summary>" + view.Count(len(same), "stage") + " " + nothing + "</summary>\n\n" + rest + "\n</details>\n"
	}
	return head + "\n" + table + tail
}

// plainHash is what GitHub makes a link to the commit of.
var plainHash = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

// countedPlan says in a line what the plan comes to.
func countedPlan(stages []StageResult) string {
	n := map[string]int{}
	for _, s := range stages {
		verb, _ := view.Verdict(s.Verb, s.Deploy, s.Check, nil)
		n[verb]++
	}
	n["up to date"] = n[string(event.Skip)] + n[string(event.Frozen)]
	var words []string
	for _, w := range [...][2]string{
		{"run", "to run"},
		{"check", "to check"},
		{"deploy", "to deploy"},
		{"add", "to add"},
		{"restore", "to restore"},
		{"depends", "waiting for others"},
		{"blocked", "blocked"},
		{"unknown", "not known"},
		{"up to date", "up to date"},
		{"omit", "left out"},
	} {
		if n[w[0]] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[w[0]], w[1]))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "No stages") + "."
}

// longestShown is how much of a text from outside a cell has, in characters.
const longestShown = 300

// shown is a text from outside in Markdown, not more than a cell can take.
func shown(text string) string {
	n := 0
	for i := range text {
		if n++; n > longestShown {
			return view.Markdown(text[:i] + "…")
		}
	}
	return view.Markdown(text)
}

// stageRows makes a row for each stage: those with something to do, and those without.
func stageRows(stages []StageResult) (pending, same [][]string) {
	for _, s := range stages {
		verb, why := view.Verdict(s.Verb, s.Deploy, s.Check, s.Because)
		row := []string{view.Markdown(s.Stage), verb, shown(why)}
		if s.Verb == event.Skip || s.Verb == event.Frozen || s.Verb == event.Omit {
			same = append(same, row)
		} else {
			pending = append(pending, row)
		}
	}
	return pending, same
}

// cutTable is a table of as many rows as there is room for, and says how many are left out.
func cutTable(head []string, rows [][]string, room int, noun, more string) string {
	if len(rows) == 0 {
		return ""
	}
	table := view.MarkdownHead(head...)
	for i, cells := range rows {
		row := view.MarkdownRow(cells...)
		if room -= len(row); room < 0 {
			return table + "\nand " + view.Count(len(rows)-i, "more "+noun) + "; " + more + "\n"
		}
		table += row
	}
	return table
}

// environments is the table of what would be deployed where.
func (c *PlanComment) environments(all []DeployedTo, more string) string {
	if len(all) == 0 {
		return ""
	}
	var rows [][]string
	for _, e := range all {
		var stages []string
		for _, s := range e.Stages {
			if s.Deploy && s.Verb != event.Skip && s.Verb != event.Frozen && s.Verb != event.Omit {
				stages = append(stages, view.Markdown(s.Stage))
			}
		}
		why := e.Why
		if e.Approval != nil {
			why = e.Approval.Text
		}
		outcome := e.Outcome
		if outcome == DeployFailed {
			outcome = "not known"
		}
		rows = append(rows, []string{view.Markdown(e.Env), c.when(e.Env), outcome, strings.Join(view.Few(stages, 10), ", "), shown(why)})
	}
	return cutTable([]string{"Environment", "Deployed", "Outcome", "Stages", "Reason"}, rows, commentLimit/4, "environment", more) + "\n"
}

// when says what deploys to an environment.
func (c *PlanComment) when(name string) string {
	all, err := c.p.declared()
	if err != nil {
		return ""
	}
	e, err := all.Find(name)
	switch {
	case err != nil || e.Auto == "":
		return "by hand"
	case e.Promoted():
		return "after " + view.Markdown(strings.Join(e.From, ", "))
	}
	return "on branch " + view.Markdown(e.Auto)
}
