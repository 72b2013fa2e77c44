package e2b

import (
	"math"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
)

// clientID is a field that every reply has to have and nobody reads.
const clientID = "brig"

// sandboxBody is what a client needs to talk to a sandbox. Without a domain it uses
// the one that it was told, so that one server may have several names.
type sandboxBody struct {
	SandboxID    string  `json:"sandboxID"`
	TemplateID   string  `json:"templateID"`
	Alias        string  `json:"alias,omitempty"`
	ClientID     string  `json:"clientID"`
	EnvdVersion  string  `json:"envdVersion"`
	EnvdToken    string  `json:"envdAccessToken,omitempty"`
	TrafficToken string  `json:"trafficAccessToken"`
	Domain       *string `json:"domain"`
}

// showSandbox is for who may use it.
func showSandbox(r api.Sandbox, n notes) sandboxBody {
	b := sandboxBody{
		SandboxID: r.ID, TemplateID: r.Template, Alias: n.Template, ClientID: clientID, EnvdVersion: EnvdVersion,
		EnvdToken: n.EnvdToken, TrafficToken: n.TrafficToken,
	}
	if n.Open {
		b.EnvdToken = "" // so that clients send none, and sign no URLs
	}
	return b
}

// listedBody is a sandbox in a list.
type listedBody struct {
	SandboxID    string            `json:"sandboxID"`
	TemplateID   string            `json:"templateID"`
	Alias        string            `json:"alias,omitempty"`
	ClientID     string            `json:"clientID"`
	StartedAt    time.Time         `json:"startedAt"`
	EndAt        time.Time         `json:"endAt"`
	State        string            `json:"state"`
	CPUCount     int               `json:"cpuCount"`
	MemoryMB     int64             `json:"memoryMB"`
	DiskSizeMB   int64             `json:"diskSizeMB"`
	EnvdVersion  string            `json:"envdVersion"`
	Metadata     map[string]string `json:"metadata"`
	VolumeMounts []struct{}        `json:"volumeMounts"`
}

// The states that E2B has. A failed or deleted sandbox does not exist there.
const (
	stateRunning = "running"
	statePaused  = "paused"
)

func stateOf(r api.Sandbox) string {
	switch r.Status {
	case api.StatusRunning:
		return stateRunning
	case api.StatusPaused, api.StatusHibernated:
		return statePaused
	}
	return ""
}

func showListed(sb *control.Sandbox) listedBody {
	r := sb.Info()
	n, _ := notesOf(sb)
	return listedBody{
		SandboxID: r.ID, TemplateID: r.Template, Alias: n.Template, ClientID: clientID,
		StartedAt: r.CreatedAt.UTC(), EndAt: r.ExpiresAt.UTC(), State: stateOf(r),
		CPUCount: wholeCPUs(r.CPU), MemoryMB: r.MemoryMB, DiskSizeMB: r.Limits.DiskBytes >> 20,
		EnvdVersion: EnvdVersion, Metadata: r.Metadata, VolumeMounts: []struct{}{},
	}
}

// wholeCPUs is a part of a core as the whole one that E2B's API can say.
func wholeCPUs(cpus float64) int { return max(1, int(math.Ceil(cpus))) }

// detailBody is all about one sandbox.
type detailBody struct {
	listedBody
	EnvdToken string        `json:"envdAccessToken,omitempty"`
	Domain    *string       `json:"domain"`
	Network   *network      `json:"network,omitempty"`
	Internet  *bool         `json:"allowInternetAccess,omitempty"`
	Lifecycle lifecycleBody `json:"lifecycle"`
}

type lifecycleBody struct {
	OnTimeout  string `json:"onTimeout"` // kill or pause
	AutoResume bool   `json:"autoResume"`
}

func showDetail(sb *control.Sandbox) detailBody {
	n, _ := notesOf(sb)
	b := detailBody{listedBody: showListed(sb), Network: n.Network, Internet: n.Internet, Lifecycle: lifecycleBody{OnTimeout: "kill", AutoResume: n.AutoResume}}
	if !n.Open {
		b.EnvdToken = n.EnvdToken
	}
	if n.AutoPause {
		b.Lifecycle.OnTimeout = "pause"
	}
	return b
}
