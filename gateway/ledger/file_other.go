//go:build !linux

package ledger

import (
	"errors"
	"os"
)

// canMap says whether files can be written through memory.
const canMap = false

func mapFile(*os.File, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

func populate([]byte) {}

func unmapFile([]byte) error { return errors.ErrUnsupported }

func checkMappable(string) error { return errors.ErrUnsupported }

func syncFile(f *os.File) error { return f.Sync() }
