#include "agent.h"

struct utsname { // <linux/utsname.h>
	char sysname[65], nodename[65], release[65], version[65], machine[65], domain[65];
};

// replace writes a file and puts it in the place of path with one step; a path
// whose directory is not there needs none.
static long replace(const char *path, const char *fresh, const char *line) {
	sys1(__NR_unlink, fresh);
	long fd = sys4(__NR_openat, AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -ENOENT || fd == -ENOTDIR) return 0;
	if (fd < 0) return fd;
	long n = (long)str_len(line), r = sys3(__NR_write, fd, line, n);
	if (r == n) r = sys3(__NR_write, fd, "\n", 1);
	sys1(__NR_close, fd);
	if (r == 1) return sys2(__NR_rename, fresh, path);
	sys1(__NR_unlink, fresh);
	return r < 0 ? r : -ENOSPC;
}

// set_names makes hostname and machine id this box's own; an empty one stays. A
// driver may have told the kernel its name already, and then nobody inside needs
// the right to change it.
long set_names(const char *hostname, const char *machine_id) {
	struct utsname is;
	struct stat st;
	if (config.root) return 0; // they would be the host's
	if (*hostname) {
		long r = sys1(__NR_uname, &is);
		if (!r && !str_eq(is.nodename, hostname)) r = sys2(__NR_sethostname, hostname, str_len(hostname));
		if (!r) r = replace("/etc/hostname", "/etc/.hostname.brig", hostname);
		if (r) return r;
	}
	if (!*machine_id) return 0;
	long r = replace("/etc/machine-id", "/etc/.machine-id.brig", machine_id);
	// D-Bus has its own, mostly as a link to the other.
	if (!r && sys2(__NR_lstat, "/var/lib/dbus/machine-id", &st) == 0 && (st.st_mode & S_IFMT) == S_IFREG)
		r = replace("/var/lib/dbus/machine-id", "/var/lib/dbus/.machine-id.brig", machine_id);
	return r;
}
