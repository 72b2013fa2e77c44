package doctor

import (
	"errors"
	"io/fs"
	"runtime"
)

// kvmCheck says whether hardware virtualisation works, by running a guest of
// one instruction. No rung of this version needs it.
func kvmCheck() Check {
	const name = "kvm"
	err := runKVMGuest("/dev/kvm")
	switch {
	case err == nil:
		return Check{name, OK, "a guest ran (no rung of this version uses it)", ""}
	case errors.Is(err, errors.ErrUnsupported):
		return Check{name, Warn, "not probed on " + runtime.GOARCH + " (no rung of this version uses it)", ""}
	case errors.Is(err, fs.ErrNotExist):
		return Check{name, Warn, "there is no /dev/kvm (no rung of this version needs it)", "use a machine with hardware or nested virtualisation: modprobe kvm_intel or kvm_amd"}
	case errors.Is(err, fs.ErrPermission):
		return Check{name, Warn, "/dev/kvm is not yours to open", "sudo usermod -aG kvm $USER, then log in again"}
	}
	return Check{name, Warn, "/dev/kvm is there, but no guest ran: " + err.Error(), ""}
}
