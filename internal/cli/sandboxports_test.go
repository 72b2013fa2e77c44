package cli

import (
	"testing"

	"github.com/brigdev/brig/api"
)

func TestParseForward(t *testing.T) {
	for s, want := range map[string][2]int{"8080": {8080, 8080}, "9000:8080": {9000, 8080}, "0:1": {0, 1}} {
		if local, port, err := parseForward(s); err != nil || local != want[0] || port != want[1] {
			t.Errorf("%s: %d and %d, %v", s, local, port, err)
		}
	}
	for _, s := range []string{"", "x", "0", "1:0", "70000", "1:2:3", "-1", ":80", "80:"} {
		if _, _, err := parseForward(s); api.CodeOf(err) != api.CodeInvalid || err == nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}
