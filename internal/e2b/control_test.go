package e2b_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/e2b"
)

type detail struct {
	sandbox
	State     string            `json:"state"`
	StartedAt time.Time         `json:"startedAt"`
	EndAt     time.Time         `json:"endAt"`
	CPUCount  int               `json:"cpuCount"`
	MemoryMB  int               `json:"memoryMB"`
	Metadata  map[string]string `json:"metadata"`
	Lifecycle struct {
		OnTimeout  string `json:"onTimeout"`
		AutoResume bool   `json:"autoResume"`
	} `json:"lifecycle"`
	Network struct {
		AllowOut           []string `json:"allowOut"`
		AllowPublicTraffic *bool    `json:"allowPublicTraffic"`
	} `json:"network"`
}

func (r *rig) detail(id string) detail {
	r.t.Helper()
	return as[detail](r.t, r.want(http.StatusOK, "GET", "/sandboxes/"+id, ""))
}

// left is how long a sandbox may live, in seconds.
func (r *rig) left(id string) float64 { return time.Until(r.detail(id).EndAt).Seconds() }

func near(got, want float64) bool { return got > want-30 && got <= want }

func TestCreate(t *testing.T) {
	r := newRig(t)
	sb := r.create(`,"timeout":600,"metadata":{"k":"v"},"envVars":{"A":"b"},"unknown":{"x":1}`)
	if sb.SandboxID == "" || sb.EnvdVersion < "0.5.7" || len(sb.EnvdAccessToken) < 20 || len(sb.TrafficAccessToken) < 20 || sb.EnvdAccessToken == sb.TrafficAccessToken {
		t.Errorf("created %+v", sb)
	}
	d := r.detail(sb.SandboxID)
	if d.State != "running" || d.Metadata["k"] != "v" || !near(r.left(sb.SandboxID), 600) || d.CPUCount < 1 || d.MemoryMB < 1 || d.Lifecycle.OnTimeout != "kill" {
		t.Errorf("described as %+v", d)
	}
	if other := r.create(""); other.EnvdAccessToken == sb.EnvdAccessToken || !near(r.left(other.SandboxID), 300) {
		t.Errorf("the next one: %+v", other)
	}
	v1 := as[sandbox](t, r.want(http.StatusCreated, "POST", "/sandboxes", `{"templateID":"fake","secure":false}`))
	if v1.EnvdAccessToken != "" || !near(r.left(v1.SandboxID), 15) {
		t.Errorf("by the older route: %+v", v1)
	}
}

// TestRefused: what is wrong is a 400, what is not served a 501, and both say what.
func TestRefused(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		fields string
		status int
		says   string
	}{
		{`"timeout":9`, 400, "names no template"},
		{`"templateID":"nothing"`, 404, "nothing"},
		{`"templateID":"fake","timeout":-1`, 400, "range"},
		{`"templateID":"fake","timeout":604801`, 400, "range"},
		{`"templateID":"fake","timeout":"long"`, 400, "timeout"},
		{`"templateID":"fake","metadata":{"a":1}`, 400, "metadata"},
		{`"templateID":"fake","mcp":{"github":{}}`, 501, "not part"},
		{`"templateID":"fake","volumeMounts":[{"name":"a","path":"/a"}]`, 501, "volume"},
		{`"templateID":"fake","iam":{"tokens":{}}`, 501, "identity"},
		{`"templateID":"fake","autoPauseMemory":false`, 501, "without memory"},
		{`"templateID":"fake","network":{"rules":{"a.example":[{"transform":{"headers":{}}}]}}`, 501, "rule"},
		{`"templateID":"fake","network":{"egressProxy":{"address":"a:1"}}`, 501, "proxy"},
		{`"templateID":"fake","network":{"maskRequestHost":"a"}`, 501, "maskRequestHost"},
		{`"templateID":"fake","network":{"allowOut":["a.example"]}`, 400, "everything else"},
		{`"templateID":"fake","network":{"denyOut":["a.example"]}`, 400, "no address"},
		{`"templateID":"fake","network":{"allowOut":["10.1.2.3"]}`, 400, "private"},
	} {
		r.wantFailure(tt.status, "POST", "/v2/sandboxes", "{"+tt.fields+"}", tt.says)
	}
	r.wantFailure(400, "POST", "/v2/sandboxes", "{", "JSON")
	r.wantFailure(400, "POST", "/v2/sandboxes", `{"templateID":"`+strings.Repeat("x", 2<<20)+`"}`, "larger")
	for _, route := range []string{"GET /volumes", "POST /secrets", "GET /teams", "POST /v3/templates", "POST /v2/templates/x/builds/y", "GET /templates/x/tags"} {
		method, path, _ := strings.Cut(route, " ")
		r.wantFailure(http.StatusNotImplemented, method, path, "", "not part")
	}
	if n := r.Living(); n != 0 {
		t.Errorf("%d sandboxes were made", n)
	}
}

