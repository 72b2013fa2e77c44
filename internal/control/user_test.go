package control_test

import (
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
)

func TestUsers(t *testing.T) {
	r := controltest.New(t)
	sb := create(t, r)
	if res := exec(t, sb, "write", "/etc/passwd", "www:x:33:34::/var/www:/bin/sh"); res.ExitCode != 0 {
		t.Fatalf("%+v", res)
	}
	for who, want := range map[string]string{
		"": "1000 1000\n", "user": "1000 1000\n", "root": "0 0\n", "www": "33 34\n", "33": "33 34\n", "0:5": "0 5\n", "4242:7": "4242 7\n",
	} {
		res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"id"}, User: who})
		if err != nil || res.Stdout != want {
			t.Errorf("%q: %q, %v; want %q", who, res.Stdout, err, want)
		}
	}
	for who, want := range map[string]string{"root": "/root\n", "www": "/var/www\n", "4242": "/\n"} {
		res, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"env", "HOME"}, User: who})
		if err != nil || res.Stdout != want {
			t.Errorf("the home of %q: %q, %v; want %q", who, res.Stdout, err, want)
		}
	}
	for _, who := range []string{"nobody", "-1", "4294967295", "www:staff", "www:"} {
		_, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"id"}, User: who})
		wantCode(t, who, err, api.CodeInvalid)
	}
	_, err := sb.Exec(t.Context(), api.ExecRequest{Argv: []string{"id"}, User: "www", Root: true})
	wantCode(t, "two users", err, api.CodeInvalid)
}
