package template

import (
	"strconv"
	"strings"

	"github.com/brigdev/brig/internal/rootfs"
	"github.com/brigdev/brig/internal/users"
)

// addUsers gives an image that has users of its own those that Brig needs: root,
// and one with the uid that programs have. What is there stays.
func addUsers(t *rootfs.Tree) error {
	for _, f := range []struct{ path, root, user string }{
		{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh", "user:x:1000:1000:user:" + homeDir + ":/bin/sh"},
		{"/etc/group", "root:x:0:", "user:x:1000:"},
	} {
		text, err := t.ReadFile(f.path, users.MaxFile)
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
	return users.Line(text, 2, strconv.Itoa(id))
}

// findAccount finds whom USER or --chown means among the users that the root
// filesystem has.
func findAccount(t *rootfs.Tree, who string) (users.Account, error) {
	passwd, err := t.ReadFile("/etc/passwd", users.MaxFile)
	if err != nil {
		return users.Account{}, err
	}
	group, err := t.ReadFile("/etc/group", users.MaxFile)
	if err != nil {
		return users.Account{}, err
	}
	return users.Find(passwd, group, who)
}