// TestOwners: another caller's sandbox does not exist, on any route.
func TestOwners(t *testing.T) {
	r := newRig(t)
	id := r.create("").SandboxID
	for _, row := range e2b.Routes() {
		method, path, ok := strings.Cut(row.Pattern, " ")
		if !ok || !strings.Contains(path, "{id}") {
			continue
		}
		got := r.do(method, strings.Replace(path, "{id}", id, 1), `{"timeout":60}`, "X-API-Key", "bob")
		if got.status != http.StatusNotFound {
			t.Errorf("%s: status %d for another owner: %s", row.Pattern, got.status, got.body)
		}
	}
	if got := r.want(http.StatusOK, "GET", "/sandboxes/metrics?sandbox_ids="+id, "", "X-API-Key", "bob"); strings.Contains(got.body, id) {
		t.Errorf("metrics for another owner: %s", got.body)
	}
	if r.detail(id).State != "running" {
		t.Error("somebody else changed it")
	}
}

func TestTimeoutsAndConnect(t *testing.T) {
	r := newRig(t)
	sb := r.create(`,"timeout":600`)
	path := "/sandboxes/" + sb.SandboxID
	again := as[sandbox](t, r.want(http.StatusOK, "POST", "/v2"+path+"/connect", `{"timeout":60}`))
	if again.EnvdAccessToken != sb.EnvdAccessToken || !near(r.left(sb.SandboxID), 600) {
		t.Errorf("connect made the time shorter, or has other tokens: %v s, %+v", r.left(sb.SandboxID), again)
	}
	r.want(http.StatusOK, "POST", path+"/connect", `{"timeout":1200}`)
	if !near(r.left(sb.SandboxID), 1200) {
		t.Errorf("connect did not make the time longer: %v s", r.left(sb.SandboxID))
	}
	r.want(http.StatusNoContent, "POST", path+"/timeout", `{"timeout":120}`)
	if !near(r.left(sb.SandboxID), 120) {
		t.Errorf("the timeout did not make the time shorter: %v s", r.left(sb.SandboxID))
	}
	r.want(http.StatusNoContent, "POST", path+"/refreshes", `{"duration":240}`)
	if !near(r.left(sb.SandboxID), 240) {
		t.Errorf("a refresh did not make the time longer: %v s", r.left(sb.SandboxID))
	}
	r.wantFailure(400, "POST", path+"/timeout", `{}`, "has none")
	r.wantFailure(501, "POST", path+"/connect", `{"memory":false}`, "reboot")
	r.want(http.StatusNoContent, "POST", path+"/timeout", `{"timeout":0}`)
	controltest.Eventually(t, "the end of a sandbox whose time is 0", func() bool { return r.do("GET", path, "").status == http.StatusNotFound })
	r.wantFailure(404, "DELETE", path, "", "has ended")
	r.wantFailure(404, "POST", "/v2"+path+"/connect", "", "has ended")
}

func TestKill(t *testing.T) {
	r := newRig(t)
	path := "/sandboxes/" + r.create("").SandboxID
	r.want(http.StatusNoContent, "DELETE", path, "")
	r.wantFailure(404, "DELETE", path, "", "has ended")
	r.wantFailure(404, "DELETE", "/sandboxes/nothing", "", "none")
	if r.Boxes() != 0 {
		t.Error("its box is left")
	}
}

