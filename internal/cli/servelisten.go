package cli

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/httpapi"
)

// listeners opens what callers connect to. The caller has the server's lock, so a
// socket that is there is a dead server's.
func (o serveOptions) listeners(opts app.Options) ([]httpapi.Listener, error) {
	l, err := o.listenSocket(opts.StateDir)
	if err != nil {
		return nil, err
	}
	list := []httpapi.Listener{{Listener: l, Trusted: true}}
	if o.local || o.listen == "" {
		return list, nil
	}
	tcp, err := o.listenTCP()
	if err != nil {
		l.Close()
		return nil, err
	}
	return append(list, tcp), nil
}

// listenSocket opens the unix socket, for whoever its mode and group admit: all of
// them are the owner local, and admins.
func (o serveOptions) listenSocket(stateDir string) (net.Listener, error) {
	path := o.socket
	if path == "" {
		path = socketIn(stateDir)
	}
	mode, err := strconv.ParseUint(o.socketMode, 8, 32)
	if err != nil || mode > 0o777 {
		return nil, api.Errorf(api.CodeInvalid, "cannot give the socket the mode %.20q: because it is not an octal number up to 0777", o.socketMode).
			WithFix("use 0600, or 0660 with --socket-group")
	}
	if err := removeSocket(path); err != nil {
		return nil, err
	}
	before := unix.Umask(0o177) // until it has its mode and group it is this user's alone
	l, err := net.Listen("unix", path)
	unix.Umask(before)
	if err != nil {
		return nil, cannotServe(err)
	}
	if err := o.openTo(path, fs.FileMode(mode)); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeSocket takes a dead server's socket away, and nothing else.
func removeSocket(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && st.Mode().Type() != fs.ModeSocket {
		return api.Errorf(api.CodeInvalid, "cannot serve at %s: because that is there, and is no socket", path).WithFix("use another --socket")
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return cannotServe(err)
	}
	return nil
}

// openTo sets who may connect to a socket: the group before the mode, so that
// nobody can in between who may not afterwards.
func (o serveOptions) openTo(path string, mode fs.FileMode) error {
	if o.socketGroup != "" {
		g, err := user.LookupGroup(o.socketGroup)
		if err != nil {
			return api.Errorf(api.CodeInvalid, "cannot give the socket to the group %.40q: because there is none", o.socketGroup).
				WithFix("name a group that 'getent group' lists")
		}
		gid, err := strconv.Atoi(g.Gid)
		if err == nil {
			err = os.Chown(path, -1, gid)
		}
		if err != nil {
			return cannotServe(err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return cannotServe(err)
	}
	return nil
}

// listenTCP opens the port for callers with keys, with TLS if it has a certificate.
func (o serveOptions) listenTCP() (httpapi.Listener, error) {
	var l httpapi.Listener
	var err error
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return l, api.Errorf(api.CodeInvalid, "cannot serve with TLS: because it needs both a certificate and its key").WithFix("use --tls-cert and --tls-key")
	}
	if o.tlsCert != "" {
		if l.TLS, err = httpapi.LoadTLS(o.tlsCert, o.tlsKey); err != nil {
			return l, err
		}
	}
	if l.Listener, err = net.Listen("tcp", o.listen); err != nil {
		return l, cannotServe(err)
	}
	return l, nil
}

func cannotServe(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot serve: because %w", err).
		WithFix("use another --listen or --socket, or another BRIG_STATE")
}
