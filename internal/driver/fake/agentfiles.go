package fake

import (
	"io"
	"math"
	"path"
	"syscall"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
)

// upload is a file on its way in.
type upload struct {
	path  string
	mode  uint32
	owner *[2]uint32
	data  []byte
}

// ownerOf takes the owner that a request may end with.
func ownerOf(r *guest.Reader) *[2]uint32 {
	if !r.More() {
		return nil
	}
	return &[2]uint32{r.U32(), r.U32()}
}

func (a *agent) put(f guest.Frame) {
	up := a.puts[f.Stream]
	switch {
	case f.Type == guest.TypePut:
		r := guest.NewReader(f.Payload)
		a.puts[f.Stream] = &upload{path: inside("", string(r.Bytes())), mode: r.U32(), owner: ownerOf(r)}
	case up == nil:
		// The host gave the stream up.
	case f.Type == guest.TypeData:
		if int64(len(up.data)+len(f.Payload)) <= a.box.limits.DiskBytes+1 {
			up.data = append(up.data, f.Payload...)
		}
	default:
		delete(a.puts, f.Stream)
		a.answer(f.Stream, a.box.state.files.put(up.path, &node{Kind: api.FileRegular, Mode: up.mode, Data: up.data, Owner: up.owner}))
	}
}

// get handles GET and READ.
func (a *agent) get(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	name, offset := inside("", string(r.Bytes())), uint64(0)
	if f.Type == guest.TypeRead {
		offset = r.U64()
	}
	limit := min(r.U64(), math.MaxInt64)
	n, err := a.box.state.files.regular(name)
	if err == nil && f.Type == guest.TypeGet && uint64(n.size()) > limit {
		err = syscall.EFBIG
	}
	if err != nil {
		a.refuse(f.Stream, err)
		return
	}
	a.entry(f.Stream, "", n)
	from := int64(min(offset, uint64(n.size())))
	data := n.Data[min(from, int64(len(n.Data))):]
	rest := n.size() - from
	content := io.LimitReader(io.MultiReader(newReader(data), zeros(rest-int64(len(data)))), int64(limit))
	buf := make([]byte, min(guest.MaxData, rest+1))
	for {
		k, err := io.ReadFull(content, buf)
		if k > 0 {
			a.send(guest.TypeData, f.Stream, buf[:k])
		}
		if err != nil {
			a.send(guest.TypeEnd, f.Stream, nil)
			return
		}
	}
}

func (a *agent) stat(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	name := inside("", string(r.Bytes()))
	n := a.box.state.files.get(name)
	if n == nil {
		a.refuse(f.Stream, syscall.ENOENT)
		return
	}
	a.entry(f.Stream, path.Base(name), n)
	a.send(guest.TypeEnd, f.Stream, nil)
}

func (a *agent) list(f guest.Frame) {
	r := guest.NewReader(f.Payload)
	dir, limit := inside("", string(r.Bytes())), r.U32()
	entries, err := a.box.state.files.list(dir, int(limit))
	if err != nil {
		a.refuse(f.Stream, err)
		return
	}
	for _, e := range entries {
		a.entry(f.Stream, e.name, e.node)
	}
	a.send(guest.TypeEnd, f.Stream, nil)
}

func (a *agent) entry(stream uint32, name string, n *node) {
	kind := map[api.FileKind]byte{api.FileRegular: 'f', api.FileDir: 'd', api.FileSymlink: 'l', api.FileOther: 'o'}[n.Kind]
	p := guest.Fields(nil).Bytes([]byte{kind}).U64(uint64(n.size())).U32(n.Mode).String(name)
	p = p.U64(uint64(n.ModTime)).String(n.Target)
	if n.Owner != nil {
		p = p.U32(n.Owner[0]).U32(n.Owner[1])
	}
	a.send(guest.TypeEntry, stream, p)
}

// alter handles MKDIR, REMOVE, RENAME and SYMLINK.
func (a *agent) alter(f guest.Frame) {
	fs := a.box.state.files
	r := guest.NewReader(f.Payload)
	first := string(r.Bytes())
	var err error
	switch f.Type {
	case guest.TypeMkdir:
		err = fs.mkdir(inside("", first), r.U32())
	case guest.TypeRemove:
		err = fs.remove(inside("", first), r.U32() == 1)
	case guest.TypeRename:
		err = fs.rename(inside("", first), inside("", string(r.Bytes())))
	case guest.TypeSymlink:
		name := inside("", string(r.Bytes()))
		if fs.get(name) != nil {
			err = syscall.EEXIST
		} else {
			err = fs.put(name, &node{Kind: api.FileSymlink, Mode: 0o777, Target: first})
		}
	}
	a.answer(f.Stream, err)
}

// name writes the box's names where programs look for them.
func (a *agent) name(hostname, machineID string) error {
	for path, text := range map[string]string{"/etc/hostname": hostname, "/etc/machine-id": machineID} {
		if text == "" {
			continue
		}
		if err := a.box.state.files.put(path, &node{Kind: api.FileRegular, Mode: 0o644, Data: []byte(text + "\n")}); err != nil {
			return err
		}
	}
	return nil
}
