// Package template is the catalogue of root filesystems: it builds them into
// EROFS images, names them, and bakes their warm snapshots.
//
// A template is immutable and identified by the digest of its image; a tag
// (python) says which digest a name means today. Everything on disk appears by
// an atomic rename after an fsync, so that a half-written image or snapshot is
// never seen, and is built under a lock per key, so that several processes that
// want the same thing make it once.
package template

import (
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/driver"
)

// Template is a root filesystem and what can run in it.
type Template struct {
	Name   string
	Digest string // of the root filesystem: "sha256:…"
	Root   driver.RootFS
	// Agent is the guest agent's argument vector inside.
	Agent []string
	// Env is the environment of every program.
	Env       map[string]string
	Languages map[string]Language
	// Warm says that the template can be baked into snapshots.
	Warm bool
	// Kernels are the languages whose code interpreter's kernel waits in the
	// code snapshot.
	Kernels []string
	// Config is what the image or Dockerfile that it was made from says about
	// running programs; nil without one.
	Config *dockerfile.Config
}

// Language is how a template runs scripts of one language.
type Language struct {
	Ext  string   `json:"ext"`            // of a script file, without the dot
	Argv []string `json:"argv"`           // what runs it; the script's path is appended
	Warm bool     `json:"warm,omitempty"` // a warm interpreter of it waits in the snapshots
}
