package api

import "time"

// Port is a TCP port of a sandbox.
type Port struct {
	Port  int    `json:"port"`
	Label string `json:"label,omitempty"`
	// Public: everybody who reaches the server may use it.
	Public    bool `json:"public,omitempty"`
	Listening bool `json:"listening"`
	// Source is "user" for one that somebody named, else "detected".
	Source   string `json:"source"`
	ProxyURL string `json:"proxy_url,omitempty"`
}

// PreviewRequest asks for a token that admits to one port.
type PreviewRequest struct {
	Port int `json:"port"`
	// TTLSeconds is how long it is good for; 0 means 3600, at most 7 days.
	TTLSeconds float64 `json:"ttl_seconds,omitempty"`
	// Paths are what it admits to, with what is below each; none is all.
	Paths []string `json:"paths,omitempty"`
}

// Preview is a token that admits to one port of one sandbox.
type Preview struct {
	URL       string    `json:"url"`
	Token     string    `json:"token"`
	SandboxID string    `json:"sandbox_id"`
	Port      int       `json:"port"`
	Paths     []string  `json:"paths,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}