// TestList: pages, filters, states; metadata is escaped twice.
func TestList(t *testing.T) {
	r := newRig(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, r.create(`,"metadata":{"n":"`+strconv.Itoa(i)+`","all":"a&b=c d"}`).SandboxID)
	}
	list := func(query string) (got []string, h http.Header) {
		reply := r.want(http.StatusOK, "GET", "/v2/sandboxes?"+query, "")
		for _, sb := range as[[]detail](t, reply) {
			got = append(got, sb.SandboxID)
		}
		return got, reply.header
	}
	first, h := list("limit=2")
	second, h2 := list("limit=2&nextToken=" + url.QueryEscape(h.Get("X-Next-Token")))
	r.create("") // is not on a later page
	third, h3 := list("limit=2&nextToken=" + url.QueryEscape(h2.Get("X-Next-Token")))
	if got := strings.Join(append(append(first, second...), third...), " "); got != ids[4]+" "+ids[3]+" "+ids[2]+" "+ids[1]+" "+ids[0] || h3.Get("X-Next-Token") != "" {
		t.Errorf("the pages have %s; made were %v", got, ids)
	}
	if h.Get("X-Total-Running") != "5" {
		t.Errorf("X-Total-Running is %q", h.Get("X-Total-Running"))
	}
	if got, _ := list("order=asc&limit=1"); len(got) != 1 || got[0] != ids[0] {
		t.Errorf("the oldest is %v", got)
	}
	twice := url.Values{url.PathEscape("all"): {url.PathEscape("a&b=c d")}, "n": {"3"}}.Encode()
	if got, _ := list("metadata=" + url.QueryEscape(twice)); len(got) != 1 || got[0] != ids[3] {
		t.Errorf("by metadata: %v, want %s", got, ids[3])
	}
	r.want(http.StatusNoContent, "POST", "/sandboxes/"+ids[1]+"/pause", "")
	if got, _ := list("state=paused"); len(got) != 1 || got[0] != ids[1] {
		t.Errorf("paused are %v", got)
	}
	if got, _ := list("state=paused,running&template=fake"); len(got) != 6 {
		t.Errorf("%d are paused or running", len(got))
	}
	if got := as[[]detail](t, r.want(http.StatusOK, "GET", "/sandboxes", "")); len(got) != 5 {
		t.Errorf("the older route lists %d", len(got))
	}
	for _, bad := range []string{"state=dead", "limit=0", "limit=101", "nextToken=x", "startedAfter=yesterday"} {
		r.wantFailure(400, "GET", "/v2/sandboxes?"+bad, "", "cannot")
	}
}

// TestPause: a paused sandbox does not use its time up, its own connect alone wakes
// it, and it has all that it had.
func TestPause(t *testing.T) {
	r := newRig(t)
	sb := r.create(`,"timeout":60`)
	path := "/sandboxes/" + sb.SandboxID
	r.want(http.StatusNoContent, "POST", path+"/pause", `{}`)
	r.wantFailure(409, "POST", path+"/pause", "", "paused")
	r.wantFailure(409, "POST", path+"/timeout", `{"timeout":5}`, "paused")
	if d := r.detail(sb.SandboxID); d.State != "paused" || r.left(sb.SandboxID) < 24*3600 {
		t.Errorf("paused, it is %+v", d)
	}
	route := []string{"E2b-Sandbox-Id", sb.SandboxID, "E2b-Sandbox-Port", "49983", "X-Access-Token", sb.EnvdAccessToken}
	if got := r.want(http.StatusBadGateway, "GET", "/health", "", route...); !strings.Contains(got.body, "paused") {
		t.Errorf("health of a paused one: %s", got.body)
	}
	again := as[sandbox](t, r.want(http.StatusCreated, "POST", "/v2"+path+"/connect", `{"timeout":90}`))
	if again.EnvdAccessToken != sb.EnvdAccessToken || r.detail(sb.SandboxID).State != "running" || !near(r.left(sb.SandboxID), 90) {
		t.Errorf("resumed, it is %+v with %v s", again, r.left(sb.SandboxID))
	}
	r.want(http.StatusNoContent, "GET", "/health", "", route...)
	r.wantFailure(501, "POST", path+"/pause", `{"memory":false}`, "without memory")
}

// TestAutoPause: at its end such a sandbox pauses, and traffic wakes it if its maker
// said so.
func TestAutoPause(t *testing.T) {
	r := newRig(t)
	for fields, wakes := range map[string]bool{`"autoPause":true`: false, `"autoPause":true,"autoResume":{"enabled":true}`: true} {
		sb := r.create(`,"timeout":0.3,` + fields)
		if d := r.detail(sb.SandboxID); d.Lifecycle.OnTimeout != "pause" || d.Lifecycle.AutoResume != wakes {
			t.Errorf("its lifecycle is %+v", d.Lifecycle)
		}
		controltest.Eventually(t, "a pause at the end", func() bool { return r.detail(sb.SandboxID).State == "paused" })
		route := []string{"E2b-Sandbox-Id", sb.SandboxID, "E2b-Sandbox-Port", "49983"}
		r.want(http.StatusBadGateway, "GET", "/health", "", route...) // whose caller nobody knows
		r.want(http.StatusUnauthorized, "GET", "/envs", "", route...)
		status := r.do("GET", "/health", "", append(route, "X-Access-Token", sb.EnvdAccessToken)...).status
		if (status == http.StatusNoContent) != wakes {
			t.Errorf("%s: status %d for traffic", fields, status)
		}
		r.want(http.StatusNoContent, "DELETE", "/sandboxes/"+sb.SandboxID, "")
	}
}

