package netserver

import "golang.org/x/sys/unix"

// RaiseDescriptors raises the number of descriptors that this process may have
// open from its soft to its hard limit, and gives the number. Each connection
// takes one. (The Go runtime does the same unasked at present, but promises
// nothing, and the number is worth knowing: it belongs into the first lines of
// the log.)
func RaiseDescriptors() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return 0, err
		}
	}
	return limit.Cur, nil
}
