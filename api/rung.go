package api

import "strings"

// Rung is a kind of boundary between a program and the host, weakest first.
type Rung string

// The ladder. Process is no boundary at all.
const (
	RungProcess      Rung = "process"
	RungWASM         Rung = "wasm"
	RungContainer    Rung = "container"
	RungGVisor       Rung = "gvisor"
	RungMicroVM      Rung = "microvm"
	RungKata         Rung = "kata"
	RungConfidential Rung = "confidential"
)

// Rungs lists the ladder, weakest first.
func Rungs() []Rung {
	return []Rung{RungProcess, RungWASM, RungContainer, RungGVisor, RungMicroVM, RungKata, RungConfidential}
}

// ParseRung reads a rung's name.
func ParseRung(s string) (Rung, error) {
	names := make([]string, 0, len(Rungs()))
	for _, r := range Rungs() {
		if string(r) == s {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", Errorf(CodeInvalid, "cannot use isolation %q: because there is no such rung", s).WithFix("use auto or one of %s", strings.Join(names, ", "))
}

// AtLeast tells whether r is as strong as floor or stronger.
func (r Rung) AtLeast(floor Rung) bool {
	ri, fi := -1, -1
	for i, x := range Rungs() {
		if x == r {
			ri = i
		}
		if x == floor {
			fi = i
		}
	}
	return ri >= 0 && fi >= 0 && ri >= fi
}
