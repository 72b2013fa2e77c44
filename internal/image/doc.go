// Package image turns root filesystems into EROFS images: one read-only file
// that a sandbox's kernel maps, so that all sandboxes of a template share its
// pages.
//
// Sources are a tar stream, a directory, another image, and files in memory.
// All are treated as hostile: names are only ever places in a tree in memory,
// never paths of the host, and sizes and counts are capped. Devices, sockets,
// extended attributes and set-id bits are dropped; a sandbox needs none of them.
//
// The layout is the plainest that EROFS has, because gVisor reads nothing else
// and maps file data straight from the image:
//
//	block 0    superblock at byte 1024
//	block 1…   file data, each file from a block of its own, in order of arrival
//	           inodes of 64 bytes in order of the tree, each followed by its
//	           symlink target or directory when that fits in the same block
//	           directories and targets that did not fit
//
// The bytes depend on nothing but what was put in and in which order: the build
// time is fixed and the UUID is taken from the content.
package image
