// Package rootfs holds a root filesystem as a tree of names in memory: layers
// are applied to it, files are copied between trees, and the result is written
// as an image or as a layer.
//
// No name of a source is ever a path of this host. Symlinks are followed inside
// the tree only, where ".." stops at the root. The content of files stays where
// it was found: in an image that is mapped, in a layer's own file, or in a spool.
// Set-id bits, extended attributes, devices, FIFOs and sockets are dropped.
//
// Bounded are: names (a long one counts more than once), bytes of content,
// depth, length of a name and of a symlink's target, and symlinks on one path.
package rootfs

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/image"
)

// Limits bound a tree. Zero means the default.
type Limits struct {
	Entries int   // names, those that later entries replace too; default 500,000
	Bytes   int64 // of all content that was read, replaced files too; default 16 GiB
}

const (
	defaultEntries = 500_000
	defaultBytes   = 16 << 30
	maxTarget      = 4095 // bytes of a symlink's target
	maxHops        = 40   // symlinks on the way to one name, as in Linux
	permMask       = 0o1777
)

// Tree is a root filesystem, or with Delta what a layer changes in one. It is
// for one goroutine.
type Tree struct {
	root    *Node
	delta   bool
	limits  Limits
	entries int
	bytes   int64
	layer   int // the number of the layer that is being applied
}

// Node is one file, directory or symlink. Hard links are several names of one.
type Node struct {
	Kind     image.Kind
	Mode     uint32 // permissions and the sticky bit
	UID, GID uint32
	MTime    time.Time
	Size     int64
	Target   string

	data     io.ReaderAt // of a file with a size
	offset   int64       // of its first byte there
	children map[string]*Node
	layer    int  // that put it here last
	pruned   int  // the layer that has taken away what lower ones had below
	implied  bool // only because something below it was put
	whiteout bool // in a delta: the name is gone
	opaque   bool // in a delta: what was below is gone
}

// New makes an empty tree.
func New(limits Limits) *Tree {
	if limits.Entries == 0 {
		limits.Entries = defaultEntries
	}
	if limits.Bytes == 0 {
		limits.Bytes = defaultBytes
	}
	root := newDir()
	root.implied = true
	return &Tree{root: root, limits: limits, layer: 1}
}

// NewDelta makes an empty tree that stands for the changes of one layer.
func NewDelta(limits Limits) *Tree {
	t := New(limits)
	t.delta = true
	return t
}

func newDir() *Node {
	return &Node{Kind: image.Dir, Mode: 0o755, MTime: image.Epoch, children: map[string]*Node{}}
}

// Reader gives the content of a file.
func (n *Node) Reader() io.Reader {
	if n.data == nil {
		return strings.NewReader("")
	}
	return io.NewSectionReader(n.data, n.offset, n.Size)
}

// IsDir tells whether n is a directory.
func (n *Node) IsDir() bool { return n != nil && n.Kind == image.Dir }

// Names lists a directory, sorted.
func (n *Node) Names() []string {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Child gives one name of a directory, or nil.
func (n *Node) Child(name string) *Node { return n.children[name] }

// Lookup gives the node of a path and follows no symlink at its end; nil when
// there is none.
func (t *Tree) Lookup(path string) *Node {
	_, n := t.find(path, false)
	return n
}

// Resolve follows all symlinks of a path as far as names exist, and gives the
// path without them and its node, nil when there is none.
func (t *Tree) Resolve(path string) (string, *Node) { return t.find(path, true) }

// find walks a path. Names that do not exist are kept as they are written.
func (t *Tree) find(path string, last bool) (string, *Node) {
	var done []string
	at := []*Node{t.root}
	todo, hops := strings.Split(path, "/"), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if len(done) > 0 {
				done, at = done[:len(done)-1], at[:len(at)-1]
			}
			continue
		}
		var child *Node
		if here := at[len(at)-1]; here != nil {
			child = here.children[name]
		}
		if child != nil && child.Kind == image.Symlink && (last || len(todo) > 0) {
			if hops++; hops > maxHops {
				return path, nil
			}
			if strings.HasPrefix(child.Target, "/") {
				done, at = nil, at[:1]
			}
			todo = append(strings.Split(child.Target, "/"), todo...)
			continue
		}
		done, at = append(done, name), append(at, child)
	}
	return "/" + strings.Join(done, "/"), at[len(at)-1]
}

