package envd_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/brigdev/brig/internal/control/controltest"
)

func TestStart(t *testing.T) {
	r := newRig(t)
	for name, tt := range map[string]struct {
		req    object
		stdout string
		end    object
		err    string
	}{
		"good":              {script("stdout hello"), "hello\n", object{"exited": true, "status": "exit status 0"}, ""},
		"exit":              {script("exit 3"), "", object{"exited": true, "exitCode": 3.0, "status": "exit status 3", "error": "exit status 3"}, ""},
		"signal":            {script("signal 15"), "", object{"exitCode": -1.0, "status": "signal: terminated", "error": "signal: terminated"}, ""},
		"its environment":   {with(script(), "process", object{"cmd": "env", "args": []string{"A"}, "envs": object{"A": "b"}}), "b\n", object{"exited": true, "status": "exit status 0"}, ""},
		"the sandbox's":     {script("env GIVEN"), "yes\n", object{"exited": true, "status": "exit status 0"}, ""},
		"the user":          {script("env LOGNAME"), "user\n", object{"exited": true, "status": "exit status 0"}, ""},
		"no cmd":            {object{}, "", nil, "invalid_argument"},
		"a cwd that is not": {with(script(), "process", object{"cmd": "true", "cwd": "/nowhere"}), "", nil, "invalid_argument"},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.stream(t.Context(), "process.Process/Start", tt.req)
			if tt.err == "" && c.started() == 0 {
				t.Error("the pid is 0")
			}
			got := c.rest()
			if got.out["stdout"] != tt.stdout || got.err != tt.err || len(got.end) != len(tt.end) {
				t.Fatalf("got %+v, want %+v", got, tt)
			}
			for k, want := range tt.end {
				if got.end[k] != want {
					t.Errorf("%s: %v, want %v", k, got.end[k], want)
				}
			}
		})
	}
	for user, want := range map[string]string{"user": "1000 1000\n", "root": "0 0\n", "33": "33 33\n"} {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
		if got := r.stream(t.Context(), "process.Process/Start", script("id"), "Authorization", basic).rest(); got.out["stdout"] != want {
			t.Errorf("%s runs as %+v", user, got)
		}
	}
	if got := r.stream(t.Context(), "process.Process/Start", script("true"), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("nobody-here:"))).rest(); got.err != "unauthenticated" {
		t.Errorf("a user that is not: %+v", got)
	}
}

// TestComeBack leaves a process in mid-stream. It goes on, and who comes back gets
// all of its output and its end, also after that.
func TestComeBack(t *testing.T) {
	r := newRig(t)
	ctx, leave := context.WithCancel(t.Context())
	c := r.stream(ctx, "process.Process/Start", with(with(script("stdout one", "cat", "stdout two"), "stdin", true), "tag", "mine"))
	pid := c.started()
	if msg, _ := c.next(); msg["event"].(object)["data"] == nil {
		t.Fatalf("no output: %v", msg)
	}
	leave()
	r.call("process.Process/SendInput", object{"process": object{"pid": pid}, "input": object{"stdin": []byte("typed\n")}}, http.StatusOK)
	list := r.call("process.Process/List", object{}, http.StatusOK)["processes"].([]any)
	if len(list) != 1 || list[0].(object)["pid"] != pid || list[0].(object)["tag"] != "mine" || list[0].(object)["config"].(object)["cmd"] != "sh" {
		t.Errorf("listed %v", list)
	}
	again := r.stream(t.Context(), "process.Process/Connect", object{"process": object{"tag": "mine"}})
	if again.started() != pid {
		t.Error("it is another process")
	}
	r.call("process.Process/CloseStdin", object{"process": object{"pid": pid}}, http.StatusOK)
	late := r.stream(t.Context(), "process.Process/Connect", object{"process": object{"pid": pid}})
	late.started()
	for _, c := range []conversation{again, late} {
		if got := c.rest(); got.out["stdout"] != "one\ntyped\ntwo\n" || got.end["status"] != "exit status 0" {
			t.Errorf("got %+v", got)
		}
	}
	got := r.call("process.Process/SendSignal", object{"process": object{"pid": pid}, "signal": "SIGNAL_SIGKILL"}, http.StatusNotFound)
	if got["code"] != "not_found" {
		t.Errorf("a signal for one that has ended: %v", got)
	}
}

// TestNoBash: command lines go to sh in a template without bash.
func TestNoBash(t *testing.T) {
	r := newRig(t)
	req := object{"process": object{"cmd": "/bin/bash", "args": []string{"-c", "hang"}}}
	c := r.stream(t.Context(), "process.Process/Start", req)
	pid := c.started()
	list := r.call("process.Process/List", object{}, http.StatusOK)["processes"].([]any)
	if cmd := list[0].(object)["config"].(object)["cmd"]; len(list) != 1 || cmd != "/bin/sh" {
		t.Errorf("%v runs", cmd)
	}
	r.call("process.Process/SendSignal", object{"process": object{"pid": pid}, "signal": "SIGNAL_SIGKILL"}, http.StatusOK)
}

