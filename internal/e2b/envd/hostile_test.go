package envd_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// TestHostileBodies sends every call requests that were made well and then changed
// at random. Whatever is answered, it is not an accident, and the sandbox goes on.
func TestHostileBodies(t *testing.T) {
	r := newRig(t)
	sel := object{"process": object{"pid": 1, "tag": "x"}, "signal": "SIGNAL_SIGKILL", "input": object{"stdin": "YQ=="}, "pty": object{"size": object{"rows": 1, "cols": 1}}}
	paths := object{"path": "/tmp/x", "depth": 3, "source": "/tmp/x", "destination": "/tmp/y/z", "recursive": true, "watcherId": "w", "source_paths": []string{"/tmp/x"}}
	start := with(with(script("exit 0"), "tag", "t"), "pty", object{"size": object{"rows": 2, "cols": 2}})
	random := rand.New(rand.NewPCG(1, 2))
	for path, seed := range map[string]object{
		"/process.Process/List": sel, "/process.Process/SendSignal": sel, "/process.Process/SendInput": sel,
		"/process.Process/CloseStdin": sel, "/process.Process/Update": sel,
		"/process.Process/Start": start, "/process.Process/Connect": sel,
		"/filesystem.Filesystem/Stat": paths, "/filesystem.Filesystem/ListDir": paths, "/filesystem.Filesystem/MakeDir": paths,
		"/filesystem.Filesystem/Move": paths, "/filesystem.Filesystem/Remove": paths, "/filesystem.Filesystem/WatchDir": paths,
		"/filesystem.Filesystem/CreateWatcher": paths, "/filesystem.Filesystem/GetWatcherEvents": paths,
		"/filesystem.Filesystem/RemoveWatcher": paths, "/files/compose": paths,
	} {
		streams := strings.HasSuffix(path, "Start") || strings.HasSuffix(path, "/Connect") || strings.HasSuffix(path, "WatchDir")
		for range 60 {
			body, kind := mutated(random, seed), "application/json"
			if streams {
				body, kind = frame(json.RawMessage(body)), "application/connect+json"
				if random.IntN(3) == 0 {
					body[random.IntN(min(5, len(body)))] = byte(random.Uint32())
				}
			}
			resp := r.send(t.Context(), "POST", path, bytes.NewReader(body), "Content-Type", kind, "Connect-Timeout-Ms", "50")
			text := r.body(resp)
			if resp.StatusCode == http.StatusInternalServerError || strings.Contains(text, `"internal"`) {
				t.Errorf("%s %q: status %d, %s", path, body, resp.StatusCode, text)
			}
		}
	}
	end := r.stream(t.Context(), "process.Process/Start", script("stdout alive"), "Connect-Timeout-Ms", "20000")
	end.started()
	if got := end.rest(); got.out["stdout"] != "alive\n" {
		t.Errorf("the sandbox does not go on: %+v", got)
	}
}

// mutated is v as JSON, with some of its bytes or values changed.
func mutated(random *rand.Rand, v object) []byte {
	v = with(v, "extra", 7)
	values := []any{nil, -1, 1e300, "", "/", "..", "~", strings.Repeat("../", 2000), "a\x00b", []any{}, object{}, true, "SIGNAL_SIGTERM", 4294967296}
	for k := range v {
		if random.IntN(4) == 0 {
			v[k] = values[random.IntN(len(values))]
		}
	}
	b, _ := json.Marshal(v)
	for random.IntN(2) == 0 {
		b[random.IntN(len(b))] = byte(random.Uint32())
	}
	return b
}
