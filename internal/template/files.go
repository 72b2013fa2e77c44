package template

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// fileError says what could not be done with a file of the data directory.
func fileError(what, path string, err error) error {
	e := api.Errorf(api.CodeInternal, "cannot %s %s: because of %w", what, path, err)
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return e.WithFix("free space there, or set BRIG_DATA to another directory")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		e.Code = api.CodeUnavailable
		return e.WithFix("set BRIG_DATA to a directory that you can write to")
	}
	return e
}

// writeJSON puts v at path so that a reader sees all of it or nothing.
func (c *Catalog) writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fileError("write", path, err)
	}
	f, err := os.CreateTemp(c.scratch, "json-*")
	if err != nil {
		return fileError("write", path, err)
	}
	defer os.Remove(f.Name()) // fails after the rename
	defer f.Close()
	if _, err = f.Write(append(data, '\n')); err != nil {
		return fileError("write", path, err)
	}
	return install(f, path)
}

// install syncs a finished temporary file and gives it its name.
func install(f *os.File, path string) error {
	err := f.Sync()
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// readJSON reads what writeJSON wrote. A file that is missing is fs.ErrNotExist;
// one that cannot be read as JSON counts as missing too, because then it is not
// ours to trust.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if json.Unmarshal(data, v) != nil {
		return fs.ErrNotExist
	}
	return nil
}

// identity names the present content of a file cheaply: as long as boot, size,
// times and inode are the same, nobody has changed it since it was read whole.
func identity(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	parts := []string{strings.TrimSpace(string(boot))}
	for _, n := range []int64{st.Size, int64(st.Ino), st.Mtim.Nano(), st.Ctim.Nano()} {
		parts = append(parts, strconv.FormatInt(n, 10))
	}
	return strings.Join(parts, " "), nil
}