func TestKill(t *testing.T) {
	r := newRig(t)
	for signal, want := range map[string]string{"SIGNAL_SIGKILL": "signal: killed", "SIGNAL_SIGTERM": "signal: terminated"} {
		c := r.stream(t.Context(), "process.Process/Start", script("hang"))
		pid := c.started()
		r.call("process.Process/SendSignal", object{"process": object{"pid": pid}, "signal": signal}, http.StatusOK)
		if got := c.rest(); got.end["status"] != want || got.end["exitCode"] != -1.0 {
			t.Errorf("%s: %+v", signal, got)
		}
	}
	c := r.stream(t.Context(), "process.Process/Start", script("hang"))
	sel := object{"pid": c.started()}
	r.call("process.Process/SendSignal", object{"process": sel, "signal": "SIGNAL_SIGHUP"}, http.StatusBadRequest)
	r.call("process.Process/SendInput", object{"process": sel, "input": object{"stdin": "YQ=="}}, http.StatusBadRequest)
	r.call("process.Process/SendSignal", object{"process": object{}, "signal": "SIGNAL_SIGKILL"}, http.StatusBadRequest)
	r.call("process.Process/SendSignal", object{"process": object{"pid": 99999}, "signal": "SIGNAL_SIGKILL"}, http.StatusNotFound)
}

// TestDeadline: the call's deadline ends the process; the client's going away does
// not.
func TestDeadline(t *testing.T) {
	r := newRig(t)
	c := r.stream(t.Context(), "process.Process/Start", script("stdout begun", "hang"), "Connect-Timeout-Ms", "50")
	c.started()
	if got := c.rest(); got.err != "deadline_exceeded" || got.end != nil {
		t.Errorf("got %+v", got)
	}
	controltest.Eventually(t, "the process ends", func() bool { return !r.sb.Processes()[0].Running })

	ctx, leave := context.WithCancel(t.Context())
	c = r.stream(ctx, "process.Process/Start", script("hang"))
	pid := c.started()
	leave()
	watch := r.stream(t.Context(), "process.Process/Connect", object{"process": object{"pid": pid}}, "Connect-Timeout-Ms", "50")
	watch.started()
	if got := watch.rest(); got.err != "deadline_exceeded" {
		t.Errorf("got %+v", got)
	}
	if p, err := r.sb.FindProcess(int(pid), ""); err != nil || !p.Running {
		t.Errorf("who watched it has ended it: %+v, %v", p, err)
	}
}

// TestStalledReader has a client that takes nothing of an endless output. It holds
// up its own command, and nobody else; not the sandbox's end either.
func TestStalledReader(t *testing.T) {
	r := newRig(t)
	stalled := r.stream(t.Context(), "process.Process/Start", script("flood"))
	pid := stalled.started()
	if got := r.stream(t.Context(), "process.Process/Start", script("stdout hello")); got.started() == pid || got.rest().out["stdout"] != "hello\n" {
		t.Error("another command is held up")
	}
	if err := r.sb.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTerminal(t *testing.T) {
	r := newRig(t)
	size := func(rows, cols int) object { return object{"size": object{"rows": rows, "cols": cols}} }
	c := r.stream(t.Context(), "process.Process/Start", with(script("sizes"), "pty", size(30, 90)))
	sel := object{"pid": c.started()}
	r.call("process.Process/Update", object{"process": sel, "pty": size(40, 100)}, http.StatusOK)
	r.call("process.Process/CloseStdin", object{"process": sel}, http.StatusBadRequest)
	r.call("process.Process/SendInput", object{"process": sel, "input": object{"pty": []byte("\n")}}, http.StatusOK)
	got := c.rest()
	if !strings.Contains(got.out["pty"], "30 90") || !strings.Contains(got.out["pty"], "40 100") || got.out["stdout"] != "" {
		t.Errorf("got %+v", got)
	}
	if got := r.stream(t.Context(), "process.Process/Start", with(script("sizes"), "pty", size(70000, 1))).rest(); got.err != "invalid_argument" {
		t.Errorf("a huge terminal: %+v", got)
	}
}

func TestKeepalive(t *testing.T) {
	r := newRig(t)
	c := r.stream(t.Context(), "process.Process/Start", script("hang"), "Keepalive-Ping-Interval", "1")
	pid := c.started()
	if msg, _ := c.next(); msg["event"].(object)["keepalive"] == nil {
		t.Errorf("got %v, want a keepalive", msg)
	}
	r.call("process.Process/SendSignal", object{"process": object{"pid": pid}, "signal": "SIGNAL_SIGKILL"}, http.StatusOK)
}