func TestSnapshotsAndForks(t *testing.T) {
	r := newRig(t)
	sb := r.create(`,"metadata":{"k":"v"},"network":{"allowPublicTraffic":false}`)
	type snapshot struct {
		SnapshotID string   `json:"snapshotID"`
		Names      []string `json:"names"`
	}
	path := "/sandboxes/" + sb.SandboxID
	snap := as[snapshot](t, r.want(http.StatusCreated, "POST", path+"/snapshots", `{"name":"kept"}`))
	if snap.SnapshotID == "" || len(snap.Names) != 1 || snap.Names[0] != "kept" {
		t.Errorf("the snapshot is %+v", snap)
	}
	if got := as[[]snapshot](t, r.want(http.StatusOK, "GET", "/snapshots?sandboxID="+sb.SandboxID+"&name=kept", "")); len(got) != 1 || got[0].SnapshotID != snap.SnapshotID {
		t.Errorf("listed: %+v", got)
	}
	copied := as[sandbox](t, r.want(http.StatusCreated, "POST", "/v2/sandboxes", `{"templateID":"`+snap.SnapshotID+`"}`))
	if copied.SandboxID == sb.SandboxID || copied.EnvdAccessToken == sb.EnvdAccessToken {
		t.Errorf("from the snapshot: %+v", copied)
	}
	r.want(http.StatusNoContent, "DELETE", "/templates/"+snap.SnapshotID, "")
	r.wantFailure(404, "DELETE", "/templates/"+snap.SnapshotID, "", "none")

	children := as[[]struct {
		Sandbox *sandbox `json:"sandbox"`
		Error   *failure `json:"error"`
	}](t, r.want(http.StatusCreated, "POST", path+"/fork", `{"count":2,"timeout":120}`))
	if len(children) != 2 {
		t.Fatalf("%d children", len(children))
	}
	for _, c := range children {
		if c.Sandbox == nil || c.Sandbox.EnvdAccessToken == sb.EnvdAccessToken || !near(r.left(c.Sandbox.SandboxID), 120) {
			t.Fatalf("a child: %+v", c)
		}
		if d := r.detail(c.Sandbox.SandboxID); d.Metadata["k"] != "v" || d.Network.AllowPublicTraffic == nil || *d.Network.AllowPublicTraffic {
			t.Errorf("a child is %+v", d)
		}
	}
	r.wantFailure(400, "POST", path+"/fork", `{"count":0}`, "too few")
	r.wantFailure(400, "POST", path+"/fork", `{"count":101}`, "range")
	r.wantFailure(404, "POST", "/sandboxes/nothing/fork", ``, "none")
}

func TestMetricsAndLogs(t *testing.T) {
	r := newRig(t)
	id := r.create("").SandboxID
	points := as[[]map[string]any](t, r.want(http.StatusOK, "GET", "/sandboxes/"+id+"/metrics", ""))
	if len(points) != 1 || points[0]["memTotal"].(float64) <= 0 || points[0]["cpuCount"].(float64) < 1 {
		t.Errorf("points: %v", points)
	}
	if old := as[[]any](t, r.want(http.StatusOK, "GET", "/sandboxes/"+id+"/metrics?end=5", "")); len(old) != 0 {
		t.Errorf("points of long ago: %v", old)
	}
	logs := as[struct {
		Logs []struct {
			Timestamp time.Time `json:"timestamp"`
			Line      string    `json:"line"`
		} `json:"logs"`
	}](t, r.want(http.StatusOK, "GET", "/sandboxes/"+id+"/logs", ""))
	if len(logs.Logs) == 0 || !strings.Contains(logs.Logs[0].Line, "created") || logs.Logs[0].Timestamp.IsZero() {
		t.Errorf("logs: %+v", logs)
	}
}

// TestNotes: what E2B's API keeps with a sandbox is in no other list, and outlives
// the server.
func TestNotes(t *testing.T) {
	r := newRig(t)
	sb := r.create("")
	for _, info := range r.List("ann", true) {
		if b, err := json.Marshal(info); err != nil || strings.Contains(string(b), sb.EnvdAccessToken) {
			t.Errorf("the list tells a token: %s, %v", b, err)
		}
	}
	ours, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
	if err != nil {
		t.Fatal(err)
	}
	route := []string{"E2b-Sandbox-Id", ours.ID(), "E2b-Sandbox-Port", "49983"}
	r.want(http.StatusUnauthorized, "GET", "/envs", "", route...)
	r.want(http.StatusUnauthorized, "POST", "/process.Process/List", "{}", route...)
	known := as[sandbox](t, r.want(http.StatusOK, "POST", "/v2/sandboxes/"+ours.ID()+"/connect", ""))
	r.want(http.StatusUnauthorized, "GET", "/envs", "", route...)
	r.want(http.StatusOK, "GET", "/envs", "", append(route, "X-Access-Token", known.EnvdAccessToken)...)
}
