package host

import (
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

func TestChoiceOfRung(t *testing.T) {
	var (
		process  = candidate{"process", api.RungProcess}
		gvisor   = candidate{"gvisor", api.RungGVisor}
		fire     = candidate{"firecracker", api.RungMicroVM}
		qemu     = candidate{"qemu", api.RungMicroVM}
		all      = []candidate{process, gvisor, fire, qemu}
		works    = driver.Probe{OK: true}
		emulated = driver.Probe{OK: true, Emulated: true}
		broken   = driver.Probe{Reason: "there is no /dev/kvm", Fix: "modprobe kvm"}
		host     = map[string]driver.Probe{"process": works, "gvisor": works, "firecracker": broken, "qemu": emulated}
		vmHost   = map[string]driver.Probe{"process": works, "gvisor": works, "firecracker": works, "qemu": works}
		noHost   = map[string]driver.Probe{"process": works, "gvisor": broken, "firecracker": broken, "qemu": emulated}
	)
	tests := []struct {
		name    string
		req     rungRequest
		drivers []candidate
		probes  map[string]driver.Probe
		want    string // driver, or
		code    api.Code
		says    string // in message or fix
	}{
		{"auto takes the strongest that works", rungRequest{}, all, vmHost, "firecracker", "", ""},
		{"auto skips what is broken or emulated", rungRequest{Want: "auto"}, all, host, "gvisor", "", ""},
		{"auto never goes below the default floor", rungRequest{Want: "auto", AllowUnsafe: true}, all, noHost, "", api.CodeUnavailable, "modprobe kvm"},
		{"auto says why", rungRequest{}, all, noHost, "", api.CodeUnavailable, "there is no /dev/kvm"},
		{"a higher floor is kept", rungRequest{Floor: api.RungMicroVM}, all, host, "", api.CodeUnavailable, "firecracker"},
		{"a lower floor still takes the strongest", rungRequest{Floor: api.RungProcess, AllowUnsafe: true}, all, host, "gvisor", "", ""},
		{"the lowest floor with consent", rungRequest{Floor: api.RungProcess, AllowUnsafe: true}, all, noHost, "process", "", ""},
		{"the lowest floor without consent", rungRequest{Floor: api.RungProcess}, []candidate{process}, noHost, "", api.CodeUnavailable, "floor process"},
		{"a floor that is no rung", rungRequest{Floor: "castle"}, all, host, "", api.CodeInvalid, "castle"},
		{"no driver reaches the floor", rungRequest{}, []candidate{process}, host, "", api.CodeUnavailable, "gvisor"},
		{"named", rungRequest{Want: "gvisor"}, all, vmHost, "gvisor", "", ""},
		{"named and below the floor", rungRequest{Want: "gvisor", Floor: api.RungKata}, all, vmHost, "gvisor", "", ""},
		{"named and broken is never replaced", rungRequest{Want: "gvisor"}, all, noHost, "", api.CodeUnavailable, "modprobe kvm"},
		{"named takes emulation", rungRequest{Want: "microvm"}, all, host, "qemu", "", ""},
		{"named without a driver", rungRequest{Want: "kata"}, all, host, "", api.CodeUnavailable, "no driver"},
		{"no such rung", rungRequest{Want: "castle"}, all, host, "", api.CodeInvalid, "castle"},
		{"process without consent", rungRequest{Want: "process"}, all, host, "", api.CodeUnavailable, "--isolation process --unsafe-no-isolation"},
		{"process with consent", rungRequest{Want: "process", AllowUnsafe: true}, all, host, "process", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := chooseForTest(tt.req, tt.drivers, tt.probes)
			if tt.code != "" {
				if err == nil || api.CodeOf(err) != tt.code {
					t.Fatalf("got %v, %v; want code %s", got, err, tt.code)
				}
				if text := err.Error() + " | " + api.FixOf(err); !strings.Contains(text, tt.says) {
					t.Errorf("%q does not say %q", text, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Driver != tt.want {
				t.Errorf("chose %s, want %s", got.Driver, tt.want)
			}
		})
	}
}

func chooseForTest(r rungRequest, drivers []candidate, probes map[string]driver.Probe) (candidate, error) {
	list, err := eligible(r, drivers)
	if err != nil {
		return candidate{}, err
	}
	return strongest(r, list, func(c candidate) (driver.Probe, error) { return probes[c.Driver], nil })
}
