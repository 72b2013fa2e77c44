package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEventText: readers that guess a charset, or split lines where Unicode has them,
// get each event whole.
func TestEventText(t *testing.T) {
	w := httptest.NewRecorder()
	const text = "é \u0085 \u2028 \u2029 <&> \x0b\x1c z"
	if err := newEventStream(w).send("stdout", chunkOf([]byte(text))); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	body := w.Body.String()
	if strings.ContainsAny(body, "\u0085\u2028\u2029\v\x1c\r") {
		t.Errorf("%q has the end of a line in its data", body)
	}
	_, data, _ := strings.Cut(body, "data: ")
	var v chunkEvent
	if err := json.Unmarshal([]byte(data), &v); err != nil || v.Chunk != text {
		t.Errorf("%q, %v", v.Chunk, err)
	}
}
