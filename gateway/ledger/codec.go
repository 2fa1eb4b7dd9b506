package ledger

// MostRates is the longest text of a [Price]'s rates in bytes.
const MostRates = 4096
