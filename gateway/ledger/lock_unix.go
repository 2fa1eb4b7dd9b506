//go:build unix

package ledger

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file for this process. The system gives it back when the process ends, however it does.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