// ReadFile gives the first max bytes of a regular file, "" when there is none.
func (t *Tree) ReadFile(path string, max int64) (string, error) {
	_, n := t.Resolve(path)
	if n == nil || n.Kind != image.File {
		return "", nil
	}
	data, err := io.ReadAll(io.LimitReader(n.Reader(), max))
	return string(data), err
}

// parent finds the directory that the last of a path's names is in, following
// symlinks inside the tree, and makes what is missing.
func (t *Tree) parent(path string, parts []string) (*Node, error) {
	dir, _ := t.find("/"+strings.Join(parts[:len(parts)-1], "/"), true)
	real, err := image.SplitPath(dir)
	if err != nil {
		return nil, err
	}
	n := t.root
	for _, name := range real {
		child := n.children[name]
		if child == nil || child.whiteout {
			if err := t.charge(path, len(name)); err != nil {
				return nil, err
			}
			child = newDir()
			child.implied, child.layer = true, t.layer
			n.children[name] = child
		}
		if !child.IsDir() {
			return nil, image.Refuse(path, "one of its parents is not a directory")
		}
		n = child
	}
	return n, nil
}

// Put gives a node its name; the later of two wins. A directory that is put
// again keeps what is in it. Errors: CodeInvalid.
func (t *Tree) Put(path string, n *Node) error {
	parts, err := image.SplitPath(path)
	if err != nil {
		return err
	}
	n.Mode &= permMask
	n.layer = t.layer
	if n.Kind == image.Symlink && (n.Target == "" || len(n.Target) > maxTarget || strings.IndexByte(n.Target, 0) >= 0) {
		return image.Refuse(path, "its symlink target is empty, too long or has a NUL byte in it")
	}
	if n.IsDir() && n.children == nil {
		n.children = map[string]*Node{}
	}
	if len(parts) == 0 {
		if !n.IsDir() {
			return image.Refuse(path, "the root is a directory")
		}
		t.root = n.over(t.root)
		return nil
	}
	dir, err := t.parent(path, parts)
	if err != nil {
		return err
	}
	name := parts[len(parts)-1]
	if err := t.charge(path, len(name)+len(n.Target)); err != nil {
		return err
	}
	if old := dir.children[name]; old.IsDir() && n.IsDir() {
		n = n.over(old)
	}
	dir.children[name] = n
	return nil
}

// over makes n take the place of a directory with all that is in it.
func (n *Node) over(old *Node) *Node {
	n.children, n.pruned, n.opaque = old.children, old.pruned, n.opaque || old.opaque
	return n
}

// charge counts a name against the limit. Every 256 bytes of names and targets
// count as one more, so that memory is bounded too.
func (t *Tree) charge(path string, bytes int) error {
	t.entries += 1 + bytes/256
	if t.entries > t.limits.Entries {
		return image.Refuse(path, "there are too many files")
	}
	return nil
}

// hold counts content against the limit.
func (t *Tree) hold(path string, size int64) error {
	if size < 0 || size > t.limits.Bytes-t.bytes {
		return image.Refuse(path, "the files are larger than "+api.FormatBytes(t.limits.Bytes)+" together")
	}
	t.bytes += size
	return nil
}

// FileOf is a file with that content, root's and readable by all.
func FileOf(data []byte) *Node {
	return &Node{Kind: image.File, Mode: 0o644, MTime: image.Epoch, Size: int64(len(data)), data: bytesAt(data)}
}

// Clone is a node of its own with the same attributes and content, and nothing
// below it.
func (n *Node) Clone() *Node {
	return &Node{Kind: n.Kind, Mode: n.Mode, UID: n.UID, GID: n.GID, MTime: n.MTime, Size: n.Size, Target: n.Target, data: n.data, offset: n.offset}
}

// Add copies size bytes of r into the spool and gives a file that has them.
func (s *Spool) Add(ctx context.Context, r io.Reader, size int64) (*Node, error) {
	at, err := s.add(ctx, r, size)
	return &Node{Kind: image.File, Mode: 0o644, MTime: image.Epoch, Size: size, data: s.f, offset: at}, err
}
