package batch

// flag is what is known of an item.
type flag uint8

const (
	selected flag = 1 << iota // this run is about it
	recorded                  // the journal has a record of it
	done                      // the journal has its result, which stands
	lost                      // it was dispatched before, without an outcome
	suspect                   // it was so more than once
	queued                    // it was dispatched in this run, or passed over for good
)

// index knows every item of the input, in 17 bytes and a map's overhead.
type index map[key]flag

func (x index) set(k key, f flag) { x[k] |= f }

// round is one of the passes in which items are dispatched. An item that kills
// its brig must keep no other from its result, and take no other with it: those
// that were lost come when all others are done, and those that were lost more
// than once run alone.
type round int

const (
	fresh round = iota
	lostOnce
	suspects
	rounds
)

// in tells whether an item is to be dispatched in a round.
func (x index) in(n round, k key) bool {
	f := x[k]
	if f&selected == 0 || f&(done|queued) != 0 {
		return false
	}
	switch {
	case f&suspect != 0:
		return n == suspects
	case f&lost != 0:
		return n == lostOnce
	}
	return n == fresh
}

// any tells whether a round has items.
func (x index) any(n round) bool {
	for k := range x {
		if x.in(n, k) {
			return true
		}
	}
	return false
}
