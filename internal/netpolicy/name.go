package netpolicy

import (
	"fmt"
	"strings"
)

const (
	maxName  = 253
	maxLabel = 63
)

// ParseName checks a host name and gives its one spelling: lower case, without
// a final dot. It is strict on purpose: what two parsers could read differently
// (a NUL, a space, an address in an odd notation, a letter that is not ASCII)
// is no name at all.
func ParseName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > maxName {
		return "", fmt.Errorf("a name has 1 to %d characters", maxName)
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return "", err
		}
	}
	if last := labels[len(labels)-1]; isNumber(last) {
		return "", fmt.Errorf("a name does not end in a number: %q could be an address", last)
	}
	return name, nil
}

func checkLabel(l string) error {
	if l == "" || len(l) > maxLabel {
		return fmt.Errorf("the parts between the dots have 1 to %d characters", maxLabel)
	}
	for i := range len(l) {
		c := l[i]
		inside := c == '-' && i > 0 && i < len(l)-1
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || inside) {
			return fmt.Errorf("%q is not made of letters a-z, digits and -", l)
		}
	}
	return nil
}

// isNumber tells whether inet_aton and browsers would take the last part of a
// name for (the end of) an IPv4 address: digits, or 0x and hex digits.
func isNumber(l string) bool {
	if hex, ok := strings.CutPrefix(l, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(l, "0123456789") == ""
}
