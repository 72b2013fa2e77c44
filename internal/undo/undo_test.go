package undo

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestRunGoesBackInReverseUnderItsOwnDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var s Stack
	var order []int
	broken := errors.New("broken")
	for i := range 3 {
		s.Add("take back", func(ctx context.Context) error {
			order = append(order, i)
			if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
				t.Errorf("step %d: deadline %v, err %v", i, ok, ctx.Err())
			}
			if i == 1 {
				return broken
			}
			return nil
		})
	}
	err := s.Run(ctx, time.Minute)
	if !errors.Is(err, broken) || err.Error() != "cannot take back: broken" {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(order, []int{2, 1, 0}) {
		t.Errorf("order %v", order)
	}
	if err := s.Run(ctx, time.Minute); err != nil || len(order) != 3 {
		t.Errorf("a second Run did something: %v, %v", order, err)
	}
}

func TestKeep(t *testing.T) {
	var s Stack
	s.Add("fail", func(context.Context) error { return errors.New("was run") })
	s.Keep()
	if err := s.Run(context.Background(), time.Minute); err != nil {
		t.Error(err)
	}
}
