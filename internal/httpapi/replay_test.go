package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
)

// sent is one server-sent event.
type sent struct {
	id, name string
	data     map[string]any
}

// stream opens a stream of events; next waits for one, and false is its end.
func (r *rig) stream(method, path string, body any, header ...string) (next func() (sent, bool), hangUp func(), h http.Header) {
	r.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(string(b)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.ann)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: status %d", method, path, resp.StatusCode)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next = func() (e sent, more bool) {
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case key == "id":
				e.id = value
			case key == "event":
				e.name = value
			case key == "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					r.t.Errorf("%v in %q", err, value)
				}
			case lines.Text() == "" && e.data != nil:
				return e, true
			}
		}
		return e, false
	}
	return next, func() { cancel(); resp.Body.Close() }, resp.Header
}

// TestStreamResumes: a reader whose connection is lost in the middle, even of a
// character, misses nothing and gets nothing twice.
func TestStreamResumes(t *testing.T) {
	r := newRig(t)
	path := r.create()
	cmd := "stdout $\"one \\xc3\"\nsleep 30ms\nstdout $\"\\xa9 two \"\nstderr $\"e\\xe2\\x82\"\nsleep 30ms\nstdout three\nstderr $\"\\xac!\"\nexit 5"
	next, hangUp, header := r.stream("POST", path+"/exec/stream", map[string]any{"cmd": cmd})
	if header.Get("X-Exec-Id") == "" {
		t.Errorf("it does not say which program it is: %v", header)
	}
	text := map[string]string{}
	hangUps := 0
	for {
		e, more := next()
		if !more {
			t.Fatal("the stream ended without an end")
		}
		if e.name == "exit" {
			if e.data["exit_code"] != 5.0 {
				t.Errorf("exit %v", e.data)
			}
			break
		}
		if e.name != "stdout" && e.name != "stderr" {
			t.Fatalf("event %+v", e)
		}
		text[e.name] += e.data["chunk"].(string)
		hangUp()
		hangUps++
		next, hangUp, _ = r.stream("GET", path+"/exec/stream", nil, "Last-Event-ID", e.id)
	}
	hangUp()
	if text["stdout"] != "one é two three\n" || text["stderr"] != "e€!" || hangUps < 3 {
		t.Errorf("output %q after %d lost connections", text, hangUps)
	}
	again, hangUp, _ := r.stream("GET", path+"/exec/stream?offset=4&process="+header.Get("X-Exec-Id"), nil)
	defer hangUp()
	if e, _ := again(); !strings.HasPrefix(e.data["chunk"].(string), "é two") {
		t.Errorf("from an offset: %+v", e)
	}
	for _, id := range []string{"p-nope:0", "x", "p-x:-1", "p-x:0:zz:", "p-x:0:00000000:"} {
		if got := r.do("GET", path+"/exec/stream", nil, "Last-Event-ID", id); got.status != 404 && got.status != 400 {
			t.Errorf("%s: status %d", id, got.status)
		}
	}
}

// TestStreamWithoutReader: a program whose reader does not come back is killed after
// its time, and one whose reader does is not.
func TestStreamWithoutReader(t *testing.T) {
	r := newRig(t)
	path := r.create()
	begin := func(seconds float64) string {
		next, hangUp, header := r.stream("POST", path+"/exec/stream", map[string]any{"cmd": "echo here\nhang", "resume_seconds": seconds})
		if e, _ := next(); e.name != "stdout" {
			t.Fatalf("event %+v", e)
		}
		hangUp()
		return header.Get("X-Exec-Id")
	}
	lost, kept := begin(0), begin(3600)
	controltest.Eventually(t, "the unread program is killed", func() bool {
		return r.do("GET", path+"/processes/"+lost, nil).json(t)["running"] == false
	})
	if got := r.do("GET", path+"/processes/"+kept, nil).json(t); got["running"] != true {
		t.Errorf("the other: %v", got)
	}
	r.want("negative", r.do("POST", path+"/exec/stream", map[string]any{"cmd": "true", "resume_seconds": -1}), 400)
}

