package api

import (
	"fmt"
	"time"
)

// The states of a build.
const (
	BuildQueued  = "queued"
	BuildRunning = "running"
	BuildBaking  = "baking" // the template's snapshots are made
	BuildDone    = "done"
	BuildFailed  = "failed"
)

// BuildRequest is what a template is made from: a Dockerfile, an image of a
// registry, or a root filesystem that is uploaded with it.
type BuildRequest struct {
	Name       string `json:"name"`
	Dockerfile string `json:"dockerfile,omitempty"` // its text; files that it copies are uploaded
	ImageRef   string `json:"image_ref,omitempty"`
	SizeMB     int64  `json:"size_mb,omitempty"` // kept; an image is as large as what is in it

	Args   map[string]string `json:"args,omitempty"`   // of the Dockerfile
	Target string            `json:"target,omitempty"` // stage of the Dockerfile; default: the last
	// AllowEgress is what each RUN may reach, as Egress.Allow; the others are its
	// limits, with the defaults of 'brig template build'.
	AllowEgress       []string `json:"allow_egress,omitempty"`
	RunMemoryMB       int64    `json:"run_memory_mb,omitempty"`
	RunDiskMB         int64    `json:"run_disk_mb,omitempty"`
	RunTimeoutSeconds float64  `json:"run_timeout_seconds,omitempty"`

	Warm       []string `json:"warm,omitempty"`        // Python modules that the warm interpreter imports
	WarmScript string   `json:"warm_script,omitempty"` // text of a script that is run before the bake
	NoBake     bool     `json:"no_bake,omitempty"`     // leave the bake to the first use
}

// Build is the making of a template.
type Build struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"` // of the template
	Status    string       `json:"status"`
	Error     string       `json:"error,omitempty"`
	Fix       string       `json:"fix,omitempty"`
	Code      Code         `json:"code,omitempty"` // of the error
	StartedAt time.Time    `json:"started_at"`     // when it was asked for
	EndedAt   *time.Time   `json:"ended_at,omitempty"`
	SizeMB    int64        `json:"size_mb"`
	Bytes     int64        `json:"bytes,omitempty"`  // of the image
	Digest    string       `json:"digest,omitempty"` // of the image
	Rootfs    bool         `json:"rootfs,omitempty"` // a root filesystem was uploaded
	Request   BuildRequest `json:"request"`
}

// Final tells whether a build has ended.
func (b Build) Final() bool { return b.Status == BuildDone || b.Status == BuildFailed }

// TemplateInfo is one root filesystem as the service tells of it.
type TemplateInfo struct {
	Name        string    `json:"name"`
	Digest      string    `json:"digest"`
	SizeBytes   int64     `json:"size_bytes"`
	Description string    `json:"description,omitempty"`
	IsGlobal    bool      `json:"is_global"` // everybody may use it
	Languages   []string  `json:"languages,omitempty"`
	Warm        bool      `json:"warm"`
	Snapshots   int       `json:"snapshots"`
	BuiltAt     time.Time `json:"built_at,omitzero"`
}

// BuildEvent is something that happens in a build, in the order in which it
// happens.
type BuildEvent struct {
	// Event is "progress" (Text), "note" (Text, Line), "step" (Text, Step, Steps,
	// Line: it begins), "log" (Text is a line of a RUN, Stream), or "done" (of a
	// step: Cached, Digest of its layer, MS).
	Event  string `json:"event"`
	Text   string `json:"text,omitempty"`
	Step   int    `json:"step,omitempty"` // from 1
	Steps  int    `json:"steps,omitempty"`
	Line   int    `json:"line,omitempty"`   // of the Dockerfile
	Stream string `json:"stream,omitempty"` // stdout or stderr
	Cached bool   `json:"cached,omitempty"`
	Digest string `json:"digest,omitempty"`
	MS     int64  `json:"ms,omitempty"`
}

// String is the event as a line for people; "" when there is nothing to say.
func (e BuildEvent) String() string {
	switch e.Event {
	case "note":
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	case "step":
		return fmt.Sprintf("[%d/%d] %s", e.Step, e.Steps, e.Text)
	case "log":
		return "  | " + e.Text
	case "done":
		if e.Cached {
			return "  cached"
		}
		return ""
	}
	return e.Text
}
