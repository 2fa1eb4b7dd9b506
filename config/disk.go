package config

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// disk reads the files of one load, or of one look at them, and remembers what they held.
type disk struct {
	sums  map[string]digest // by path
	known stamps
}

type digest = [sha256.Size]byte

// stamps are what is known of files from earlier: a file that still is the same one, of the same size and age, holds the
// same. Of ten thousand tenants one changes.
type stamps map[string]stamp

type stamp struct {
	info fs.FileInfo
	sum  digest
}

// racy is how old a file must be, by its own time, for that time to tell one content from the next: what is written within a
// tick of the file system's clock has the same.
const racy = 2 * time.Second

func newDisk(known stamps) disk { return disk{sums: map[string]digest{}, known: known} }

// read returns a regular file's content.
func (d disk) read(path string, limit int64) ([]byte, error) {
	data, err := readRegular(path, limit)
	if err != nil {
		d.sums[path] = sha256.Sum256([]byte("error: " + err.Error()))
		return nil, err
	}
	d.sums[path] = sha256.Sum256(data)
	return data, nil
}

// look returns the digest of a regular file's content, and the content only if the file had to be read for that.
func (d disk) look(path string, limit int64) (sum digest, data []byte, err error) {
	info, err := os.Stat(path)
	if err == nil {
		if s, ok := d.known[path]; ok && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime()) && os.SameFile(s.info, info) {
			d.sums[path] = s.sum
			return s.sum, nil, nil
		}
	}
	began := time.Now()
	if data, err = d.read(path, limit); err != nil {
		delete(d.known, path)
		return d.sums[path], nil, err
	}
	sum = d.sums[path]
	if info != nil && began.Sub(info.ModTime()) > racy {
		d.known[path] = stamp{info, sum}
	} else {
		delete(d.known, path)
	}
	return sum, data, nil
}

// sum returns one digest for all that was read.
func (d disk) sum() digest {
	var all bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(d.sums)) {
		sum := d.sums[path]
		all.WriteString(path + "\x00")
		all.Write(sum[:])
	}
	return sha256.Sum256(all.Bytes())
}
