// Package ledger keeps what was spent: a row for each attempt that went to a provider, and for each answer that came from a
// cache. A row is written ahead to a journal on the local disk, as an intent before the attempt and as a seal after it, and
// shipped from there to a store.
//
// What is in the journal is there for good: the end of the process, however it comes, loses none of it, and the end of the
// machine what was written in the few milliseconds before. An attempt whose seal is missing becomes a row of which nothing is
// known but its intent, and how much of the answer had passed when the journal was last told. What a store has taken may be handed
// to it again: ids tell it so.
//
// There is room for the seal of each attempt that was intended before it is made, on the disk and not only in a file's name,
// so that a full disk refuses what is new and loses nothing of what is under way.
package ledger
