package image

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Of the on-disk format: https://docs.kernel.org/filesystems/erofs.html
const (
	magic         = 0xe0f5e1e2
	superOffset   = 1024
	inodeSize     = 64
	direntSize    = 12
	slotBits      = 5 // inode numbers count 32-byte slots
	firstInode    = inodeSize
	formatPlain   = 1     // extended inode, data in blocks
	formatInline  = 1 | 4 // extended inode, data right behind it
	checksumBit   = 1     // compatible feature: the superblock has a checksum
	noBlock       = 1<<32 - 1
	dirtypeFile   = 1
	dirtypeDir    = 2
	dirtypeSymlnk = 7
)

// dirent is one name of a directory.
type dirent struct {
	name string
	node *node
}

// layout is where everything that describes the files goes.
type layout struct {
	metaBlock uint32  // where the inodes start
	metaSize  uint64  // of the inodes, in bytes, whole blocks
	nodes     []*node // in order of their offsets
	inodes    int
	nextBlock uint32  // the first after everything
	big       []*node // directories and symlinks that have blocks of their own
}

// plan gives every node that the root reaches its place, in the order of a walk
// by name, so that a directory's inodes are close together.
func plan(root *node, firstFree uint32) *layout {
	l := &layout{metaBlock: firstFree, metaSize: firstInode}
	l.visit(root, root)
	l.metaSize = roundUp(l.metaSize, blockSize)
	l.inodes = len(l.nodes)
	l.nextBlock = l.metaBlock + uint32(l.metaSize>>blockBits)
	for _, n := range l.nodes {
		if n.mode&typeMask != typeFile && n.size > inlineMax {
			n.block = l.nextBlock
			l.nextBlock += uint32(roundUp(n.size, blockSize) >> blockBits)
			l.big = append(l.big, n)
		}
	}
	return l
}

// inlineMax is how much fits behind an inode in its block.
const inlineMax = blockSize - inodeSize

func (l *layout) visit(n, parent *node) {
	n.nlink++
	if n.offset != 0 {
		return // another name of it has been here
	}
	if n.isDir() {
		n.nlink = 2
		n.entries = n.list(parent)
		n.size = direntsSize(n.entries)
	}
	at, need := l.metaSize, inodeSize+n.inlineSize()
	if at%blockSize+need > blockSize {
		at = roundUp(at, blockSize)
	}
	n.offset = at
	l.metaSize = roundUp(at+need, 1<<slotBits)
	// An inode itself may not straddle two blocks either.
	if l.metaSize%blockSize > blockSize-inodeSize {
		l.metaSize = roundUp(l.metaSize, blockSize)
	}
	l.nodes = append(l.nodes, n)
	for _, e := range n.entries {
		if e.name == "." || e.name == ".." {
			continue
		}
		l.visit(e.node, n)
		if e.node.isDir() {
			n.nlink++
		}
	}
}

func (n *node) inlineSize() uint64 {
	if n.mode&typeMask == typeFile || n.size > inlineMax {
		return 0
	}
	return n.size
}

// list gives a directory's entries, itself and its parent among them, by name.
func (n *node) list(parent *node) []dirent {
	entries := make([]dirent, 0, len(n.children)+2)
	dots := []dirent{{".", n}, {"..", parent}}
	for _, name := range n.names() {
		for len(dots) > 0 && dots[0].name < name {
			entries, dots = append(entries, dots[0]), dots[1:]
		}
		entries = append(entries, dirent{name, n.children[name]})
	}
	return append(entries, dots...)
}

