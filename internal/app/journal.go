package app

import (
	"context"
	"log/slog"

	"github.com/brigdev/brig/internal/store"
	"github.com/brigdev/brig/internal/store/jetstream"
)

// OpenJournal opens the durable state of a batch, in its directory. Errors: as
// jetstream.Open.
func OpenJournal(ctx context.Context, dir string, log *slog.Logger) (store.Store, error) {
	s, err := jetstream.Open(ctx, dir, jetstream.Options{Log: log})
	if err != nil {
		return nil, err
	}
	return s, nil
}
