package fake

import (
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/brigdev/brig/api"
)

// maxNodes is how many names a box can hold.
const maxNodes = 1 << 20

// node is one name in a box. A sparse file is longer than its data; the rest
// reads as zeros.
type node struct {
	Kind   api.FileKind `json:"kind"`
	Mode   uint32       `json:"mode"`
	Data   []byte       `json:"data,omitempty"`
	Length int64        `json:"length,omitempty"`
	Target string       `json:"target,omitempty"`
	// ModTime is when it was put here, in Unix nanoseconds; 0 for what a box begins
	// with.
	ModTime int64 `json:"mtime,omitempty"`
	// Owner is a uid and a gid; nil means root, or whoever it is.
	Owner *[2]uint32 `json:"owner,omitempty"`
}

// ordinaryID is the uid and gid of programs.
const ordinaryID = 1000

func (n *node) size() int64 { return max(n.Length, int64(len(n.Data)), int64(len(n.Target))) }

// files is a box's filesystem: clean absolute paths and what they name. Nodes
// are never changed once they are in it, only replaced.
type files struct {
	mu        sync.Mutex
	nodes     map[string]*node
	bytes     int64
	maxBytes  int64
	peakBytes int64
	peakNodes int64
	watchers  []*watcher
}

func newFiles() *files {
	f := &files{}
	f.reset()
	return f
}

// reset leaves only what every box begins with.
func (f *files) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes = 0
	f.nodes = map[string]*node{
		"/":         {Kind: api.FileDir, Mode: 0o755},
		"/tmp":      {Kind: api.FileDir, Mode: 0o1777},
		api.WorkDir: {Kind: api.FileDir, Mode: 0o755},
	}
}

func (f *files) limit(bytes int64) { f.maxBytes = bytes }

// load takes a snapshot's nodes.
func (f *files) load(nodes map[string]*node) {
	for name, n := range nodes {
		f.nodes[name] = n
		f.bytes += int64(len(n.Data))
	}
}

func (f *files) copyAll() map[string]*node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.nodes)
}

// put makes or replaces a name, its parents made. Directories are not replaced.
func (f *files) put(name string, n *node) error {
	n.ModTime = time.Now().UnixNano()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.place(name, n)
}

func (f *files) place(name string, n *node) error {
	old := f.nodes[name]
	if old != nil && old.Kind == api.FileDir {
		return syscall.EISDIR
	}
	if old != nil && old.Kind == api.FileOther && n.Kind == api.FileRegular {
		return syscall.EINVAL
	}
	missing, err := f.missingParents(name)
	if err != nil {
		return err
	}
	fresh, bytes := int64(len(missing)), f.bytes+int64(len(n.Data))
	if old == nil {
		fresh++
	} else {
		bytes -= int64(len(old.Data))
	}
	if bytes > f.maxBytes {
		f.peakBytes = f.maxBytes
		return syscall.ENOSPC
	}
	if int64(len(f.nodes))+fresh > maxNodes {
		f.peakNodes = maxNodes
		return syscall.ENOSPC
	}
	for _, dir := range slices.Backward(missing) {
		f.nodes[dir] = &node{Kind: api.FileDir, Mode: 0o755}
		f.tell(dir, syscall.IN_CREATE, f.nodes[dir])
	}
	f.nodes[name], f.bytes = n, bytes
	f.peakBytes = max(f.peakBytes, f.bytes)
	f.peakNodes = max(f.peakNodes, int64(len(f.nodes)))
	if old == nil {
		f.tell(name, syscall.IN_CREATE, n)
	}
	if n.Kind == api.FileRegular {
		f.tell(name, syscall.IN_MODIFY, n)
	}
	return nil
}

func (f *files) missingParents(name string) ([]string, error) {
	var missing []string
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		switch n := f.nodes[dir]; {
		case n == nil:
			missing = append(missing, dir)
		case n.Kind != api.FileDir:
			return nil, syscall.ENOTDIR
		default:
			return missing, nil
		}
	}
}

