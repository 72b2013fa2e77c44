package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion is set by the linker: -X .../internal/cli.buildVersion=v1.2.3.
var buildVersion = "dev"

// versionInfo is what `brig version` prints.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // with "+dirty" when the tree had changes
	Go       string `json:"go"`
	GVisor   string `json:"gvisor"` // the version of the embedded sentry
	Platform string `json:"platform"`
}

func newVersionCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of Brig and of what is built into it",
		Long:  "Print the versions of Brig, Go and the embedded gVisor, and the platform.",
		Example: `  brig version
  brig version --json`,
		Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runVersion(env) },
	}
}

func runVersion(env *Env) error {
	v := readVersion()
	if env.JSON {
		return writeJSON(env.Stdout, v)
	}
	_, err := fmt.Fprintf(env.Stdout, "brig %s\ncommit   %s\ngo       %s\ngvisor   %s\nplatform %s\n",
		v.Version, v.Commit, v.Go, v.GVisor, v.Platform)
	return err
}

// readVersion takes what the Go linker recorded in this binary.
func readVersion() versionInfo {
	v := versionInfo{
		Version: buildVersion, Commit: "unknown", Go: runtime.Version(),
		GVisor: "none", Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	v.Commit += dirty
	for _, m := range info.Deps {
		if m.Path == "gvisor.dev/gvisor" {
			v.GVisor = m.Version
		}
	}
	return v
}
