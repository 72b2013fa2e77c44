package api

import "slices"

// ShellCode is a program's end as one number, as shells and timeout(1) have it.
// A program that ended by itself keeps its own code; every limit has a fixed one
// (docs/verdicts.md).
func (r ExecResult) ShellCode() int {
	switch r.Verdict {
	case OK:
		return 0
	case Nonzero:
		if r.ExitCode != nil {
			return *r.ExitCode
		}
		return 1
	case Signal:
		return 128 + signalNumber(r.Signal)
	case BadResult:
		return 121
	case PIDs:
		return 122
	case DiskFull:
		return 123
	case Timeout:
		return 124
	case Cancelled:
		return 130
	case OOM:
		return 137
	case CPUTime:
		return 152
	case OutputLimit:
		return 153
	}
	return 125 // unknown, infra
}

// signalNumber is Linux's number of a signal, 0 for a name that is none.
func signalNumber(name string) int {
	return 1 + slices.Index([]string{
		"SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
		"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
		"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
	}, name)
}

// SignalNumber reads "SIGTERM", "TERM" or "15"; 0 for what is no signal.
func SignalNumber(s string) int {
	if n := signalNumber(s); n > 0 {
		return n
	}
	if n := signalNumber("SIG" + s); n > 0 {
		return n
	}
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 64 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 64 {
		return 0
	}
	return n
}
