package control_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/snapshot"
)

var snapshotFilter snapshot.Filter // all

func TestRestart(t *testing.T) {
	r := controltest.New(t)
	gone, asleep := create(t, r), create(t, r)
	put(t, asleep, "/work/a.txt", "kept")
	if err := asleep.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Boxes() != 1 {
		t.Errorf("%d boxes, want 1", r.Boxes())
	}
	r.Restart()
	sb, err := r.Find("ann", gone.ID())
	if err != nil {
		t.Fatal(err)
	}
	if i := sb.Info(); i.Status != api.StatusFailed || i.Ended == nil || i.Ended.Reason != "server restarted" {
		t.Errorf("the one that ended with its server: %+v", i)
	}
	if sb, err = r.Find("ann", asleep.ID()); err != nil {
		t.Fatal(err)
	}
	if i := sb.Info(); i.Status != api.StatusHibernated {
		t.Fatalf("the hibernated one: %+v", i)
	}
	if res := exec(t, sb, "sh", "-c", "cat a.txt"); res.Stdout != "kept" {
		t.Errorf("after waking: %+v", res)
	}
	if i := sb.Info(); i.ID != asleep.ID() || i.Status != api.StatusRunning {
		t.Errorf("after waking: %+v", i)
	}
	if list, err := r.Store.List(t.Context(), snapshotFilter); err != nil || len(list) != 0 {
		t.Errorf("its snapshot stays: %v, %v", list, err)
	}
}

// TestWakeOnce: whoever comes first wakes it, and all others use the same box.
func TestWakeOnce(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	put(t, sb, "/work/n", "x")
	if err := sb.Hibernate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := r.Snapshots(t.Context(), "ann", ""); err != nil || len(list) != 0 {
		t.Errorf("the sleep is listed as a snapshot: %v, %v", list, err)
	}
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			if res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"sh", "-c", "cat n"}}); err != nil || res.Stdout != "x" {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
	wait.Wait()
	if r.Boxes() != 1 {
		t.Errorf("%d boxes", r.Boxes())
	}
}

