package host

import (
	"context"
	"errors"
	"syscall"

	"github.com/brigdev/brig/api"
)

// Watch tells what changes in a directory.
func (s *session) Watch(ctx context.Context, dir string, recursive bool, ready func(), give func(api.FileChange) error) error {
	dir, err := s.fileOp(dir)
	if err != nil {
		return err
	}
	var refused error
	err = s.client.Watch(ctx, dir, recursive, ready, func(c api.FileChange) error {
		refused = give(c)
		return refused
	})
	switch {
	case refused != nil:
		return refused
	case errors.Is(err, syscall.ENOSYS):
		return s.errOldGuest("watch " + dir)
	case errors.Is(err, syscall.EMFILE):
		return api.Errorf(api.CodeExhausted, "cannot watch %s: because sandbox %s has too many watches and connections", dir, s.id).
			WithFix("end some of them")
	}
	return s.fileError(ctx, "watch "+dir, err)
}
