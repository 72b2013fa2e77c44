package envd

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
)

// The account that programs have everywhere in Brig.
const (
	defaultUser = "user"
	defaultHome = "/home/user"
	userID      = "1000"
)

// account is who a call is for.
type account struct {
	name, home string
	user       string    // as an api.ExecRequest has it
	owner      *api.User // of the files that it makes; nil is the default account
}

// accountOf finds a user of the sandbox: the one that programs have, root, or
// another of its /etc/passwd, by its name or number.
func accountOf(ctx context.Context, box host.Session, name string) (account, error) {
	switch name {
	case "", defaultUser:
		return account{name: defaultUser, home: defaultHome}, nil
	case "root":
		return account{name: "root", home: "/root", user: "root", owner: &api.User{}}, nil
	}
	a, err := control.FindUser(ctx, box, name)
	if api.CodeOf(err) == api.CodeInvalid {
		return account{}, &rpcError{codeUnauthenticated, "cannot act as this user: because the sandbox has no such user (leave the user out)"}
	}
	if err != nil {
		return account{}, err
	}
	return account{
		name: cmp.Or(a.Name, name), home: path.Clean("/" + a.Home),
		user: fmt.Sprintf("%d:%d", a.UID, a.GID), owner: &api.User{UID: a.UID, GID: a.GID},
	}, nil
}

// ownerName names the owner of a file: one of the two accounts, or a number.
func ownerName(id uint32) string {
	switch text := strconv.FormatUint(uint64(id), 10); text {
	case "0":
		return "root"
	case userID:
		return defaultUser
	default:
		return text
	}
}

// userOf is the user that a Connect call names.
func (c *call) userOf() string {
	name, _, _ := c.BasicAuth()
	return name
}

// abs is a path as the call means it: "~" is the home, and what is relative is
// below it.
func (a account) abs(p string) (string, error) {
	switch {
	case strings.ContainsRune(p, 0) || len(p) > 4096:
		return "", &rpcError{codeInvalid, "cannot use the path: because it is longer than 4096 bytes or has a NUL"}
	case p == "~":
		p = a.home
	case strings.HasPrefix(p, "~/"):
		p = path.Join(a.home, p[2:])
	case !path.IsAbs(p):
		p = path.Join(a.home, p)
	}
	return path.Clean(p), nil
}

// with lends the running box, and the account that the call is for.
func (c *call) with(user string, do func(box host.Session, as account) error) error {
	return c.sb.With(c.Context(), func(box host.Session) error {
		as, err := accountOf(c.Context(), box, user)
		if err != nil {
			return err
		}
		if as.owner != nil {
			box = box.For(*as.owner)
		}
		return do(box, as)
	})
}

// follow describes what a path leads to.
func follow(ctx context.Context, box host.Session, p string) (api.FileInfo, error) {
	return host.Follow(ctx, box, p)
}
