package control

import (
	"bytes"
	"context"
	"maps"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/users"
)

// ordinaryUser is whom programs run as: uid 1000, whatever the template calls it.
const ordinaryUser = "user"

// FindUser finds "user", "user:group", "uid" or "uid:gid" among the users that a
// sandbox has now. CodeInvalid when there is none.
func FindUser(ctx context.Context, box host.Session, who string) (users.Account, error) {
	var passwd, group bytes.Buffer
	for name, text := range map[string]*bytes.Buffer{"/etc/passwd": &passwd, "/etc/group": &group} {
		if _, err := box.Get(ctx, name, users.MaxFile, text); err != nil && api.CodeOf(err) != api.CodeNotFound {
			return users.Account{}, err
		}
	}
	a, err := users.Find(passwd.String(), group.String(), who)
	if err != nil {
		return a, api.Errorf(api.CodeInvalid, "cannot run as %.80q: because %v", who, err).
			WithFix("leave user out, or give a uid, or root")
	}
	return a, nil
}

// runAs makes spec run as the user that a request names.
func (sb *Sandbox) runAs(ctx context.Context, box host.Session, spec *api.ExecSpec, who string) (err error) {
	a := users.Account{Name: "root", Home: "/root"}
	switch who {
	case "", ordinaryUser:
		return nil
	case "root":
	default:
		if sb.record().Isolation == api.RungProcess {
			return api.Errorf(api.CodeUnsupported, "cannot run as %.80q: because a sandbox without a boundary has one user", who).
				WithFix("leave user out, or use the isolation gvisor")
		}
		if a, err = FindUser(ctx, box, who); err != nil {
			return err
		}
		spec.User = &api.User{UID: a.UID, GID: a.GID}
	}
	env := map[string]string{"HOME": a.Home}
	if a.Name != "" {
		env["USER"], env["LOGNAME"] = a.Name, a.Name
	}
	maps.Copy(env, spec.Env)
	spec.Env = env
	return nil
}
