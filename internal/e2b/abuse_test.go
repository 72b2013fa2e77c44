package e2b_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/e2b"
)

// TestAbuse: whatever a request is, its answer is truthful: no failure of the
// server's own, and an error whose code is its status.
func TestAbuse(t *testing.T) {
	r := newRig(t)
	bodies := []string{
		``, `null`, `[]`, `"x"`, `1`, `{`, `{"timeout":null}`, `{"timeout":1e308}`, `{"timeout":-0.1}`, `{"timeout":{}}`, `{"duration":1e999}`,
		`{"count":1000000000}`, `{"count":-1}`, `{"name":"\u0000"}`, `{"name":"` + strings.Repeat("x", 500) + `"}`, `{"name":"../.."}`,
		strings.Repeat("[", 100_000), `{"a":` + strings.Repeat(`{"a":`, 20_000), "{\"name\":\"\xff\xfe\"}",
		`{"templateID":"../../etc","timeout":1}`, `{"templateID":"\u0000"}`, `{"templateID":"fake","metadata":{"` + strings.Repeat("k", 5000) + `":""}}`,
		`{"templateID":"fake","envVars":{"A=B":"c"}}`, `{"templateID":"fake","envVars":{"A":"\u0000"}}`,
		`{"templateID":"fake","network":{"allowOut":["\u0000","*","*.com"],"denyOut":["0.0.0.0/0"]}}`,
		`{"allowOut":["169.254.169.254"],"denyOut":["0.0.0.0/0"]}`, `{"denyOut":["0.0.0.0/0","x"]}`,
		`{"language":"\u0000","cwd":"/\u0000"}`, `{"cwd":"relative"}`, `{"code":"get x","context_id":"../x"}`, `{"memory":"no"}`,
	}
	queries := []string{"limit=-1", "limit=1e3", "nextToken=%00", "nextToken=" + strings.Repeat("A", 9000), "metadata=%25zz%26", "metadata=%", "sandbox_ids=" + strings.Repeat("x,", 200), "start=-1&end=x", "state=,", "order=%00"}
	check := func(what string, got reply) {
		if got.status < 300 || got.status == http.StatusNotFound && !strings.HasPrefix(got.body, "{") {
			return // it made sense after all, or never came to us
		}
		if f := as[failure](t, got); f.Code != got.status || f.Message == "" || got.status >= 500 && got.status != http.StatusNotImplemented {
			t.Errorf("%.200s: status %d: %.300s", what, got.status, got.body)
		}
	}
	sb := r.create(`,"timeout":600`)
	for _, row := range e2b.Routes() {
		method, path, ok := strings.Cut(row.Pattern, " ")
		if !ok || method == "DELETE" || strings.HasSuffix(path, "/pause") {
			continue // it would end, or sleep
		}
		path = strings.NewReplacer("{id}", sb.SandboxID, "{name}", "x", "{rest...}", "r").Replace(path)
		for _, query := range queries {
			check(row.Pattern+"?"+query, r.do(method, path+"?"+query, ""))
		}
		if method == "GET" {
			continue
		}
		for _, body := range bodies {
			if strings.HasSuffix(path, "/timeout") && strings.Contains(body, `"timeout":1}`) {
				continue // it would end
			}
			check(row.Pattern+" "+body, r.do(method, path, body))
		}
	}
	for _, body := range bodies {
		for _, path := range []string{"/execute", "/contexts", "/contexts/..%2f..", "/contexts/x/restart", "/nothing"} {
			check(path+" "+body, r.do("POST", path, body, cells(sb, "X-Access-Token", sb.EnvdAccessToken)...))
		}
	}
	for _, id := range []string{"%00", "..%2f..%2fx", strings.Repeat("x", 5000), "%ff"} {
		check(id, r.do("GET", "/sandboxes/"+id, ""))
		check(id, r.do("DELETE", "/templates/"+id, ""))
	}
}
