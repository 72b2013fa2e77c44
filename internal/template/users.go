package template

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/brigdev/brig/internal/rootfs"
)

// maxUsers bounds /etc/passwd and /etc/group.
const maxUsers = 1 << 20

// addUsers gives an image that has users of its own those that Brig needs: root,
// and one with the uid that programs have. What is there stays.
func addUsers(t *rootfs.Tree) error {
	for _, f := range []struct{ path, root, user string }{
		{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh", "user:x:1000:1000:user:" + homeDir + ":/bin/sh"},
		{"/etc/group", "root:x:0:", "user:x:1000:"},
	} {
		text, err := t.ReadFile(f.path, maxUsers)
		if err != nil {
			return err
		}
		lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
		if lookupID(text, 0) == nil {
			lines = append([]string{f.root}, lines...)
		}
		if lookupID(text, userID) == nil {
			lines = append(lines, f.user)
		}
		if err := t.Put(f.path, rootfs.FileOf([]byte(strings.Join(lines, "\n")+"\n"))); err != nil {
			return err
		}
	}
	return nil
}

// lookupID finds the line of an id in the text of /etc/passwd or /etc/group.
func lookupID(text string, id int) []string {
	return findLine(text, 2, strconv.Itoa(id))
}

func findLine(text string, field int, value string) []string {
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && f[field] == value {
			return f
		}
	}
	return nil
}

// account is whom USER or --chown means.
type account struct {
	uid, gid uint32
	home     string
}

// findAccount reads "user", "user:group", "uid" or "uid:gid" with the users that
// the root filesystem has.
func findAccount(t *rootfs.Tree, who string) (account, error) {
	passwd, err := t.ReadFile("/etc/passwd", maxUsers)
	if err != nil {
		return account{}, err
	}
	group, err := t.ReadFile("/etc/group", maxUsers)
	if err != nil {
		return account{}, err
	}
	user, grp, hasGroup := strings.Cut(who, ":")
	a := account{home: "/"}
	line := findLine(passwd, 0, user)
	if id, err := strconv.ParseUint(user, 10, 32); err == nil {
		a.uid, a.gid = uint32(id), uint32(id)
		line = findLine(passwd, 2, user)
	} else if line == nil {
		return a, fmt.Errorf("there is no user %q in its /etc/passwd", user)
	}
	if len(line) > 5 {
		uid, err1 := strconv.ParseUint(line[2], 10, 32)
		gid, err2 := strconv.ParseUint(line[3], 10, 32)
		if err1 != nil || err2 != nil {
			return a, fmt.Errorf("the line of %q in its /etc/passwd is damaged", user)
		}
		a.uid, a.gid, a.home = uint32(uid), uint32(gid), line[5]
	}
	if !hasGroup {
		return a, nil
	}
	if id, err := strconv.ParseUint(grp, 10, 32); err == nil {
		a.gid = uint32(id)
	} else if line := findLine(group, 0, grp); line == nil {
		return a, fmt.Errorf("there is no group %q in its /etc/group", grp)
	} else if id, err := strconv.ParseUint(line[2], 10, 32); err == nil {
		a.gid = uint32(id)
	}
	return a, nil
}
