package template

import (
	"time"

	"github.com/brigdev/brig/internal/dockerfile"
)

// recordVersion is that of the files below; another one is not read.
const recordVersion = 1

// tag is templates/NAME.json: which image a name means today, and which it meant
// before.
type tag struct {
	Version int       `json:"version"`
	Digest  string    `json:"digest"`
	BuiltAt time.Time `json:"built_at"`
	History []Tagged  `json:"history,omitempty"` // the newest first
}

// Tagged is an image that a name meant before.
type Tagged struct {
	Digest  string    `json:"digest"`
	BuiltAt time.Time `json:"built_at"`
}

// Record is images/DIGEST.json: what is in an image and how it came about.
type Record struct {
	Version   int                 `json:"version"`
	Digest    string              `json:"digest"`
	Bytes     int64               `json:"bytes"`
	Files     int                 `json:"files"`
	Source    string              `json:"source"`  // for people: "debian bookworm", "rootfs.tar"
	Request   string              `json:"request"` // identifies the options of the build
	Packages  []string            `json:"packages,omitempty"`
	Suite     string              `json:"suite,omitempty"`
	Mirror    string              `json:"mirror,omitempty"`
	Drop      []string            `json:"drop,omitempty"`
	Env       map[string]string   `json:"env"`
	Languages map[string]Language `json:"languages"`
	// WarmModules are what the warm interpreter imports before it waits; empty
	// when the template is not baked.
	WarmModules []string `json:"warm_modules,omitempty"`
	// WarmScript is run in the box before a bake.
	WarmScript string `json:"warm_script,omitempty"`
	// Kernels are the languages whose kernel waits in the code snapshot.
	Kernels []string `json:"kernels,omitempty"`
	// Config is what an image or a Dockerfile says about running programs. Its
	// environment is that of every program; the rest is for those who ask.
	Config *dockerfile.Config `json:"config,omitempty"`
	// OwnUsers says that /etc/passwd and /etc/group are the image's own.
	OwnUsers bool `json:"own_users,omitempty"`
	// Guest identifies the agent and runner inside. Those of another Brig are
	// replaced before the image is used.
	Guest   string    `json:"guest"`
	BuiltAt time.Time `json:"built_at"`
}

// Info describes a template in the catalogue.
type Info struct {
	Name      string    `json:"name"`
	Digest    string    `json:"digest"`
	Bytes     int64     `json:"bytes"`
	BuiltAt   time.Time `json:"built_at,omitzero"`
	Source    string    `json:"source"`
	Languages []string  `json:"languages"`
	Warm      bool      `json:"warm"`
	Snapshots int       `json:"snapshots"`
}
