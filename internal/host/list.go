package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// ListAll describes the sandboxes of every Brig process that uses stateDir, from
// their journals. What a dead process left has the state "orphan".
func ListAll(stateDir string) ([]api.SandboxInfo, error) {
	list := []api.SandboxInfo{}
	if _, err := os.Stat(stateDir); errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	gc, err := lockFile(filepath.Join(stateDir, gcLockName), unix.LOCK_EX)
	if err != nil {
		return nil, badStateDir(err)
	}
	defer gc.Close()
	dirs, err := owners(stateDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		dead, err := claim(dir)
		if err != nil {
			return nil, err
		}
		records, err := journal{filepath.Join(dir, boxesDirName)}.read()
		if dead != nil {
			dead.release()
		}
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.Info.Driver == "" {
				continue // it is being made
			}
			if dead != nil {
				r.Info.State = stateOrphan
			}
			list = append(list, r.Info)
		}
	}
	return list, nil
}
