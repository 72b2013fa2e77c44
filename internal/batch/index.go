package batch

// flag is what is known of an item.
type flag uint8

const (
	selected flag = 1 << iota // this run is about it
	recorded                  // the journal has a record of it
	done                      // the journal has its result, which stands
	lost                      // it was dispatched before, without an outcome
	queued                    // it was dispatched in this run, or passed over for good
)

// index knows every item of the input, in 17 bytes and a map's overhead.
type index map[key]flag

func (x index) set(k key, f flag) { x[k] |= f }

// pending tells whether an item is to be dispatched: fresh ones first, those
// that were lost before when everything else is done.
func (x index) pending(k key, lostOnes bool) bool {
	f := x[k]
	return f&selected != 0 && f&(done|queued) == 0 && (f&lost != 0) == lostOnes
}

func (x index) count(f flag) (n int64) {
	for _, have := range x {
		if have&f == f {
			n++
		}
	}
	return n
}
