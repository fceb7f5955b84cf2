package spec

import (
	"reflect"
	"testing"
)

func TestMetricsAndPlotsAreOuts(t *testing.T) {
	p := parseGood(t, `metrics: [b/live.json, ./a.json]
stages:
  eval:
    cmd: x
    wdir: w
    outs: [model]
    metrics: [m.json, {n.yaml: {cache: false}}, {path: o.toml, push: false}]
    plots: [curve.csv, {roc.json: {x: fpr, y: tpr, title: ROC, header: true, persist: true}}, {two.csv: [{x: a}, {x: b, cache: false}]}]
  only: {cmd: x, plots: [img/]}
`)
	want := []Out{
		{Path: "w/curve.csv", Sort: PlotOut},
		{Path: "w/m.json", Sort: MetricOut},
		{Path: "w/model"},
		{Path: "w/n.yaml", Sort: MetricOut, NoCache: true},
		{Path: "w/o.toml", Sort: MetricOut, NoPush: true},
		{Path: "w/roc.json", Sort: PlotOut, Persist: true},
		{Path: "w/two.csv", Sort: PlotOut, NoCache: true},
	}
	got := p.Stage("eval").Outs
	for i := range got {
		got[i].Place = ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if only := p.Stage("only"); only.Deploy || len(only.Outs) != 1 || !only.Outs[0].Dir {
		t.Errorf("a stage with plots alone is %+v", only)
	}
	if len(p.Metrics) != 2 || p.Metrics[0] != "a.json" || p.Metrics[1] != "b/live.json" {
		t.Errorf("metrics are %v", p.Metrics)
	}
}

func TestARemoteIsRenamedInMetricsAndPlots(t *testing.T) {
	next, err := RenameRemote(`remote: {one: /a, two: /b}
stages:
  s:
    cmd: x
    metrics: [{m.json: {remote: two}}]
    plots: [{p.csv: [{x: a}, {remote: two}]}, {path: q.csv, remote: two}]
`, "two", "new", Options{})
	if want := `remote: {one: /a, new: /b}
stages:
  s:
    cmd: x
    metrics: [{m.json: {remote: new}}]
    plots: [{p.csv: [{x: a}, {remote: new}]}, {path: q.csv, remote: new}]
`; err != nil || next != want {
		t.Errorf("got %s, %v", next, err)
	}
}
