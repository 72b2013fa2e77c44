package control

import (
	"os"
)

// wheel holds the newest bytes of a stream, addressed by their offset in it: what
// is put size bytes later takes their place. It is in memory, or in a file that
// has no name. Who uses it knows what is in it.
type wheel struct {
	size int64
	mem  []byte // as much of it as was ever used
	file *os.File
}

func (w *wheel) put(at int64, p []byte) error {
	return w.turn(at, p, func(pos int64, part []byte) error {
		if w.file != nil {
			_, err := w.file.WriteAt(part, pos)
			return err
		}
		if need := int(pos) + len(part) - len(w.mem); need > 0 {
			w.mem = append(w.mem, make([]byte, need)...)
		}
		copy(w.mem[pos:], part)
		return nil
	})
}

func (w *wheel) get(at int64, p []byte) error {
	return w.turn(at, p, func(pos int64, part []byte) error {
		if w.file != nil {
			_, err := w.file.ReadAt(part, pos)
			return err
		}
		copy(part, w.mem[pos:])
		return nil
	})
}

// turn does something with the places of the bytes at an offset: two of them when
// they go round.
func (w *wheel) turn(at int64, p []byte, do func(pos int64, part []byte) error) error {
	for len(p) > 0 {
		pos := at % w.size
		n := min(int64(len(p)), w.size-pos)
		if err := do(pos, p[:n]); err != nil {
			return err
		}
		p, at = p[n:], at+n
	}
	return nil
}

// move puts the bytes from start to end into a file of a larger size in dir. When
// that fails, nothing has changed.
func (w *wheel) move(dir string, size, start, end int64) error {
	held := make([]byte, end-start)
	if err := w.get(start, held); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "output-*")
	if err != nil {
		return err
	}
	next := wheel{size: size, file: f}
	err = os.Remove(f.Name()) // it goes with us, however we end
	if err == nil {
		err = next.put(start, held)
	}
	if err != nil {
		f.Close()
		return err
	}
	*w = next
	return nil
}

// empty lets go of all bytes; the wheel is in memory again.
func (w *wheel) empty() {
	if w.file != nil {
		w.file.Close() // nobody wants what may be unwritten
	}
	*w = wheel{size: memoryOutput}
}
