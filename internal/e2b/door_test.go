package e2b_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/e2b"
)

// TestEnvdIsLocked: envd wants the sandbox's own token, or for a file a signature
// that names the very operation, path and user, and is not too old.
func TestEnvdIsLocked(t *testing.T) {
	r := newRig(t)
	sb, other := r.create(""), r.create("")
	const path = "/home/user/a.txt"
	soon, past := strconv.FormatInt(time.Now().Unix()+60, 10), strconv.FormatInt(time.Now().Unix()-1, 10)
	sign := func(path, operation, user, token, expires string) string {
		return e2b.Signature(path, operation, user, token, expires)
	}
	for _, tt := range []struct {
		what             string
		method, path     string
		token, signature string
		user, expires    string
		admitted         bool
	}{
		{what: "no token", method: "GET", path: path},
		{what: "the token", method: "GET", path: path, token: sb.EnvdAccessToken, admitted: true},
		{what: "another's token", method: "GET", path: path, token: other.EnvdAccessToken},
		{what: "a part of the token", method: "GET", path: path, token: sb.EnvdAccessToken[1:]},
		{what: "the traffic token", method: "GET", path: path, token: sb.TrafficAccessToken},
		{what: "signed", method: "GET", path: path, signature: sign(path, "read", "", sb.EnvdAccessToken, ""), admitted: true},
		{what: "signed for a user", method: "GET", path: path, user: "user", signature: sign(path, "read", "user", sb.EnvdAccessToken, ""), admitted: true},
		{what: "signed for another user", method: "GET", path: path, user: "root", signature: sign(path, "read", "user", sb.EnvdAccessToken, "")},
		{what: "signed for a while", method: "GET", path: path, expires: soon, signature: sign(path, "read", "", sb.EnvdAccessToken, soon), admitted: true},
		{what: "signed for longer than said", method: "GET", path: path, signature: sign(path, "read", "", sb.EnvdAccessToken, soon)},
		{what: "too late", method: "GET", path: path, expires: past, signature: sign(path, "read", "", sb.EnvdAccessToken, past)},
		{what: "no time", method: "GET", path: path, expires: "soon", signature: sign(path, "read", "", sb.EnvdAccessToken, "soon")},
		{what: "another path", method: "GET", path: "/etc/shadow", signature: sign(path, "read", "", sb.EnvdAccessToken, "")},
		{what: "another operation", method: "POST", path: path, signature: sign(path, "read", "", sb.EnvdAccessToken, "")},
		{what: "another's signature", method: "GET", path: path, signature: sign(path, "read", "", other.EnvdAccessToken, "")},
		{what: "signed with nothing", method: "GET", path: path, signature: sign(path, "read", "", "", "")},
		{what: "signed, and a wrong token", method: "GET", path: path, token: "x", signature: sign(path, "read", "", sb.EnvdAccessToken, "")},
	} {
		q := url.Values{"path": {tt.path}}
		for name, value := range map[string]string{"signature": tt.signature, "username": tt.user, "signature_expiration": tt.expires} {
			if value != "" {
				q.Set(name, value)
			}
		}
		headers := []string{"E2b-Sandbox-Id", sb.SandboxID, "E2b-Sandbox-Port", "49983"}
		if tt.token != "" {
			headers = append(headers, "X-Access-Token", tt.token)
		}
		got := r.do(tt.method, "/files?"+q.Encode(), "", headers...)
		if (got.status != http.StatusUnauthorized) != tt.admitted {
			t.Errorf("%s: status %d: %s", tt.what, got.status, got.body)
		}
		if tt.token == "" { // the URL alone, which does not name the sandbox
			if alone := r.do(tt.method, "/files?"+q.Encode(), ""); (alone.status != http.StatusUnauthorized) != (tt.admitted || tt.what == "another's signature") {
				t.Errorf("%s: status %d for the URL alone: %s", tt.what, alone.status, alone.body)
			}
		}
	}
}

func TestSignature(t *testing.T) {
	if got := e2b.Signature("/a", "read", "user", "token", "1"); got != "v1_vZGpY17W2Rc0QJc74Vrmu/i+FAf+4MAMFgx4zZbPWiY" {
		t.Errorf("the signature is %s", got)
	}
}

// TestPorts: the ports of a sandbox that E2B's clients made are public unless its
// maker said otherwise; those of ours stay private.
func TestPorts(t *testing.T) {
	r := newRig(t)
	public, private := r.create(""), r.create(`,"network":{"allowPublicTraffic":false}`)
	ours, err := r.Create(t.Context(), "ann", api.CreateRequest{Template: "fake"}, "")
	if err != nil {
		t.Fatal(err)
	}
	may := func(id, token string) bool {
		sb, err := r.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		req.Header.Set("E2B-Traffic-Access-Token", token)
		return r.e2b.MayUsePort(req, sb)
	}
	if may(ours.ID(), "") {
		t.Error("one that E2B's clients never used is public")
	}
	known := as[sandbox](t, r.want(http.StatusOK, "POST", "/v2/sandboxes/"+ours.ID()+"/connect", ""))
	for _, tt := range []struct {
		what, id, token string
		want            bool
	}{
		{"public", public.SandboxID, "", true},
		{"private", private.SandboxID, "", false},
		{"private, with its token", private.SandboxID, private.TrafficAccessToken, true},
		{"private, with another's", private.SandboxID, public.TrafficAccessToken, false},
		{"private, with its other token", private.SandboxID, private.EnvdAccessToken, false},
		{"ours", ours.ID(), "", false},
		{"ours, with its token", ours.ID(), known.TrafficAccessToken, true},
	} {
		if got := may(tt.id, tt.token); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}