func TestSnapshots(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r, func(c *api.CreateRequest) {
		c.Env, c.Metadata = map[string]string{"A": "1", "B": "1"}, map[string]string{"k": "v"}
	})
	put(t, sb, "/work/a.txt", "then")
	m, err := sb.Snapshot(t.Context(), "first", 0)
	if err != nil {
		t.Fatal(err)
	}
	put(t, sb, "/work/a.txt", "later")
	child, err := r.Create(t.Context(), "ann", api.CreateRequest{FromSnapshot: "first", Env: map[string]string{"B": "2"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if res := exec(t, child, "sh", "-c", "cat a.txt"); res.Stdout != "then" {
		t.Errorf("the child has %q", res.Stdout)
	}
	if a, b := exec(t, child, "env", "A").Stdout, exec(t, child, "env", "B").Stdout; a != "1\n" || b != "2\n" {
		t.Errorf("environment A=%q B=%q", a, b)
	}
	if i := child.Info(); i.FromSnapshot != m.ID || i.Metadata["k"] != "v" || i.BootMode != "snapshot" || i.Template != "fake" {
		t.Errorf("the child is %+v", i)
	}
	if res := exec(t, sb, "sh", "-c", "cat a.txt"); res.Stdout != "later" {
		t.Errorf("the parent has %q", res.Stdout)
	}
	if err := r.RemoveSnapshot(t.Context(), "ann", m.ID); err != nil {
		t.Fatal(err)
	}
	_, err = r.Snapshot(t.Context(), "ann", m.ID)
	wantCode(t, "a removed snapshot", err, api.CodeNotFound)
	if res := exec(t, child, "true"); res.ExitCode != 0 {
		t.Errorf("the child afterwards: %+v", res)
	}
}

func TestForkAndPromote(t *testing.T) {
	r := controltest.New(t)
	parent := create(t, r, func(c *api.CreateRequest) {
		c.Metadata, c.Env, c.TTLSeconds, c.IdleTimeoutSeconds = map[string]string{"a": "1", "b": "1"}, map[string]string{"E": "e"}, 120, 60
	})
	put(t, parent, "/work/a.txt", "shared")
	res, err := parent.Fork(t.Context(), api.ForkRequest{Count: 5, Name: "kid", Metadata: map[string]string{"b": "2"}})
	if err != nil || len(res.Children) != 5 || len(res.Errors) != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	ids := map[string]bool{}
	for i, c := range res.Children {
		ids[c.ID] = true
		if c.Name != fmt.Sprintf("kid-%d", i+1) || c.Metadata["a"] != "1" || c.Metadata["b"] != "2" || c.TTLSeconds != 120 ||
			c.IdleTimeoutSeconds != 60 || c.ParentID != parent.ID() || c.ForkTreeID != res.TreeID || c.BootMode != "fork" || c.Limits != parent.Info().Limits {
			t.Errorf("child %+v", c)
		}
		sb, err := r.Find("ann", c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := exec(t, sb, "sh", "-c", "cat a.txt\nenv E").Stdout; got != "sharede\n" {
			t.Errorf("child has %q", got)
		}
	}
	if len(ids) != 5 || ids[parent.ID()] {
		t.Errorf("ids %v", ids)
	}
	promoted, err := r.Promote(t.Context(), "ann", res.Children[2].ID, "", false)
	if err != nil || len(promoted.Deleted) != 4 || promoted.Winner != res.Children[2].ID {
		t.Errorf("%+v, %v", promoted, err)
	}
	if r.Boxes() != 2 { // parent and winner
		t.Errorf("%d boxes are left", r.Boxes())
	}
	_, err = r.Promote(t.Context(), "ann", res.Children[2].ID, "", false)
	wantCode(t, "promoting twice", err, api.CodeConflict)
	if got := exec(t, parent, "sh", "-c", "cat a.txt").Stdout; got != "shared" {
		t.Errorf("the parent has %q", got)
	}
	_, err = parent.Fork(t.Context(), api.ForkRequest{Count: 65})
	wantCode(t, "too many", err, api.CodeInvalid)
}

func TestCode(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	cell := func(sb *control.Sandbox, req api.CodeRequest) api.CodeExecution {
		t.Helper()
		res, err := sb.RunCode(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	cell(sb, api.CodeRequest{Code: "set x 1"})
	if res := cell(sb, api.CodeRequest{Code: "get x", Language: "py"}); res.Results[0].Data["text/plain"] != "1" {
		t.Errorf("state is lost: %+v", res)
	}
	if res := cell(sb, api.CodeRequest{Code: "get x", Language: "js"}); res.Results[0].Data["text/plain"] != "" {
		t.Errorf("languages share state: %+v", res)
	}
	other, err := sb.OpenContext(t.Context(), "python", "")
	if err != nil || other.Default || other.Cwd != api.WorkDir {
		t.Fatalf("%+v, %v", other, err)
	}
	if res := cell(sb, api.CodeRequest{Code: "get x", Context: other.ID}); res.Results[0].Data["text/plain"] != "" {
		t.Errorf("contexts share state: %+v", res)
	}
	if res := cell(sb, api.CodeRequest{Code: "hang", TimeoutSeconds: 0.01}); !res.TimedOut {
		t.Errorf("%+v", res)
	}
	forked, err := sb.Fork(t.Context(), api.ForkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	child, err := r.Find("ann", forked.Children[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(child.Contexts()) != 3 {
		t.Errorf("the child's contexts: %+v", child.Contexts())
	}
	if res := cell(child, api.CodeRequest{Code: "get resumed"}); res.Results[0].Data["text/plain"] != "yes" || len(child.Contexts()) != 3 {
		t.Errorf("the child's default context is a new one: %+v", res)
	}
	if err := sb.RestartContext(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	if err := sb.CloseContext(t.Context(), other.ID); err != nil || len(sb.Contexts()) != 2 {
		t.Errorf("%v, %v", err, sb.Contexts())
	}
	wantCode(t, "closing it again", sb.CloseContext(t.Context(), other.ID), api.CodeNotFound)
	_, err = sb.RunCode(t.Context(), api.CodeRequest{Code: "get x", Language: "cobol"}, nil)
	wantCode(t, "a language that is none", err, api.CodeInvalid)
}

func TestProcesses(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	p, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"cat"}, Tag: "echo"}, true)
	if err != nil || !p.Running || p.Tag != "echo" {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := sb.WriteProcess(t.Context(), p.ID, strings.NewReader("hello "), false); err != nil {
		t.Fatal(err)
	}
	if err := sb.WriteProcess(t.Context(), p.ID, strings.NewReader("world"), true); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "writing after the end", sb.WriteProcess(t.Context(), p.ID, strings.NewReader("x"), false), api.CodeConflict)
	if p, err = sb.WaitProcess(t.Context(), p.ID); err != nil || p.Running || p.Result == nil || p.Result.ExitCode != 0 || p.OutputBytes != 11 {
		t.Fatalf("%+v, %v", p, err)
	}
	for offset, want := range map[int64]string{0: "hello world", 6: "world", 11: "", 99: ""} {
		var got strings.Builder
		err := sb.FollowProcess(t.Context(), p.ID, offset, true, func(c control.Chunk) error { got.Write(c.Data); return nil })
		if err != nil || got.String() != want {
			t.Errorf("from %d: %q, %v", offset, got.String(), err)
		}
	}
	flood, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"flood", "3MiB"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if flood, err = sb.WaitProcess(t.Context(), flood.ID); err != nil || flood.OutputBytes != 3<<20 || flood.OutputStart != 0 {
		t.Errorf("%+v, %v", flood, err)
	}
	if list := sb.Processes(); len(list) != 2 || list[0].ID != p.ID {
		t.Errorf("%+v", list)
	}
	hang, err := sb.StartProcess(t.Context(), api.ExecRequest{Argv: []string{"hang"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if hang, err = sb.WaitProcess(t.Context(), hang.ID); err != nil || hang.Running {
		t.Errorf("a process outlives its sandbox: %+v, %v", hang, err)
	}
}
