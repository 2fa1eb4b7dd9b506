// Package ledger keeps what was spent: a row for each attempt that went to a provider, and for each answer that came from a
// cache. A row is written ahead to a journal on the local disk, as an intent before the attempt and as a seal after it, and
// shipped from there to a store.
package ledger
