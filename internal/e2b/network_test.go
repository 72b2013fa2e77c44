package e2b

import (
	"encoding/json"
	"testing"

	"github.com/brigdev/brig/api"
)

// TestInternet: a sandbox reaches the internet when its maker says so, and when
// nobody says anything, only where the server opens it.
func TestInternet(t *testing.T) {
	for _, tt := range []struct {
		server bool
		body   string
		want   string
	}{
		{false, `{}`, api.EgressAllow},
		{true, `{}`, api.EgressOpen},
		{false, `{"allow_internet_access":true}`, api.EgressOpen},
		{true, `{"allow_internet_access":false}`, api.EgressAllow},
		{false, `{"network":{"allowOut":["a.example.com"]}}`, api.EgressAllow},
		{false, `{"network":{"denyOut":["192.0.2.0/24"]}}`, api.EgressAllow},
		{true, `{"network":{"denyOut":["0.0.0.0/0"]}}`, api.EgressAllow},
		{false, `{"network":{"allowOut":["0.0.0.0/0"]}}`, api.EgressOpen},
	} {
		var body createBody
		if err := json.Unmarshal([]byte(tt.body), &body); err != nil {
			t.Fatal(err)
		}
		s := &Server{cfg: Config{Internet: tt.server}}
		if e, err := s.egressOf(body.Network, body.Internet); err != nil || e.Mode != tt.want {
			t.Errorf("%v %s: %+v, %v; want %s", tt.server, tt.body, e, err, tt.want)
		}
	}
}
