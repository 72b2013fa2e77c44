package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/egress"
)

// Options says how to build a Brig.
type Options struct {
	DataDir  string // templates and snapshots: survives a reboot
	StateDir string // journal and sockets: need not survive one
	// Unsafe admits rungs that are no boundary, when they are asked for by name.
	Unsafe bool
	// PoolSize is how many sandboxes are kept restored ahead of need; 0 = none.
	PoolSize int
	// Egress is what gateways of sandboxes with a network work with; see host.Config.
	Egress egress.Options
	// TenantSandboxes and TenantMemory bound what the running sandboxes of one owner
	// of a service hold; 0: no bound, but see tenantShare.
	TenantSandboxes int
	TenantMemory    int64
	// E2BInternet: see httpapi.Config.
	E2BInternet bool
	// Origins are those whose pages may call a service from a browser.
	Origins []string
	// NamedState tells that somebody chose StateDir, so that what outlives a server
	// may be kept there.
	NamedState bool
	Log        *slog.Logger
}

// DefaultOptions takes the directories from the environment: $BRIG_DATA and
// $BRIG_STATE, else the system's places for root and the user's own for others.
func DefaultOptions(getenv func(string) string, log *slog.Logger) (Options, error) {
	o := Options{DataDir: getenv("BRIG_DATA"), StateDir: getenv("BRIG_STATE"), NamedState: getenv("BRIG_STATE") != "", Log: log}
	uid := os.Getuid()
	if o.DataDir == "" {
		dir, err := defaultDataDir(getenv, uid)
		if err != nil {
			return Options{}, err
		}
		o.DataDir = dir
	}
	if o.StateDir == "" {
		o.StateDir = defaultStateDir(getenv, uid)
	}
	for name, dir := range map[string]*string{"data": &o.DataDir, "state": &o.StateDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return Options{}, api.Errorf(api.CodeInternal, "cannot find the %s directory: because the working directory is gone: %w", name, err)
		}
		*dir = abs
	}
	return o, nil
}

func defaultDataDir(getenv func(string) string, uid int) (string, error) {
	switch {
	case uid == 0:
		return "/var/lib/brig", nil
	case getenv("XDG_DATA_HOME") != "":
		return filepath.Join(getenv("XDG_DATA_HOME"), "brig"), nil
	case getenv("HOME") != "":
		return filepath.Join(getenv("HOME"), ".local/share/brig"), nil
	}
	return "", api.Errorf(api.CodeInvalid, "cannot choose a data directory: because neither BRIG_DATA nor HOME is set").
		WithFix("export BRIG_DATA=/some/directory")
}

func defaultStateDir(getenv func(string) string, uid int) string {
	switch {
	case uid == 0:
		return "/run/brig"
	case getenv("XDG_RUNTIME_DIR") != "":
		return filepath.Join(getenv("XDG_RUNTIME_DIR"), "brig")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("brig-%d", uid))
}