func (f *files) get(name string) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[name]
}

// regular gives a regular file; a symlink, a directory and the rest have the
// errors that the protocol promises.
func (f *files) regular(name string) (*node, error) {
	n := f.get(name)
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case n.Kind == api.FileSymlink:
		return nil, syscall.ELOOP
	case n.Kind == api.FileDir:
		return nil, syscall.EISDIR
	case n.Kind != api.FileRegular:
		return nil, syscall.EINVAL
	}
	return n, nil
}

// entry is a name in a directory.
type entry struct {
	name string
	node *node
}

// list gives at most limit names of a directory, sorted.
func (f *files) list(dir string, limit int) ([]entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch n := f.nodes[dir]; {
	case n == nil:
		return nil, syscall.ENOENT
	case n.Kind != api.FileDir:
		return nil, syscall.ENOTDIR
	}
	var all []entry
	for name, n := range f.nodes {
		if name != "/" && path.Dir(name) == dir {
			all = append(all, entry{path.Base(name), n})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return all[:min(limit, len(all))], nil
}

// mkdir makes a directory and its parents; one that exists is fine.
func (f *files) mkdir(name string, mode uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.nodes[name]; old != nil {
		if old.Kind != api.FileDir {
			return syscall.EEXIST
		}
		return nil
	}
	return f.place(name, &node{Kind: api.FileDir, Mode: mode, ModTime: time.Now().UnixNano()})
}

// below says whether other is in the tree of name.
func below(name, other string) bool {
	return strings.HasPrefix(other, strings.TrimSuffix(name, "/")+"/")
}

// remove takes a name away, with everything below it only if recursive.
func (f *files) remove(name string, recursive bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[name] == nil {
		return syscall.ENOENT
	}
	for other := range f.nodes {
		if below(name, other) && !recursive {
			return syscall.ENOTEMPTY
		}
	}
	names := slices.Sorted(maps.Keys(f.nodes))
	for _, other := range slices.Backward(names) { // what is below first
		if n := f.nodes[other]; other == name || below(name, other) {
			f.bytes -= int64(len(n.Data))
			delete(f.nodes, other)
			f.tellOf(other, syscall.IN_DELETE_SELF)
			f.tell(other, syscall.IN_DELETE, n)
		}
	}
	return nil
}

// rename moves a name with everything below it, over a file that is in its way.
func (f *files) rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, old, parent := f.nodes[from], f.nodes[to], f.nodes[path.Dir(to)]
	switch {
	case n == nil || parent == nil:
		return syscall.ENOENT
	case parent.Kind != api.FileDir:
		return syscall.ENOTDIR
	case from == to:
		return nil
	case below(from, to):
		return syscall.EINVAL
	case old != nil && old.Kind == api.FileDir:
		return syscall.EISDIR
	case old != nil && n.Kind == api.FileDir:
		return syscall.ENOTDIR
	case old != nil:
		f.bytes -= int64(len(old.Data))
	}
	moved := map[string]*node{}
	for other, n := range f.nodes {
		if other == from || below(from, other) {
			moved[to+other[len(from):]] = n
			delete(f.nodes, other)
		}
	}
	maps.Copy(f.nodes, moved)
	f.tell(from, syscall.IN_MOVED_FROM, n)
	f.tell(to, syscall.IN_MOVED_TO, n)
	f.moved(from, to)
	return nil
}

// peaks says how much space and how many names were in use at most.
func (f *files) peaks() (bytes, nodes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peakBytes, f.peakNodes
}

// inside makes a path of a script or of the host absolute and clean.
func inside(cwd, name string) string {
	if cwd == "" {
		cwd = api.WorkDir
	}
	if !path.IsAbs(name) {
		name = path.Join(cwd, name)
	}
	return path.Join("/", name)
}
