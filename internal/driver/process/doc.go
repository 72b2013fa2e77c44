// Package process is the driver that is no boundary: a program runs as the user
// who runs Brig, on the host's own filesystem, in a private directory that it
// may leave. It is for code that is trusted, and for machines where nothing
// else works. Brig uses it only with --isolation process
// --unsafe-no-isolation.
//
// A box is the guest agent as a child process with a directory of its own,
// mode 0700, whose work/ stands for /work in the protocol's paths and as the
// working directory. A program that opens /work itself finds the host's.
//
// # Limits
//
// What is enforced, by the kernel's resource limits: memory and file size for
// each process alone, open files, processor time for each process alone, no core
// dumps. The wall clock and the output are limited by the host as on every rung.
//
// What is not: memory of the whole tree, memory that is not a private writable
// mapping (a file in /tmp or /dev/shm), and the verdict oom, because a process
// that is refused memory just fails; disk space beyond the size of one file, and
// the number of files; processes, beyond RLIMIT_NPROC, which counts all
// processes of the user and none of root's; the share of processors. The
// network, other processes, and the user's files are all within reach.
//
// # Ending
//
// Every process of a box is killed that still carries the box's mark (mark.go),
// however it was forked. A program that takes care to remove the mark stays.
package process
