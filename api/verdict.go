package api

// Verdict is the fate of a program: a result, never an error.
type Verdict string

// The verdicts. docs/verdicts.md says what evidence each one takes.
const (
	OK          Verdict = "ok"
	Nonzero     Verdict = "nonzero"
	Signal      Verdict = "signal"
	Timeout     Verdict = "timeout"
	CPUTime     Verdict = "cpu_time"
	OOM         Verdict = "oom"
	PIDs        Verdict = "pids"
	DiskFull    Verdict = "disk_full"
	OutputLimit Verdict = "output_limit"
	BadResult   Verdict = "bad_result"
	Cancelled   Verdict = "cancelled"
	Unknown     Verdict = "unknown"
	Infra       Verdict = "infra"
)

// Verdicts lists every verdict, best first.
func Verdicts() []Verdict {
	return []Verdict{OK, Nonzero, Signal, Timeout, CPUTime, OOM, PIDs, DiskFull, OutputLimit, BadResult, Cancelled, Unknown, Infra}
}

// Evidence is what a verdict rests on; what does not apply is zero.
type Evidence struct {
	Reason      string `json:"reason,omitempty"`       // one line for people, ours and never the guest's
	LimitName   string `json:"limit,omitempty"`        // the limit that was hit: "memory", "timeout", …
	Limit       int64  `json:"limit_value,omitempty"`  // its value, in bytes, milliseconds or count
	Peak        int64  `json:"peak,omitempty"`         // the most that was seen, in the same unit
	OOMKills    int64  `json:"oom_kills,omitempty"`    // processes that the kernel killed for memory
	ForkRefused int64  `json:"fork_refused,omitempty"` // clones refused by the pids limit
	DiskRefused int64  `json:"disk_refused,omitempty"` // writes refused by the disk limit
}