// write writes the inodes and then the directories that have their own blocks.
func (l *layout) write(w io.Writer) error {
	var b bytes.Buffer
	at := uint64(0)
	for _, n := range l.nodes {
		b.Write(make([]byte, n.offset-at))
		n.inode(&b)
		at = n.offset + inodeSize + n.inlineSize()
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	b.Write(make([]byte, l.metaSize-at))
	for _, n := range l.big {
		n.body(&b)
		b.Write(make([]byte, roundUp(n.size, blockSize)-n.size))
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	_, err := b.WriteTo(w)
	return err
}

func (n *node) inode(b *bytes.Buffer) {
	format, block := uint16(formatPlain), n.block
	if n.inlineSize() > 0 {
		format, block = formatInline, noBlock
	}
	le := binary.LittleEndian
	p := make([]byte, 0, inodeSize)
	p = le.AppendUint16(p, format)
	p = le.AppendUint16(p, 0) // extended attributes
	p = le.AppendUint16(p, n.mode)
	p = le.AppendUint16(p, 0)
	p = le.AppendUint64(p, n.size)
	p = le.AppendUint32(p, block)
	p = le.AppendUint32(p, uint32(n.offset>>slotBits)) // ino for 32-bit callers
	p = le.AppendUint32(p, n.uid)
	p = le.AppendUint32(p, n.gid)
	p = le.AppendUint64(p, n.sec)
	p = le.AppendUint32(p, n.nsec)
	p = le.AppendUint32(p, n.nlink)
	b.Write(p[:inodeSize])
	if n.inlineSize() > 0 {
		n.body(b)
	}
}

// body writes what a directory or symlink holds.
func (n *node) body(b *bytes.Buffer) {
	if n.isDir() {
		dirents(b, n.entries)
	} else {
		b.WriteString(n.target)
	}
}

// dirents writes a directory: blocks that each hold as many entries as fit, and
// then their names.
func dirents(b *bytes.Buffer, entries []dirent) {
	le := binary.LittleEndian
	for len(entries) > 0 {
		n, used := fit(entries)
		name := n * direntSize
		for _, e := range entries[:n] {
			p := make([]byte, 0, direntSize)
			p = le.AppendUint64(p, e.node.offset>>slotBits)
			p = le.AppendUint16(p, uint16(name))
			p = append(p, e.node.dirtype(), 0)
			b.Write(p)
			name += len(e.name)
		}
		for _, e := range entries[:n] {
			b.WriteString(e.name)
		}
		if entries = entries[n:]; len(entries) > 0 {
			b.Write(make([]byte, blockSize-used))
		}
	}
}

func (n *node) dirtype() byte {
	switch n.mode & typeMask {
	case typeDir:
		return dirtypeDir
	case typeSymlink:
		return dirtypeSymlnk
	}
	return dirtypeFile
}

// fit tells how many entries go into one block and what they take of it.
func fit(entries []dirent) (n, used int) {
	for _, e := range entries {
		size := direntSize + len(e.name)
		if used+size > blockSize {
			break
		}
		n, used = n+1, used+size
	}
	return n, used
}

func direntsSize(entries []dirent) (size uint64) {
	for len(entries) > 0 {
		n, used := fit(entries)
		if entries = entries[n:]; len(entries) > 0 {
			used = blockSize
		}
		size += uint64(used)
	}
	return size
}

// superblock gives block 0. The kernel and gVisor tell images apart by the
// UUID, which is the start of the content's hash.
func (l *layout) superblock(content []byte) []byte {
	le := binary.LittleEndian
	p := make([]byte, superOffset, blockSize)
	p = le.AppendUint32(p, magic)
	p = le.AppendUint32(p, 0) // checksum, below
	p = le.AppendUint32(p, checksumBit)
	p = append(p, blockBits, 0)
	p = le.AppendUint16(p, firstInode>>slotBits) // the root directory
	p = le.AppendUint64(p, uint64(l.inodes))
	p = le.AppendUint64(p, uint64(Epoch.Unix()))
	p = le.AppendUint32(p, 0)
	p = le.AppendUint32(p, l.nextBlock)
	p = le.AppendUint32(p, l.metaBlock)
	p = le.AppendUint32(p, 0) // no extended attributes
	p = append(p, content[:16]...)
	p = p[:blockSize]
	sum := ^crc32.Checksum(p[superOffset:], crc32.MakeTable(crc32.Castagnoli))
	le.PutUint32(p[superOffset+4:], sum)
	return p
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }
