package doctor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The oldest kernel that Brig is made for: CLONE_INTO_CGROUP and close_range's
// CLOEXEC flag are there from 5.11 on.
const oldestMajor, oldestMinor = 5, 11

func kernelCheck() Check {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Check{"kernel", Fail, "cannot ask the kernel for its name: " + err.Error(), ""}
	}
	release := unix.ByteSliceToString(u.Release[:])
	c := Check{"kernel", OK, "Linux " + release + " " + unix.ByteSliceToString(u.Machine[:]), ""}
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n == 2 && (major < oldestMajor || major == oldestMajor && minor < oldestMinor) {
		c.Status = Fail
		c.Detail += fmt.Sprintf(": older than %d.%d", oldestMajor, oldestMinor)
		c.Fix = "install a newer kernel: apt-get install linux-image-amd64"
	}
	return c
}

// userNamespaceCheck reads the switches with which distributions turn user
// namespaces off. Root needs only the first one.
func userNamespaceCheck() Check {
	const name = "user namespaces"
	if limit, ok := readInt("/proc/sys/user/max_user_namespaces"); !ok {
		return Check{name, Fail, "the kernel was built without them", "use a kernel with CONFIG_USER_NS"}
	} else if limit == 0 {
		return Check{name, Fail, "switched off by user.max_user_namespaces", "sysctl -w user.max_user_namespaces=15000"}
	}
	if os.Geteuid() == 0 {
		return Check{name, OK, "available (as root)", ""}
	}
	if v, ok := readInt("/proc/sys/kernel/unprivileged_userns_clone"); ok && v == 0 {
		return Check{name, Fail, "kept from ordinary users by kernel.unprivileged_userns_clone", "sudo sysctl -w kernel.unprivileged_userns_clone=1"}
	}
	if v, ok := readInt("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); ok && v == 1 {
		return Check{name, Fail, "kept from ordinary users by AppArmor", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"}
	}
	return Check{name, OK, "available (as an ordinary user)", ""}
}

func readInt(path string) (int, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}
