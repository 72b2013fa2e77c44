package batch_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch"
	"github.com/brigdev/brig/internal/batch/outdir"
	"github.com/brigdev/brig/internal/batch/progress"
)

// ids are the custom_ids that have a result, sorted.
func (r *rig) ids(t *testing.T) string {
	t.Helper()
	return strings.Join(slices.Sorted(maps.Keys(r.results(t))), " ")
}

func TestOnly(t *testing.T) {
	r := newRig(t, goods(6)...)
	s := r.run(t, func(o *batch.Options) { o.Only = []string{"item-0004", "item-0001"} })
	if got := r.ids(t); got != "item-0001 item-0004" || s.Total != 2 || s.Items != 6 {
		t.Errorf("ran %s; %+v", got, s)
	}
	o := r.options
	o.Only = []string{"item-0001", "nobody"}
	if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("an unknown id: %v", err)
	}
	if s := r.run(t); s.Ran != 4 || s.Done != 6 {
		t.Errorf("the rest: %+v", s)
	}
}

func TestLimit(t *testing.T) {
	r := newRig(t, goods(6)...)
	for range 2 { // it says which items, not how many more
		r.run(t, func(o *batch.Options) { o.Limit = 2 })
		if got := r.ids(t); got != "item-0000 item-0001" {
			t.Errorf("ran %s", got)
		}
	}
}

func TestSample(t *testing.T) {
	sample := func(lines []string, n int64, seed uint64) string {
		r := newRig(t, lines...)
		if s := r.run(t, func(o *batch.Options) { o.Sample, o.Seed = n, seed }); s.Total != min(n, int64(len(lines))) {
			t.Errorf("a sample of %d has %d items", n, s.Total)
		}
		return r.ids(t)
	}
	lines := goods(40)
	first := sample(lines, 7, 1)
	slices.Reverse(lines)
	if again := sample(lines, 7, 1); again != first {
		t.Errorf("the same seed chose\n%s and\n%s", first, again)
	}
	if other := sample(lines, 7, 2); other == first {
		t.Errorf("another seed chose the same: %s", other)
	}
	sample(lines, 100, 1)
}

func TestBadRecords(t *testing.T) {
	r := newRig(t,
		"\xef\xbb\xbf"+good("first")+"\r",
		"",
		"{torn",
		good("first"),
		`{"custom_id": 7, "code": "x"}`,
		good("last"),
	)
	s := r.run(t)
	if s.Rejected != 3 || s.OK != 2 || s.State != progress.Finished {
		t.Errorf("summary: %+v", s)
	}
	b, err := os.ReadFile(r.options.Out.Rejected())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"line":3,`, `"line":4,"custom_id":"first","reason":"custom_id was used before`, `"line":5,`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("rejected.jsonl has no %s:\n%s", want, b)
		}
	}
	if !strings.Contains(r.said.String(), "line 3") {
		t.Errorf("nothing was said of line 3: %s", r.said)
	}
	if s := r.run(t); s.Ran != 0 || s.Rejected != 3 {
		t.Errorf("the second run: %+v", s)
	}
}

func TestNoItems(t *testing.T) {
	for name, input := range map[string]string{"empty": "", "blank": "\n \n", "all bad": "x\ny\n"} {
		r := newRig(t)
		if err := os.WriteFile(r.options.Input, []byte(input), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := batch.Run(t.Context(), r.options); api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStandardInput(t *testing.T) {
	r := newRig(t)
	stdin := strings.Join(goods(5), "\n")
	feed := func(s string) func(*batch.Options) {
		return func(o *batch.Options) { o.Input, o.Stdin = "-", strings.NewReader(s) }
	}
	if s := r.run(t, feed(stdin), func(o *batch.Options) { o.Limit = 2 }); s.Ran != 2 {
		t.Errorf("the first run: %+v", s)
	}
	if s := r.run(t, feed("")); s.Ran != 3 || s.OK != 5 {
		t.Errorf("resumed without the stream: %+v", s)
	}
}

func TestDryRun(t *testing.T) {
	r := newRig(t, append(goods(5), "bad")...)
	o := r.options
	o.Host, o.Sample, o.Attempts = nil, 4, 2 // it must not need one
	e, err := batch.DryRun(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if e.Items != 5 || e.Selected != 4 || e.Rejected != 1 || e.MemoryBytes != 4*api.DefaultLimits().MemoryBytes || e.LeastSeconds <= 0 || e.MostSeconds < 40 {
		t.Errorf("estimate: %+v", e)
	}
	if _, err := os.Stat(string(o.Out)); err == nil {
		t.Error("it made the output directory")
	}
	r.run(t, func(o *batch.Options) { o.Limit = 2 })
	if e, err := batch.DryRun(t.Context(), r.options); err != nil || e.Selected != 3 || e.Done != 2 {
		t.Errorf("after two: %+v, %v", e, err)
	}
	o = r.options
	o.Template = "nobody"
	if _, err := batch.DryRun(t.Context(), o); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("with a template that is not there: %v", err)
	}
}

// TestUselessInputLeavesNothing gives inputs in which nothing can be run. A better
// one in the same directory then runs, from a stream too.
func TestUselessInputLeavesNothing(t *testing.T) {
	for name, change := range map[string]func(*batch.Options){
		"file":   func(*batch.Options) {},
		"stream": func(o *batch.Options) { o.Input, o.Stdin = "-", strings.NewReader("bad\n") },
		"only":   func(o *batch.Options) { o.Only = []string{"nobody"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "bad")
			o := r.options
			change(&o)
			if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeInvalid {
				t.Fatalf("the useless input: %v", err)
			}
			if _, err := os.Stat(filepath.Join(string(o.Out), ".brig")); err == nil {
				t.Error("a batch was begun")
			}
			r.write(t, goods(2)...)
			if s := r.run(t); s.OK != 2 {
				t.Errorf("the better one: %+v", s)
			}
			o.Only = []string{"nobody"}
			if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeInvalid {
				t.Errorf("a mistake afterwards: %v", err)
			}
			if got := r.results(t); len(got) != 2 {
				t.Errorf("%d results are left", len(got))
			}
		})
	}
}

func TestStatusAndShow(t *testing.T) {
	r := newRig(t, good("fine"), item("bad", "stderr oh no", "exit 1"), `{"custom_id": "odd", "code": ""}`, item("later", "true"))
	if _, err := batch.Status(r.options.Out); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("status of nothing: %v", err)
	}
	r.run(t, func(o *batch.Options) { o.Limit = 2 })
	s, err := batch.Status(r.options.Out)
	if err != nil || s.Running || s.Summary == nil || s.Summary.Done != 2 || s.Done != 2 {
		t.Errorf("status: %+v, %v", s, err)
	}
	show := func(id string) batch.ItemReport {
		t.Helper()
		rep, err := batch.Show(t.Context(), r.options.Out, id)
		if err != nil {
			t.Errorf("show %s: %v", id, err)
		}
		return rep
	}
	if rep := show("bad"); rep.Result == nil || rep.Result.Verdict != api.Nonzero || rep.Code != "stderr oh no\nexit 1" || rep.Language != "python" {
		t.Errorf("bad: %+v", rep)
	}
	if rep := show("later"); rep.Result != nil || rep.Code != "true" {
		t.Errorf("later: %+v", rep)
	}
	if rep := show("odd"); rep.Rejected == nil || rep.Rejected.Line != 3 {
		t.Errorf("odd: %+v", rep)
	}
	if _, err := batch.Show(t.Context(), r.options.Out, "nobody"); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("show nobody: %v", err)
	}
	if err := os.Remove(r.options.Input); err != nil {
		t.Fatal(err)
	}
	if rep := show("bad"); rep.Result == nil || rep.NoCode == "" {
		t.Errorf("bad without the input: %+v", rep)
	}
}

