// Package guest is the protocol between the host and the agent inside a box,
// and the host's client of it. The peer is hostile: every length is bounded
// before it is believed, nothing it says chooses our error codes, paths or
// memory use.
//
// A frame is: u32 length of what follows (little-endian, 5 … MaxFrame), u8
// type, u32 stream, payload. A stream is a number that the host chose for one
// operation; the agent only ever answers on streams that the host opened.
// A payload that has several fields is a sequence of u32-length-prefixed byte
// strings; numbers in them are little-endian.
//
// The agent is a single static binary (guest/agent); internal/driver/fake has a
// second implementation in Go.
package guest

// Version is announced by the agent in READY; another one is refused.
const Version = 2

// MaxFrame bounds a frame in both directions, MaxData the payload of a DATA,
// STDIN, STDOUT or STDERR frame.
const (
	MaxFrame = 256 << 10
	MaxData  = 64 << 10
)

// Type is the kind of a frame.
type Type uint8

// Frames from the host.
const (
	// TypeStart is the first frame of every box, cold or restored: fields seed
	// (64 bytes), wall clock (u64 ns), hostname, machine id (32 hex digits); an
	// empty name is left as it is. The agent seeds the kernel's pool, sets both
	// names, detaches every program that a snapshot brought along and thaws.
	// Answered by READY when all that is done, else by ERR.
	TypeStart Type = 1
	// TypePut: fields path, mode u32, and uid u32 and gid u32 where what is made
	// belongs to another than the program's user. DATA frames and END follow on the
	// stream. Parents are made. Answered by OK or ERR after END.
	TypePut Type = 2
	// TypeGet: fields path, max u64. Answered by ENTRY, DATA…, END or by ERR
	// (ELOOP for a symlink, EISDIR, EINVAL for what is not a regular file,
	// EFBIG above max). The path's last component is never followed.
	TypeGet Type = 3
	// TypeList: fields path, max u32. One directory level: ENTRY…, END.
	TypeList Type = 4
	// TypeExec: see ExecRequest. Answered by STARTED, then STDOUT, STDERR,
	// EXIT; or by ERR when it could not start.
	TypeExec Type = 5
	// TypeStdin carries bytes for a program; at most what WINDOW granted.
	TypeStdin Type = 6
	// TypeStdinEOF closes a program's standard input.
	TypeStdinEOF Type = 7
	// TypeSignal: fields signo u32, tree u32: to the program's process group, or
	// with tree 1 to everything that it started, wherever that went.
	TypeSignal Type = 8
	// TypeReset kills every process but the agent and the warm interpreter, and
	// empties the places a program can write to. Answered by OK.
	TypeReset Type = 9
	// TypePrime has the warm interpreter touch what a program touches, so that the
	// program finds it in memory. It comes before START. Answered by STARTED, or by
	// ERR when no interpreter waits.
	TypePrime Type = 10
	// TypeResize: fields rows u32, cols u32; of the stream's terminal. No answer.
	TypeResize Type = 11
	// TypeFreeze has the agent say what it has to say, answer OK, and then leave
	// all programs' output and ends alone until THAW or START: the quiet moment that
	// a snapshot is taken in. Requests of the host are still served.
	TypeFreeze Type = 12
	// TypeThaw ends a freeze. Answered by OK.
	TypeThaw Type = 13
	// TypeAttach: field pid u32: the stream takes over a program that START
	// detached. Answered by STARTED and all that follows an exec, or by ERR ESRCH.
	// No stdin may be sent before a WINDOW grants it: some may still wait inside.
	TypeAttach Type = 14
	// TypeStat: field path. Answered by ENTRY and END, or ERR. Never follows a
	// final symlink; the entry's name is the path's last component.
	TypeStat Type = 15
	// TypeRead: fields path, offset u64, max u64 (2^64-1 = all): like GET from an
	// offset, and without EFBIG. The ENTRY has the file's whole size.
	TypeRead Type = 16
	// TypeMkdir: fields path, mode u32; with its parents. TypeRemove: fields path,
	// recursive u32. TypeRename: fields from, to. TypeSymlink: fields target, path.
	// Answered by OK or ERR. What is made belongs to the program's user, or to uid
	// u32 and gid u32 behind the fields of MKDIR.
	TypeMkdir   Type = 17
	TypeRemove  Type = 18
	TypeRename  Type = 19
	TypeSymlink Type = 20
	// TypeDial: field port u32: connects to that TCP port on localhost. Answered by
	// STARTED (with a pid of 0) or ERR. STDIN, STDIN_EOF, STDOUT and WINDOW are as of
	// a program; an empty STDOUT is the peer's end. When both sides have ended, END
	// follows, or ERR when the connection broke off.
	TypeDial Type = 21
	// TypeWatch: fields path, mask u32 (inotify(7)'s): watches a directory; more of
	// them on the same stream watch more. Each is answered by STARTED with the
	// kernel's number of the watch, or ERR, which does not end the stream. STDOUT
	// frames hold whole struct inotify_event.
	TypeWatch Type = 22
	// TypeHangUp ends the stream of a DIAL or WATCH, with END.
	TypeHangUp Type = 23
)

// Frames from the guest.
const (
	TypeReady   Type = 129 // fields version u32, name
	TypeOK      Type = 130
	TypeErr     Type = 131 // fields errno u32, text
	TypeEntry   Type = 132 // fields kind byte (f, d, l, o), size u64, mode u32, name, mtime u64 (ns), symlink target, uid u32, gid u32 (both absent in old snapshots)
	TypeData    Type = 133 // also host → guest, for PUT
	TypeEnd     Type = 134 // also host → guest, for PUT
	TypeStarted Type = 135 // fields pid u32, or a watch's number
	TypeStdout  Type = 136
	TypeStderr  Type = 137
	TypeExit    Type = 138 // see ExitReport
	// TypeWindow: fields n u32: n more bytes of stdin may be sent; from the host: n
	// more bytes of the program's output.
	TypeWindow Type = 139
)

// Exec flags.
const (
	// ExecWarmStart starts a warm interpreter and keeps it: STARTED follows when
	// it waits for work. Used once, at bake time.
	ExecWarmStart uint32 = 1
	// ExecWarm runs Argv[0] as a script in the warm interpreter.
	ExecWarm uint32 = 2
	// ExecRoot runs as root instead of the program's user: for baking and building,
	// and for callers who ask. The boundary is the same.
	ExecRoot uint32 = 4
	// ExecFork marks a warm interpreter that forks for each program, so that it
	// outlives them (chunk mode).
	ExecFork uint32 = 8
	// ExecTerminal gives the program a pseudo-terminal of the request's size as its
	// controlling terminal; its output is STDOUT.
	ExecTerminal uint32 = 16
	// ExecKeep holds the program's output while it is detached; else it is read and
	// thrown away then, so that nobody blocks on a reader that is gone.
	ExecKeep uint32 = 32
	// ExecAs runs as the request's user and group instead of the program's user.
	ExecAs uint32 = 64
)

// Windows. Who sends more breaks the protocol.
const (
	// InitialWindow is how many bytes of stdin may be sent before a WINDOW frame.
	InitialWindow = 64 << 10
	// OutputWindow is how much output a program has before a WINDOW frame of the
	// host, stdout and stderr together. A frame of n bytes takes n + OutputCost of it,
	// so that the host's memory for what a slow reader has not taken is bounded.
	OutputWindow = 256 << 10
	OutputCost   = 64
)
