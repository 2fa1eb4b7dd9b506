// Command tables makes the vocabulary of package text from WordNet 3.0 and Moby Thesaurus II.
//
//	go run ./plugins/cache/text/tables -wordnet /usr/share/wordnet -moby words.txt -o plugins/cache/text/words.bin
//
// WordNet is Debian's package wordnet-base; its licence stands in plugins/cache/text/NOTICE. Moby Thesaurus is in the
// public domain: the file words.txt of the npm package moby. The same input makes the same file.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("wordnet", "/usr/share/wordnet", "folder with data.noun, index.noun, noun.exc, cntlist.rev and the like")
	moby := flag.String("moby", "words.txt", "Moby Thesaurus: lines of words with commas between them")
	out := flag.String("o", "words.bin", "file to write")
	flag.Parse()
	if err := run(*dir, *moby, *out); err != nil {
		log.Fatal("tables: ", err)
	}
}

func run(dir, moby, out string) error {
	net, err := readNet(dir)
	if err != nil {
		return err
	}
	entries, err := readMoby(moby)
	if err != nil {
		return err
	}
	v := newVocabulary(net, entries)
	pairs := relations(net, entries, v)
	vectors := embed(net, entries, v)
	b, err := encode(v, pairs, vectors)
	if err != nil {
		return err
	}
	var kinds [related + 1]int
	for _, p := range pairs {
		kinds[p.kind]++
	}
	log.Printf("synonym, derived, antonym, broader, related: %d", kinds)
	log.Printf("%d words, %d with vectors, %d pairs, %d bytes", len(v.words), v.vectors, len(pairs), len(b))
	return os.WriteFile(out, b, 0o644) //nolint:gosec // a table that is committed
}
