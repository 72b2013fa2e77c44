package control

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// Bounds of a sandbox's ports.
const (
	maxNamedPorts = 32
	maxPortTable  = 256 << 10 // bytes that are read of the list of sockets
	maxDetected   = 256
)

// doors is who may reach a sandbox's ports, as its record keeps it.
type doors struct {
	Named []namedPort `json:"named,omitempty"`
	// Secret signs preview tokens; nil until the first one.
	Secret []byte `json:"secret,omitempty"`
}

type namedPort struct {
	Port   int    `json:"port"`
	Label  string `json:"label,omitempty"`
	Public bool   `json:"public,omitempty"`
}

// Owner is whose the sandbox is.
func (sb *Sandbox) Owner() string { return sb.owner }

// Ports lists the ports that were named and those that something listens on, as far
// as the sandbox says so; one that does not run says nothing, and is not woken.
func (sb *Sandbox) Ports(ctx context.Context) ([]api.Port, error) {
	r := sb.record()
	list := []api.Port{}
	for _, p := range r.Doors.Named {
		list = append(list, api.Port{Port: p.Port, Label: p.Label, Public: p.Public, Source: "user"})
	}
	if r.Status == api.StatusRunning {
		found, err := sb.listening(ctx)
		if err != nil {
			return nil, err
		}
		for _, port := range found {
			i := slices.IndexFunc(list, func(p api.Port) bool { return p.Port == port })
			if i < 0 {
				list, i = append(list, api.Port{Port: port, Source: "detected"}), len(list)
			}
			list[i].Listening = true
		}
	}
	slices.SortFunc(list, func(a, b api.Port) int { return cmp.Compare(a.Port, b.Port) })
	return list, nil
}

// listening reads which ports something listens on.
func (sb *Sandbox) listening(ctx context.Context) (ports []int, err error) {
	err = sb.With(ctx, func(box host.Session) error {
		for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			var table bytes.Buffer
			_, err := box.Read(ctx, name, 0, maxPortTable, &table)
			if api.CodeOf(err) == api.CodeNotFound && err != nil {
				continue // no such protocol there
			}
			if err != nil {
				return err
			}
			ports = append(ports, listeners(table.String())...)
		}
		return nil
	})
	slices.Sort(ports)
	ports = slices.Compact(ports)
	return ports[:min(len(ports), maxDetected)], err
}

// listeners reads Linux's table of TCP sockets: of each line the local address, in
// hexadecimal with the port last, and the state, 0A for one that listens.
func listeners(table string) (ports []int) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != "0A" {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil && port > 0 {
			ports = append(ports, int(port))
		}
	}
	return ports
}

// NamePort gives a port a label, and opens it to everybody or closes it again.
func (sb *Sandbox) NamePort(p api.Port) (api.Port, error) {
	switch {
	case p.Port < 1 || p.Port > 65535 || p.Port == 22:
		return p, api.Errorf(api.CodeInvalid, "cannot name port %d: because it is none that a server of the sandbox can have", p.Port).
			WithFix("use 1 to 65535, and not 22")
	case len(p.Label) > maxName || strings.ContainsAny(p.Label, "\x00\n"):
		return p, api.Errorf(api.CodeInvalid, "cannot use the label %.40q: because it is longer than %d bytes or has a line break", p.Label, maxName).
			WithFix("use a short one")
	}
	err := sb.changeDoors(func(d *doors) error {
		named := slices.DeleteFunc(slices.Clone(d.Named), func(old namedPort) bool { return old.Port == p.Port })
		if len(named) >= maxNamedPorts {
			return api.Errorf(api.CodeExhausted, "cannot name port %d: because the sandbox has %d", p.Port, len(named)).WithFix("remove another one")
		}
		d.Named = append(named, namedPort{Port: p.Port, Label: p.Label, Public: p.Public})
		return nil
	})
	p.Source = "user"
	return p, err
}

// UnnamePort takes a label back, and closes the port to everybody else. CodeNotFound.
func (sb *Sandbox) UnnamePort(port int) error {
	return sb.changeDoors(func(d *doors) error {
		left := slices.DeleteFunc(slices.Clone(d.Named), func(old namedPort) bool { return old.Port == port })
		if len(left) == len(d.Named) {
			return api.Errorf(api.CodeNotFound, "cannot remove port %d: because nobody named it", port).WithFix("list the ports")
		}
		d.Named = left
		return nil
	})
}

// PortIsPublic tells whether everybody may use a port.
func (sb *Sandbox) PortIsPublic(port int) bool {
	return slices.ContainsFunc(sb.record().Doors.Named, func(p namedPort) bool { return p.Port == port && p.Public })
}

// changeDoors alters and saves them, as one step, for a sandbox that lives. What
// alter puts in place of a slice must be a new one.
func (sb *Sandbox) changeDoors(alter func(*doors) error) error {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if !sb.rec.living() || sb.leaving {
		return sb.errEnded()
	}
	rec := sb.rec
	if err := alter(&rec.Doors); err != nil {
		return err
	}
	if err := sb.svc.journal.save(rec); err != nil {
		return err
	}
	sb.rec.Doors = rec.Doors
	return nil
}
