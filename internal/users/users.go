// Package users finds a user in the texts of /etc/passwd and /etc/group: of an
// image that is being built, or of a sandbox. Both are a stranger's data.
package users

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxFile bounds how much of either text anybody has to read.
const MaxFile = 1 << 20

// Account is whom a program can run as. Name and Home are "" and "/" for a number
// that /etc/passwd does not have.
type Account struct {
	Name, Home string
	UID, GID   uint32
}

// Find reads "user", "user:group", "uid" or "uid:gid"; names are looked up in the
// texts. The group is the user's own when none is given; of a number that is
// nobody's, the same number.
func Find(passwd, group, who string) (Account, error) {
	user, grp, hasGroup := strings.Cut(who, ":")
	a := Account{Home: "/"}
	line := Line(passwd, 0, user)
	if id, err := parseID(user); err == nil {
		a.UID, a.GID = id, id
		line = Line(passwd, 2, user)
	} else if line == nil {
		return a, fmt.Errorf("there is no user %.80q in its /etc/passwd", user)
	}
	if len(line) > 5 {
		uid, err1 := parseID(line[2])
		gid, err2 := parseID(line[3])
		if err1 != nil || err2 != nil {
			return a, fmt.Errorf("the line of %.80q in its /etc/passwd is damaged", user)
		}
		a = Account{Name: line[0], Home: line[5], UID: uid, GID: gid}
	} else if line != nil {
		return a, fmt.Errorf("the line of %.80q in its /etc/passwd is damaged", user)
	}
	if !hasGroup {
		return a, nil
	}
	if id, err := parseID(grp); err == nil {
		a.GID = id
	} else if line := Line(group, 0, grp); line == nil {
		return a, fmt.Errorf("there is no group %.80q in its /etc/group", grp)
	} else if id, err := parseID(line[2]); err == nil {
		a.GID = id
	} else {
		return a, fmt.Errorf("the line of %.80q in its /etc/group is damaged", grp)
	}
	return a, nil
}

// parseID reads an id. The largest number is none: to the kernel it means no change.
func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err == nil && id == math.MaxUint32 {
		err = strconv.ErrRange
	}
	return uint32(id), err
}

// Line gives the fields of the first line whose field, counted from 0, is value;
// nil when there is none. It has at least three.
func Line(text string, field int, value string) []string {
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && f[field] == value {
			return f
		}
	}
	return nil
}
