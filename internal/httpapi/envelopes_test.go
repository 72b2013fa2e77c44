package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzEnvelopes sends any body to the services that E2B's clients call in a sandbox,
// by way of the headers that route there, and to the interpreter's port.
func FuzzEnvelopes(f *testing.F) {
	x := newTarget(f)
	made, err := x.send("POST", "/sandboxes", `{"templateID":"fake","timeout":86400}`, http.Header{"X-Api-Key": {x.key}})
	if err != nil {
		f.Fatal(err)
	}
	var sb struct {
		ID    string `json:"sandboxID"`
		Token string `json:"envdAccessToken"`
	}
	if err := json.Unmarshal(made.Body.Bytes(), &sb); err != nil || sb.Token == "" {
		f.Fatalf("%s, %v", made.Body, err)
	}
	x.wait = 10 * time.Millisecond
	paths := []string{
		"/process.Process/Start", "/process.Process/Connect", "/process.Process/StreamInput", "/process.Process/SendInput",
		"/process.Process/SendSignal", "/process.Process/List", "/process.Process/Update", "/filesystem.Filesystem/WatchDir",
		"/filesystem.Filesystem/ListDir", "/filesystem.Filesystem/Move", "/filesystem.Filesystem/CreateWatcher",
		"/filesystem.Filesystem/GetWatcherEvents", "/files", "/execute", "/contexts", "/envs", "/health", "/init",
	}
	types := []string{"application/connect+json", "application/json", "application/proto", "application/connect+proto", "multipart/form-data; boundary=b", "application/octet-stream"}
	start := `{"process":{"cmd":"hang","args":["x"],"envs":{"A":"b"}},"pty":{"size":{"cols":-1,"rows":4294967295}}}`
	for i := range paths {
		for j, body := range []string{
			"\x00\x00\x00\x00" + string(rune(len(start))) + start, start, "\x00\xff\xff\xff\xff{}", "\x02\x00\x00\x00\x02{}", "\x01\x00\x00\x00\x00", "\x00\x00\x00\x00\x01", "",
			"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../x\"\r\n\r\ndata\r\n--b--\r\n", `{"code":"hang","language":7,"context_id":"../"}`,
		} {
			f.Add(uint8(i), uint8(j), i%2 == 0, body, "path=/../../etc/passwd&username=root")
		}
	}
	f.Fuzz(func(t *testing.T, path, kind uint8, code bool, body, query string) {
		port := "49983"
		if code {
			port = "49999"
		}
		header := http.Header{
			"E2b-Sandbox-Id": {sb.ID}, "E2b-Sandbox-Port": {port}, "X-Access-Token": {sb.Token},
			"Content-Type": {types[int(kind)%len(types)]}, "Connect-Protocol-Version": {"1"}, "Connect-Timeout-Ms": {"50"},
		}
		w, err := x.send("POST", paths[int(path)%len(paths)]+"?"+strings.ReplaceAll(query, "#", ""), body, header)
		if err != nil {
			return // no server would see it
		}
		if err := x.check(w); err != nil {
			t.Errorf("%s: %v", paths[int(path)%len(paths)], err)
		}
	})
}
