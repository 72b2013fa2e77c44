package e2b_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/control/controltest"
)

// cells is how a client reaches a sandbox's interpreter; headers follow.
func cells(sb sandbox, headers ...string) []string {
	return append([]string{"E2b-Sandbox-Id", sb.SandboxID, "E2b-Sandbox-Port", "49999"}, headers...)
}

// events runs a cell and gives what it said by type, the last of each.
func (r *rig) events(sb sandbox, body string) map[string]map[string]any {
	r.t.Helper()
	got := r.want(http.StatusOK, "POST", "/execute", body, cells(sb, "X-Access-Token", sb.EnvdAccessToken)...)
	out := map[string]map[string]any{}
	for line := range strings.Lines(got.body) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			r.t.Fatalf("%v in the line %q", err, line)
		}
		if strings.ContainsFunc(line, func(c rune) bool { return c > 0x7e }) {
			r.t.Errorf("not ASCII: %q", line)
		}
		out[e["type"].(string)] = e
	}
	if out["end_of_execution"] == nil {
		r.t.Errorf("%s has no end: %s", body, got.body)
	}
	return out
}

func TestExecute(t *testing.T) {
	r := newRig(t)
	sb := r.create("")
	e := r.events(sb, `{"code":"set x 'grün€😀'","context_id":null,"language":null,"env_vars":null}`)
	if e["stdout"]["text"] != "kept\n" || e["stdout"]["timestamp"] == nil || e["number_of_executions"]["execution_count"] != 1.0 {
		t.Errorf("set: %v", e)
	}
	e = r.events(sb, `{"code":"get x","language":"python"}`)
	if e["result"]["text"] != "grün€😀" || e["result"]["is_main_result"] != true || e["number_of_executions"]["execution_count"] != 2.0 {
		t.Errorf("get: %v", e)
	}
	if e = r.events(sb, `{"code":"get x","language":"javascript"}`); e["result"]["text"] != "" {
		t.Errorf("another language's: %v", e)
	}
	if e = r.events(sb, `{"code":"get x","context_id":"default-python"}`); e["result"]["text"] != "grün€😀" {
		t.Errorf("by the default context's id: %v", e)
	}
	if e = r.events(sb, `{"code":"raise"}`); e["error"]["name"] != "ValueError" || e["error"]["traceback"] == "" {
		t.Errorf("raise: %v", e)
	}
	for body, status := range map[string]int{
		`{"code":"get x","context_id":"a","language":"python"}`: 400, `{"code":"get x","context_id":"a"}`: 404,
		`{"code":"get x","language":"bash"}`: 501, `{"code":"get x","language":"cobol"}`: 400, `{"code":1}`: 400,
		`{"code":"get x","env_vars":{"a=b":"c"}}`: 400,
	} {
		got := r.want(status, "POST", "/execute", body, cells(sb, "X-Access-Token", sb.EnvdAccessToken)...)
		if f := as[failure](t, got); f.Code != status || f.Message == "" {
			t.Errorf("%s: %s", body, got.body)
		}
	}
}

func TestContexts(t *testing.T) {
	r := newRig(t)
	sb := r.create("")
	type kernel struct{ ID, Language, Cwd string }
	traffic := cells(sb, "E2b-Traffic-Access-Token", sb.TrafficAccessToken)
	list := as[[]kernel](t, r.want(http.StatusOK, "GET", "/contexts", "", traffic...))
	if len(list) != 2 || list[0] != (kernel{"default-python", "python", "/home/user"}) || list[1].Language != "javascript" {
		t.Errorf("at the start: %v", list)
	}
	r.want(http.StatusNoContent, "POST", "/contexts/default-python/restart", "", traffic...)
	mine := as[kernel](t, r.want(http.StatusOK, "POST", "/contexts", `{"language":"python","cwd":"/work"}`, traffic...))
	if mine.ID == "" || mine.Cwd != "/work" {
		t.Errorf("made: %v", mine)
	}
	r.events(sb, `{"code":"set x 1","context_id":"`+mine.ID+`"}`)
	if e := r.events(sb, `{"code":"get x","context_id":"default-python"}`); e["result"]["text"] != "" {
		t.Errorf("contexts share: %v", e)
	}
	if e := r.events(sb, `{"code":"get x","context_id":"`+mine.ID+`"}`); e["result"]["text"] != "1" {
		t.Errorf("a context forgets: %v", e)
	}
	r.want(http.StatusNoContent, "POST", "/contexts/"+mine.ID+"/restart", "", traffic...)
	if e := r.events(sb, `{"code":"get x","context_id":"`+mine.ID+`"}`); e["result"]["text"] != "" {
		t.Errorf("after a restart: %v", e)
	}
	r.want(http.StatusNoContent, "DELETE", "/contexts/"+mine.ID, "", traffic...)
	r.want(http.StatusNotFound, "DELETE", "/contexts/"+mine.ID, "", traffic...)
	r.want(http.StatusBadRequest, "POST", "/contexts", `{"cwd":"/nowhere"}`, traffic...)
	r.want(http.StatusNotImplemented, "POST", "/contexts", `{"language":"r"}`, traffic...)
}

// TestCellsAreLocked: code is run for the sandbox's token alone, contexts are for
// the traffic token too, and neither for nothing or another sandbox's.
func TestCellsAreLocked(t *testing.T) {
	r := newRig(t)
	sb, other := r.create(""), r.create("")
	for _, headers := range [][]string{nil, {"X-Access-Token", other.EnvdAccessToken}, {"E2b-Traffic-Access-Token", other.TrafficAccessToken}, {"X-Access-Token", ""}} {
		r.want(http.StatusUnauthorized, "POST", "/execute", `{"code":"get x"}`, cells(sb, headers...)...)
		r.want(http.StatusUnauthorized, "GET", "/contexts", "", cells(sb, headers...)...)
	}
	r.want(http.StatusUnauthorized, "POST", "/execute", `{"code":"get x"}`, cells(sb, "E2b-Traffic-Access-Token", sb.TrafficAccessToken)...)
	r.want(http.StatusOK, "GET", "/health", "", cells(sb)...)
	open := r.create(`,"secure":false`)
	r.want(http.StatusOK, "POST", "/execute", `{"code":"get x"}`, cells(open)...)
	r.want(http.StatusOK, "GET", "/contexts", "", cells(open)...)
	gone := r.want(http.StatusBadGateway, "POST", "/execute", "", cells(sandbox{SandboxID: "nothing"})...)
	if !strings.Contains(gone.body, `"message":"The sandbox was not found"`) || !strings.Contains(gone.body, `"sandboxId":"nothing"`) {
		t.Errorf("an unknown one: %s", gone.body)
	}
}

// TestHangUp: who goes away ends the cell, and the context goes on.
func TestHangUp(t *testing.T) {
	r := newRig(t)
	sb := r.create("")
	r.events(sb, `{"code":"set x 1"}`)
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/execute", bytes.NewBufferString(`{"code":"hang"}`))
	if err != nil {
		t.Fatal(err)
	}
	for h := cells(sb, "X-Access-Token", sb.EnvdAccessToken); len(h) > 0; h = h[2:] {
		req.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, "hangs") {
		t.Errorf("it says %q, %v", line, err)
	}
	hangUp()
	resp.Body.Close()
	controltest.Eventually(t, "the end of the cell", func() bool { return len(r.events(sb, `{"code":"get x"}`)) > 0 })
	if e := r.events(sb, `{"code":"get x"}`); e["result"]["text"] != "1" {
		t.Errorf("afterwards: %v", e)
	}
}
