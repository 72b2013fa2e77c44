package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

func fakes() client.MapOptions[int] {
	return client.MapOptions[int]{Create: api.CreateRequest{Template: "fake"}, Concurrency: 3}
}

// double runs a program for an item.
func double(ctx context.Context, sb *client.Sandbox, n int) (int, error) {
	res, err := sb.Exec(ctx, api.ExecRequest{Argv: []string{"exit", fmt.Sprint(n)}})
	return 2 * res.ExitCode, err
}

func TestMap(t *testing.T) {
	c, r := serve(t)
	o := fakes()
	var last client.MapProgress
	o.Progress = func(p client.MapProgress) { last = p }
	var most, now atomic.Int64
	work := func(ctx context.Context, sb *client.Sandbox, n int) (int, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		if n == 5 {
			return 0, errors.New("five")
		}
		return double(ctx, sb, n)
	}
	got := map[string]int{}
	failed := 0
	for res, err := range client.Map(t.Context(), c, slices.Values([]int{1, 2, 3, 4, 5, 6, 7}), o, work) {
		if err != nil {
			t.Fatal(err)
		}
		if res.Err != nil {
			failed++
			continue
		}
		got[res.Key] = res.Value
	}
	if len(got) != 6 || got["0"] != 2 || got["6"] != 14 || failed != 1 {
		t.Errorf("results %v, %d failed", got, failed)
	}
	if last != (client.MapProgress{Done: 7, Failed: 1}) || most.Load() > 3 {
		t.Errorf("progress %+v, %d at a time", last, most.Load())
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
}

// TestMapResumes: what is in the journal, even in one that a crash cut, is not done
// again; what failed is.
func TestMapResumes(t *testing.T) {
	c, _ := serve(t)
	o := fakes()
	o.Journal = filepath.Join(t.TempDir(), "journal")
	o.Key = func(_, n int) string { return fmt.Sprint("item ", n) }
	var runs atomic.Int64
	work := func(ctx context.Context, sb *client.Sandbox, n int) (int, error) {
		runs.Add(1)
		if n == 3 && runs.Load() < 10 {
			return 0, errors.New("not yet")
		}
		return double(ctx, sb, n)
	}
	all := func(items ...int) (sum, fromJournal int) {
		for res, err := range client.Map(t.Context(), c, slices.Values(items), o, work) {
			if err != nil {
				t.Fatal(err)
			}
			sum += res.Value
			if res.Err == nil && res.Attempts == 0 {
				fromJournal++
			}
		}
		return sum, fromJournal
	}
	if sum, _ := all(1, 2, 3); sum != 6 {
		t.Errorf("first: %d", sum)
	}
	f, err := os.OpenFile(o.Journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"key":"item 4","value":10`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	runs.Store(10)
	if sum, old := all(4, 3, 2, 1); sum != 20 || old != 2 || runs.Load() != 12 {
		t.Errorf("second: %d, %d of the journal, %d runs", sum, old, runs.Load()-10)
	}
	if sum, old := all(1, 2, 3, 4); sum != 20 || old != 4 {
		t.Errorf("third: %d, %d of the journal", sum, old)
	}
	// What the SDK for Python leaves.
	lines := `{"key":"item 1","ok":false,"value":null,"error":"no","attempts":1}` + "\n" + `{"key":"item 2","ok":true,"value":70,"error":"","attempts":1}` + "\n"
	if err := os.WriteFile(o.Journal, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if sum, old := all(1, 2); sum != 72 || old != 1 {
		t.Errorf("another SDK's: %d, %d of the journal", sum, old)
	}
}

// TestMapRetriesWhatBrigFailed: another sandbox for Brig's failures, none for the
// work's own.
func TestMapRetriesWhatBrigFailed(t *testing.T) {
	c, _ := serve(t)
	var runs atomic.Int64
	work := func(_ context.Context, _ *client.Sandbox, n int) (int, error) {
		if runs.Add(1); n == 1 {
			return 0, api.Errorf(api.CodeUnavailable, "cannot reach it")
		}
		return 0, api.Errorf(api.CodeInvalid, "it makes no sense")
	}
	for item, want := range map[int]int64{1: 2, 2: 1} {
		runs.Store(0)
		for res, err := range client.Map(t.Context(), c, slices.Values([]int{item}), fakes(), work) {
			if err != nil || res.Err == nil || int64(res.Attempts) != want {
				t.Errorf("item %d: %+v, %v", item, res, err)
			}
		}
		if runs.Load() != want {
			t.Errorf("item %d ran %d times, want %d", item, runs.Load(), want)
		}
	}
}

// TestMapEnds: who stops reading leaves nothing behind, of endless items too.
func TestMapEnds(t *testing.T) {
	c, r := serve(t)
	endless := func(yield func(int) bool) {
		for n := 0; yield(n % 100); n++ {
		}
	}
	seen := 0
	for range client.Map(t.Context(), c, endless, fakes(), double) {
		if seen++; seen == 5 {
			break
		}
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, last = range client.Map(ctx, c, endless, fakes(), double) {
		cancel()
	}
	if api.CodeOf(last) != api.CodeCancelled {
		t.Errorf("cancelled: %v", last)
	}
	o := fakes()
	o.Journal = t.TempDir() // a directory
	for _, err := range client.Map(t.Context(), c, endless, o, double) {
		if api.CodeOf(err) != api.CodeUnavailable {
			t.Errorf("no journal: %v", err)
		}
	}
}

func TestProvider(t *testing.T) {
	c, r := serve(t)
	var p client.Provider = client.NewProvider(c, api.CreateRequest{Template: "fake"})
	if err := p.Cleanup(t.Context()); err != nil {
		t.Errorf("cleanup of nothing: %v", err)
	}
	if err := p.UploadFile(t.Context(), "a/b", []byte("x\x00y")); err != nil {
		t.Fatal(err)
	}
	if b, err := p.DownloadFile(t.Context(), "/work/a/b"); err != nil || string(b) != "x\x00y" {
		t.Errorf("%q, %v", b, err)
	}
	if res, err := p.Execute(t.Context(), "echo x\nexit 4", 0); err != nil || res.Stdout != "x\n" || res.ExitCode != 4 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := p.Execute(t.Context(), "hang", 20*time.Millisecond); err != nil || !res.TimedOut || res.ExitCode != 124 {
		t.Errorf("%+v, %v", res, err)
	}
	for range 2 {
		if err := p.Cleanup(t.Context()); err != nil {
			t.Errorf("cleanup: %v", err)
		}
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
}
