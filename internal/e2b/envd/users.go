package envd

import (
	"bytes"
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// The account that programs have everywhere in Brig.
const (
	defaultUser = "user"
	defaultHome = "/home/user"
	userID      = "1000"
	maxPasswd   = 1 << 20
)

// account is who a call is for.
type account struct {
	name, home string
	root       bool
}

// accountOf finds a user of the sandbox: the one that programs have, or root. A
// boundary between users inside is not something that Brig makes.
func accountOf(ctx context.Context, box host.Session, name string) (account, error) {
	switch name {
	case "", defaultUser:
		return account{name: defaultUser, home: defaultHome}, nil
	case "root":
		return account{name: "root", home: "/root", root: true}, nil
	}
	var passwd bytes.Buffer
	if _, err := box.Get(ctx, "/etc/passwd", maxPasswd, &passwd); err != nil && api.CodeOf(err) != api.CodeNotFound {
		return account{}, err
	}
	for line := range strings.Lines(passwd.String()) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 6 || f[0] != name {
			continue
		}
		if f[2] != "0" && f[2] != userID {
			return account{}, &rpcError{codeUnauthenticated, "cannot act as this user: because programs run as uid " + userID + " or as root here (leave the user out)"}
		}
		return account{name: name, home: path.Clean("/" + f[5]), root: f[2] == "0"}, nil
	}
	return account{}, &rpcError{codeUnauthenticated, "cannot act as this user: because the sandbox has no such user (leave the user out)"}
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
		return do(box, as)
	})
}

// maxLinks is how many symbolic links are followed for one path, as on Linux.
const maxLinks = 40

// follow describes what a path leads to, final symbolic links followed; the
// FileInfo's Path is there. A link that leads nowhere is CodeNotFound.
func follow(ctx context.Context, box host.Session, p string) (api.FileInfo, error) {
	for range maxLinks {
		info, err := box.Stat(ctx, p)
		if err != nil {
			return info, err
		}
		info.Path = p
		if info.Kind != api.FileSymlink {
			return info, nil
		}
		if path.IsAbs(info.Target) {
			p = path.Clean(info.Target)
		} else {
			p = path.Join(path.Dir(p), info.Target)
		}
	}
	return api.FileInfo{}, &rpcError{codeInvalid, "cannot follow the path: because it has too many symbolic links"}
}
