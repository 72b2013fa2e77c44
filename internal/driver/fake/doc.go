// Package fake is a driver whose boxes are a few Go values: an agent that
// speaks the guest protocol over net.Pipe, files in memory, and programs in a
// tiny script language. It makes thousands of boxes a second, so the parts
// above a driver are tested with it, and it fails on request, so their error
// paths are too. It gives no isolation and needs none: a script can only do
// what is listed here.
//
// # What runs
//
// A program's script is, in this order: the argument after "-c"; the body of
// the first argument that names a file in the box, whatever its language was
// meant to be ("python3 /work/run.py"); or the arguments themselves as one
// instruction ("exit 3"). A warm exec runs the file that Argv[0] names. What is
// none of these is not found: exit code 127, as in a shell.
//
// # Scripts
//
// One instruction a line; blank lines and lines that begin with # are skipped.
// PATH is absolute or below the working directory. TEXT is the rest of the line
// as it stands, or a Go string literal behind a dollar sign for any bytes:
// $"a\xff\n". Sizes are written like 64KiB, durations like 50ms.
//
//	stdout TEXT, stderr TEXT   print the line; the $ form adds no newline
//	echo TEXT                  the same as stdout
//	cat [PATH]                 print a file, or standard input to its end
//	flood [SIZE]               print x, for ever or so much of it
//	env [NAME]                 print the environment, or one value of it
//	random                     16 hex digits drawn from the seed of START
//	hostname, mode             print the box's name; "warm" or "cold"
//	id                         print uid and gid
//	sizes                      print the terminal's size, read, print it again
//	write PATH TEXT            make a file; append adds to one
//	churn PATH N               write a file N times
//	copy SRC DST, rm PATH, mkdir PATH, symlink TARGET PATH, fifo PATH
//	sparse PATH SIZE           a file of zeros that takes no space
//	fill PATH SIZE             a file of zeros that does
//	sleep DURATION, hang       wait; hang until killed
//	cpu DURATION               use processor time, without waiting for it
//	spin                       use processor time until killed
//	mem SIZE                   hold so much memory; beyond the limit it is oom
//	fork N                     have N processes more
//	pid PATH                   write the program's process id
//	daemon PATH                leave a process behind, and write its id
//	alive PATH, stop PATH      is there a process of that id; end it
//	listen PORT                echo what connections to that port say, until killed
//	http PORT                  answer HTTP there with what was asked, until killed
//	true, false, exit N        end; the end of the script is exit 0
//	signal N                   die by that signal
//	oom [box]                  be killed for memory, alone or with the box
//	die [TEXT]                 end the box from inside
//	mute                       the agent never answers again
//	lie KIND                   break the protocol; KIND as in Lie
//
// An instruction that fails (no such file, disk full, too many processes) says
// so on stderr and ends the program with exit code 1.
//
// A program that is in a snapshot starts its script again in the clone.
//
// # Faults
//
// Options.Fault chooses, for the nth Create, how that box fails: see Fault.
package fake
