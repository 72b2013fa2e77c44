//go:build !amd64

package doctor

import "errors"

// runKVMGuest has no guest for this architecture.
func runKVMGuest(string) error { return errors.ErrUnsupported }
