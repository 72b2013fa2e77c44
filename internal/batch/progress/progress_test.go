package progress_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/progress"
)

// clock is a clock that a test winds.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func result(id string, v api.Verdict, stderr string) api.ItemResult {
	return api.ItemResult{CustomID: id, Verdict: v, OK: v == api.OK, Stderr: stderr}
}

func TestTracker(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	tr := progress.NewTracker(c.now)
	if s := tr.Snapshot(); s.State != progress.Reading {
		t.Errorf("at first: %+v", s)
	}
	tr.Reject()
	tr.Earlier(result("e", api.OK, ""))
	tr.Start(101)
	for i := range 60 { // two a second
		tr.Begin()
		v := api.OK
		if i%10 == 0 {
			v = api.Timeout
		}
		tr.End(result(fmt.Sprint(i), v, ""))
		c.t = c.t.Add(500 * time.Millisecond)
		tr.Snapshot()
	}
	tr.Begin()
	tr.Begin()
	tr.Abandon()
	s := tr.Snapshot()
	if s.Total != 101 || s.Done != 61 || s.OK != 55 || s.Failed != 6 || s.InFlight != 1 || s.Rejected != 1 || s.Verdicts[api.Timeout] != 6 {
		t.Errorf("snapshot: %+v", s)
	}
	if s.Rate < 1.9 || s.Rate > 2.1 || s.ETASeconds < 19 || s.ETASeconds > 21 {
		t.Errorf("rate %g, eta %g, want 2 and 20", s.Rate, s.ETASeconds)
	}
	want := "61/101 60%  2.0/s  ETA 20s  ok 55  timeout 6  rejected 1  in flight 1"
	if got := s.Line(); got != want {
		t.Errorf("line %q\nwant %q", got, want)
	}
	c.t = c.t.Add(time.Hour)
	for range 3 {
		c.t = c.t.Add(time.Second)
		s = tr.Snapshot()
	}
	if s.Rate != 0 {
		t.Errorf("an hour later the rate is %g", s.Rate)
	}
}

func TestClusters(t *testing.T) {
	tr := progress.NewTracker(nil)
	add := func(r api.ItemResult) {
		tr.Begin()
		tr.End(r)
	}
	for i := range 5 {
		add(result(fmt.Sprintf("a%d", i), api.Nonzero, fmt.Sprintf("Traceback\nValueError: line %d at 0x7f%d \n\n", i, i)))
	}
	add(result("b", api.Nonzero, "\x1b[31mred\x07"))
	bad := result("c", api.BadResult, "a warning")
	bad.Error = api.Errorf(api.CodeInvalid, "it is empty")
	add(bad)
	add(result("fine", api.OK, "not a failure"))
	got := tr.Clusters(10)
	if len(got) != 3 || got[0].Count != 5 || got[0].Line != "ValueError: line N at N" || got[0].Example != "a0" {
		t.Errorf("clusters: %+v", got)
	}
	all := fmt.Sprint(got)
	if strings.ContainsAny(all, "\x1b\x07") || !strings.Contains(all, "?[Nmred?") || !strings.Contains(all, "it is empty") {
		t.Errorf("clusters: %q", all)
	}
}

// TestClustersAreBounded has more kinds of failures than are told apart.
func TestClustersAreBounded(t *testing.T) {
	tr := progress.NewTracker(nil)
	for i := range 5000 {
		tr.Begin()
		tr.End(result("x", api.Nonzero, strings.Repeat(string(rune('a'+i%26)), 1+i/26)))
	}
	got := tr.Clusters(5000)
	var n int64
	for _, c := range got {
		n += c.Count
	}
	if len(got) > 1001 || n != 5000 {
		t.Errorf("%d clusters of %d failures", len(got), n)
	}
}

func TestPlain(t *testing.T) {
	var said, report bytes.Buffer
	ui := progress.NewPlain(&said, &report)
	start := time.Now()
	for i := range 25 {
		ui.Progress(progress.Snapshot{State: progress.Running, Started: start, Updated: start.Add(time.Duration(i) * time.Second), Total: 30, Done: int64(i)}, false)
	}
	ui.Notice("a word")
	ui.Progress(progress.Snapshot{State: progress.Running, Started: start, Updated: start.Add(25 * time.Second), Total: 30, Done: 25}, true)
	ui.End(progress.Summary{State: progress.Stopped, Reason: "why", Fix: "how", Verdicts: map[api.Verdict]int64{api.OK: 25}})
	if want := "10/30 33%  0.0/s\n20/30 66%  0.0/s\na word\n25/30 83%  0.0/s\n"; said.String() != want {
		t.Errorf("said %q, want %q", said.String(), want)
	}
	for _, want := range []string{"VERDICT  ITEMS\nok       25\n", "why\nfix: how\n"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, report.String())
		}
	}
}

func TestLive(t *testing.T) {
	var said, report bytes.Buffer
	ui := progress.NewLive(&said, &report, func() int { return 24 })
	s := progress.Snapshot{State: progress.Running, Total: 10, Done: 5, Verdicts: map[api.Verdict]int64{api.OK: 5}, Rate: 3}
	ui.Progress(s, false)
	ui.Notice("a word")
	ui.Progress(s, true)
	ui.End(progress.Summary{})
	if want := "\r\x1b[K5/10 50%  3.0/s  ok 5\r\x1b[Ka word\n5/10 50%  3.0/s  ok 5\n"; said.String() != want {
		t.Errorf("said %q, want %q", said.String(), want)
	}
	said.Reset()
	s.Verdicts[api.Timeout] = 1
	ui.Progress(s, false)
	if line := strings.TrimPrefix(said.String(), "\r\x1b[K"); len(line) > 23 {
		t.Errorf("the line %q does not fit", line)
	}
}

func TestEvents(t *testing.T) {
	var out bytes.Buffer
	ui := progress.NewEvents(&out)
	now := time.Now()
	for i := range 10 { // five a second make one a second
		ui.Progress(progress.Snapshot{State: progress.Running, Updated: now.Add(time.Duration(i) * 200 * time.Millisecond)}, false)
	}
	ui.Notice("<word>")
	ui.Item(result("a", api.OOM, "much"))
	ui.End(progress.Summary{State: progress.Finished})
	var events []string
	for line := range strings.Lines(out.String()) {
		var e struct{ Event, State, CustomID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, e.Event)
	}
	if got := strings.Join(events, " "); got != "progress progress notice item end" {
		t.Errorf("events %s:\n%s", got, out.String())
	}
	if strings.Contains(out.String(), "much") || !strings.Contains(out.String(), "<word>") {
		t.Errorf("events:\n%s", out.String())
	}
}