// TestExecSocket speaks PandaStack's protocol, with what is ours in it.
func TestExecSocket(t *testing.T) {
	r := newRig(t)
	path := r.create()
	dial := func() (say func(string), hear func() map[string]any, hangUp func()) {
		conn, _, err := websocket.Dial(t.Context(), r.url+path+"/exec/ws?access_token="+r.ann, nil)
		if err != nil {
			t.Fatal(err)
		}
		say = func(m string) {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		hear = func() (v map[string]any) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, b, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		return say, hear, func() { conn.CloseNow() }
	}
	say, hear, hangUp := dial()
	say(`{"id":"a","cmd":"echo out\nstderr err\nexit 3"}`)
	started := hear()
	out, errOut, end := hear(), hear(), hear()
	if started["process"] == nil || out["stream"] != "stdout" || out["data"] != "out\n" || errOut["stream"] != "stderr" || end["exit"] != 3.0 || end["id"] != "a" {
		t.Errorf("%v %v %v %v", started, out, errOut, end)
	}
	say(`{"id":"b","cmd":"stdout $\"\\xff\""}`)
	hear()
	if raw := hear(); raw["data"] != "\uFFFD" || raw["base64"] != "/w==" {
		t.Errorf("what is no text: %v", raw)
	}
	hear()
	say(`{"id":1,"cmd":"hang"}`)
	hear()
	say(`{"id":1,"cmd":"true"}`)
	if e := hear(); e["code"] != "conflict" {
		t.Errorf("an id twice: %v", e)
	}
	say(`{"id":1,"cancel":true}`)
	if e := hear(); e["exit"] != 137.0 {
		t.Errorf("cancelled: %v", e)
	}
	say(`{"id":2,"cmd":"hang","timeout_seconds":0.05}`)
	hear()
	if e := hear(); e["code"] != "timeout" || !strings.Contains(e["error"].(string), "timeout") {
		t.Errorf("timeout: %v", e)
	}
	say(`{"id":3,"cmd":"echo first\nsleep 50ms\necho second"}`)
	hear()
	at := hear()["at"]
	hangUp()
	say, hear, hangUp = dial()
	defer hangUp()
	say(fmt.Sprintf(`{"id":9,"resume":%q}`, at))
	if hear(); hear()["data"] != "second\n" || hear()["exit"] != 0.0 {
		t.Error("the rest did not come")
	}
	say(`{"id":4}`)
	if e := hear(); e["code"] != "invalid" {
		t.Errorf("no program: %v", e)
	}
}

// TestFollowEvents: those that were, those that come, and the end.
func TestFollowEvents(t *testing.T) {
	r := newRig(t)
	path := r.create()
	next, hangUp, _ := r.stream("GET", path+"/events?follow=1", nil)
	first, _ := next()
	if first.name != "created" || first.data["type"] != "created" {
		t.Errorf("%+v", first)
	}
	hangUp()
	r.do("POST", path+"/exec", map[string]any{"cmd": "true"})
	next, hangUp, _ = r.stream("GET", path+"/events?follow=1", nil, "Last-Event-ID", first.id)
	defer hangUp()
	if e, _ := next(); e.name != "exec" {
		t.Errorf("%+v", e)
	}
	r.want("delete", r.do("DELETE", path, nil), 204)
	if e, _ := next(); e.name != "ended" {
		t.Errorf("%+v", e)
	}
	if e, more := next(); more {
		t.Errorf("after the end: %+v", e)
	}
}

func TestUser(t *testing.T) {
	r := newRig(t)
	path := r.create()
	for user, want := range map[string]int{"": 200, "user": 200, "root": 200, "mallory": 400} {
		r.want("as "+user, r.do("POST", path+"/exec", api.ExecRequest{Cmd: "true", User: user}), want)
	}
}
