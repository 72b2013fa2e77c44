package api

import (
	"math"
	"strconv"
	"strings"
)

var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1},
}

// ParseBytes reads "512MiB", "1.5G", "100kB" or plain bytes. K, M and G alone
// are powers of 1024, as in Docker and Kubernetes users' habits.
func ParseBytes(s string) (int64, error) {
	bad := Errorf(CodeInvalid, "cannot read %q as a size: because it is not a number with a unit", s).WithFix("write it like 512MiB, 64M or 1000000")
	t := strings.ToUpper(strings.TrimSpace(s))
	factor := 1.0
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(t, u.suffix); ok {
			t, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	// Go's float syntax allows inf, hex and underscores: sizes do not.
	if t == "" || strings.Trim(t, "0123456789.") != "" {
		return 0, bad
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || n*factor >= math.MaxInt64 {
		return 0, bad
	}
	return int64(n * factor), nil
}

// FormatBytes prints n with the largest binary unit that keeps it exact enough
// to read: 512MiB, 1.5GiB, 17B.
func FormatBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for math.Abs(f) >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) + units[i]
}
