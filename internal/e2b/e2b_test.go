package e2b_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
	"github.com/brigdev/brig/internal/e2b"
)

// rig serves E2B's API over the fake host as httpapi does: the owner is the key.
type rig struct {
	*controltest.Rig
	t   *testing.T
	e2b *e2b.Server
	url string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: controltest.New(t), t: t}
	r.e2b = e2b.New(e2b.Config{Sandboxes: r.Service, Internet: true})
	t.Cleanup(func() { r.e2b.Close() })
	mux := http.NewServeMux()
	for _, row := range e2b.Routes() {
		mux.HandleFunc(row.Pattern, func(w http.ResponseWriter, req *http.Request) {
			err := row.Serve(r.e2b, w, req, req.Header.Get("X-API-Key"))
			if err != nil {
				e2b.Fail(w, statusOf(err), string(api.CodeOf(err)), err.Error(), api.FixOf(err))
			}
		})
	}
	mux.HandleFunc("/files", r.e2b.SignedFile)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sb, err := r.Lookup(req.Header.Get("E2b-Sandbox-Id"))
		switch port := req.Header.Get("E2b-Sandbox-Port"); {
		case port == "":
			mux.ServeHTTP(w, req)
		case err != nil:
			e2b.Unreachable(w, req.Header.Get("E2b-Sandbox-Id"), 0, "The sandbox was not found", "")
		case port == "49983":
			r.e2b.Envd(w, req, sb)
		default:
			if err := r.e2b.Interpreter(w, req, sb); err != nil {
				e2b.Fail(w, statusOf(err), string(api.CodeOf(err)), err.Error(), api.FixOf(err))
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func statusOf(err error) int {
	return map[api.Code]int{
		api.CodeInvalid: 400, api.CodeNotFound: 404, api.CodeConflict: 409, api.CodeExhausted: 429, api.CodeUnsupported: 501, api.CodeUnavailable: 503,
	}[api.CodeOf(err)]
}

// reply is what a request got.
type reply struct {
	status int
	header http.Header
	body   string
}

// as decodes a reply's JSON.
func as[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v in status %d, %q", err, r.status, r.body)
	}
	return v
}

// do sends a request of ann's; headers are names and values.
func (r *rig) do(method, path, body string, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "ann")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// want is do, and fails the test when the status is another one.
func (r *rig) want(status int, method, path, body string, headers ...string) reply {
	r.t.Helper()
	got := r.do(method, path, body, headers...)
	if got.status != status {
		r.t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, got.status, status, got.body)
	}
	return got
}

// sandbox is what a client knows of one.
type sandbox struct {
	SandboxID          string `json:"sandboxID"`
	TemplateID         string `json:"templateID"`
	Alias              string `json:"alias"`
	EnvdVersion        string `json:"envdVersion"`
	EnvdAccessToken    string `json:"envdAccessToken"`
	TrafficAccessToken string `json:"trafficAccessToken"`
}

func (r *rig) create(fields string) sandbox {
	r.t.Helper()
	return as[sandbox](r.t, r.want(http.StatusCreated, "POST", "/v2/sandboxes", `{"templateID":"fake"`+fields+`}`))
}

// failure is the shape of every error.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (r *rig) wantFailure(status int, method, path, body, says string) {
	r.t.Helper()
	got := r.want(status, method, path, body)
	if f := as[failure](r.t, got); f.Code != status || !strings.Contains(f.Message, says) {
		r.t.Errorf("%s %s %s: %s, want code %d and %q", method, path, body, got.body, status, says)
	}
}