// TestShowWhatTheTemplateCannotRun has a record that is rejected for a reason that
// is not in the input.
func TestShowWhatTheTemplateCannotRun(t *testing.T) {
	r := newRig(t, good("fine"), `{"custom_id": "js", "code": "1", "language": "node"}`)
	r.run(t, func(o *batch.Options) { o.Languages = []string{"python"} })
	rep, err := batch.Show(t.Context(), r.options.Out, "js")
	if err != nil || rep.Rejected == nil || rep.Rejected.Line != 2 || rep.Code != "1" {
		t.Errorf("show: %+v, %v", rep, err)
	}
}

// TestStatusBesideARun looks at a batch while it runs, and after its brig died.
func TestStatusBesideARun(t *testing.T) {
	r := newRig(t, goods(3)...)
	looked := 0
	r.run(t, func(o *batch.Options) {
		o.UI = &recorder{onItem: func(api.ItemResult) {
			looked++
			if s, err := batch.Status(o.Out); err != nil || !s.Running || s.PID != os.Getpid() || s.Summary != nil {
				t.Errorf("status: %+v, %v", s, err)
			}
		}}
	})
	if looked != 3 {
		t.Errorf("looked %d times", looked)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := progress.Snapshot{State: progress.Running, PID: dead.Process.Pid}
	if err := r.options.Out.WriteProgress(gone); err != nil {
		t.Fatal(err)
	}
	if s, err := batch.Status(r.options.Out); err != nil || s.Running || s.State != progress.Running {
		t.Errorf("status after its death: %+v, %v", s, err)
	}
}

// TestAsk wants an answer whenever somebody asks how far the run is.
func TestAsk(t *testing.T) {
	r := newRig(t, item("slow", "hang"))
	ask := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	o := r.options
	o.Ask = ask
	done := make(chan error)
	go func() {
		_, err := batch.Run(ctx, o)
		done <- err
	}()
	for range 3 {
		ask <- struct{}{}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(r.said.String(), "reading the input") + strings.Count(r.said.String(), "/1 "); n < 2 {
		t.Errorf("asked three times, it said:\n%s", r.said)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*batch.Options){
		"attempts":    func(o *batch.Options) { o.Attempts = -1 },
		"concurrency": func(o *batch.Options) { o.Concurrency = -1 },
		"result":      func(o *batch.Options) { o.Result = "perhaps" },
		"limit":       func(o *batch.Options) { o.Limit = -1 },
		"output":      func(o *batch.Options) { o.Out = "" },
	} {
		o := batch.Options{Out: outdir.Dir(t.TempDir()), Input: "x"}
		change(&o)
		if _, err := batch.Run(t.Context(), o); api.CodeOf(err) != api.CodeInvalid || api.FixOf(err) == "" {
			t.Errorf("%s: %v (fix %q)", name, err, api.FixOf(err))
		}
	}
	for _, bad := range []string{"chunk", "chunk:0", "chunk:-1", "chunk:x", "items"} {
		if _, err := batch.ParseGranularity(bad); err == nil {
			t.Errorf("--per %s is taken", bad)
		}
	}
	for in, want := range map[string]string{"": "item", "item": "item", "chunk:1": "item", "chunk:20": "chunk:20", "batch": "batch"} {
		g, err := batch.ParseGranularity(in)
		if err != nil || fmt.Sprint(g) != want {
			t.Errorf("--per %s is %v, %v", in, g, err)
		}
	}
}
