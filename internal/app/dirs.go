package app

import (
	"os"
	"syscall"

	"github.com/brigdev/brig/api"
)

// prepareDirs makes both directories.
func prepareDirs(o Options) error {
	if err := prepareDir("data", o.DataDir); err != nil {
		return err
	}
	return prepareDir("state", o.StateDir)
}

// prepareDir makes dir for its owner only and refuses one that somebody else
// could have planted, as in a shared temporary directory.
func prepareDir(what, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.Errorf(api.CodeUnavailable, "cannot make the %s directory: because %w", what, err).
			WithFix("set %s to a directory that you can write to", envOf(what))
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return api.Errorf(api.CodeUnavailable, "cannot use the %s directory: because %w", what, err)
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.IsDir():
		return badDir(what, dir, "is not a directory")
	case !ok || int(sys.Uid) != os.Geteuid():
		return badDir(what, dir, "belongs to another user")
	case st.Mode().Perm()&0o022 != 0:
		return badDir(what, dir, "may be written to by others")
	}
	return nil
}

func badDir(what, dir, why string) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the %s directory: because %s %s", what, dir, why).
		WithFix("make it yours (chown, chmod 700), or set %s to another one", envOf(what))
}

func envOf(what string) string {
	if what == "data" {
		return "BRIG_DATA"
	}
	return "BRIG_STATE"
}
