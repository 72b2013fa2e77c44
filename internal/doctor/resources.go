package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// Below these Brig works, but a batch has little room.
const (
	littleMemory = 1 << 30
	littleDisk   = 2 << 30
)

func memoryCheck() Check {
	free, err := memAvailable()
	if err != nil {
		return Check{"memory", Warn, "cannot read /proc/meminfo: " + err.Error(), ""}
	}
	c := Check{"memory", OK, fmt.Sprintf("%s available, %d cores", api.FormatBytes(free), runtime.NumCPU()), ""}
	if free < littleMemory {
		c.Status, c.Fix = Warn, "free some, or run with a smaller --memory; a warm sandbox holds about 30 MiB"
	}
	return c
}

func memAvailable() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("there is no MemAvailable line")
}

// diskCheck looks at the file system that holds dir, or will hold it.
func diskCheck(dir string) Check {
	existing := dir
	for {
		if _, err := os.Stat(existing); !errors.Is(err, fs.ErrNotExist) || existing == filepath.Dir(existing) {
			break
		}
		existing = filepath.Dir(existing)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(existing, &st); err != nil {
		return Check{"disk", Fail, "cannot look at " + existing + ": " + err.Error(), "set BRIG_DATA to a directory that exists"}
	}
	free := int64(st.Bavail) * st.Bsize
	c := Check{"disk", OK, fmt.Sprintf("%s free for %s", api.FormatBytes(free), dir), ""}
	switch {
	case unix.Access(existing, unix.W_OK) != nil:
		c.Status, c.Detail, c.Fix = Fail, "cannot write to "+existing, "set BRIG_DATA to a directory of yours"
	case free < littleDisk:
		c.Status, c.Fix = Warn, "set BRIG_DATA to a larger disk; the python template takes about 300 MiB while it is built"
	}
	return c
}

// toolsCheck looks for the programs that only building a template needs.
func toolsCheck() Check {
	const name = "tools"
	wanted, missing := map[string]string{"mmdebstrap": "mmdebstrap"}, []string{}
	if os.Geteuid() != 0 {
		wanted["newuidmap"] = "uidmap"
	}
	for program, pkg := range wanted {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return Check{name, OK, "mmdebstrap is there, templates can be built", ""}
	}
	slices.Sort(missing)
	packages := strings.Join(missing, " ")
	return Check{name, Warn, packages + " is missing: the host template works, others cannot be built", "apt-get install -y " + packages}
}
