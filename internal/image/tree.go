package image

import (
	"slices"
)

// File types and the bits of a mode that an image keeps.
const (
	typeFile    = 0o100000
	typeDir     = 0o040000
	typeSymlink = 0o120000
	typeMask    = 0o170000
	permMask    = 0o1777
)

// node is one inode. Hard links are several names of the same node.
type node struct {
	mode     uint16
	uid, gid uint32
	sec      uint64
	nsec     uint32
	size     uint64
	block    uint32 // where a file's data starts
	target   string
	children map[string]*node

	// Filled by plan.
	offset  uint64 // from the start of the inodes; 0 means not placed yet
	nlink   uint32
	entries []dirent
}

func (n *node) isDir() bool { return n.mode&typeMask == typeDir }

// names lists a directory in the order that EROFS wants.
func (n *node) names() []string {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// lookup finds a node without following symlinks.
func (n *node) lookup(parts []string) *node {
	for _, p := range parts {
		if n = n.children[p]; n == nil {
			return nil
		}
	}
	return n
}

// parent finds the directory that holds the last of parts and makes what is
// missing on the way. A symlink on the way is refused and not followed.
func (w *Writer) parent(path string, parts []string) (*node, error) {
	n := w.root
	for _, p := range parts[:len(parts)-1] {
		child := n.children[p]
		if child == nil {
			if err := w.charge(path, len(p)); err != nil {
				return nil, err
			}
			child = newNode(Entry{Kind: Dir, Mode: 0o755})
			n.children[p] = child
		}
		if !child.isDir() {
			return nil, Refuse(path, "one of its parents is not a directory")
		}
		n = child
	}
	return n, nil
}

// place gives a node its name. The later of two wins, as with tar; a directory
// put again keeps what is in it.
func (w *Writer) place(path string, n *node) error {
	parts, err := SplitPath(path)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		if !n.isDir() {
			return Refuse(path, "the root is a directory")
		}
		n.children = w.root.children
		w.root = n
		return nil
	}
	dir, err := w.parent(path, parts)
	if err != nil {
		return err
	}
	name := parts[len(parts)-1]
	if err := w.charge(path, len(name)+len(n.target)); err != nil {
		return err
	}
	if old := dir.children[name]; old != nil && old.isDir() {
		if n.isDir() {
			n.children = old.children
		} else if len(old.children) > 0 {
			return Refuse(path, "a directory that is not empty has that name")
		}
	}
	dir.children[name] = n
	return nil
}

// charge counts a name against the limit on entries. Every 256 bytes of names
// and targets count as one more, so that memory is bounded too.
func (w *Writer) charge(path string, bytes int) error {
	w.entries += 1 + bytes/256
	if w.entries > w.limits.Entries {
		return Refuse(path, "there are too many files")
	}
	return nil
}

func newNode(e Entry) *node {
	if e.MTime.IsZero() || e.MTime.Unix() < 0 {
		e.MTime = Epoch
	}
	n := &node{uid: e.UID, gid: e.GID, sec: uint64(e.MTime.Unix()), nsec: uint32(e.MTime.Nanosecond())}
	switch e.Kind {
	case Dir:
		n.mode = typeDir | uint16(e.Mode&permMask)
		n.children = map[string]*node{}
	case Symlink:
		n.mode = typeSymlink | 0o777
		n.target, n.size = e.Target, uint64(len(e.Target))
	default:
		n.mode = typeFile | uint16(e.Mode&permMask)
	}
	return n
}
