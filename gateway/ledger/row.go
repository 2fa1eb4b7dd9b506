package ledger

// Kind says what a row is about.
type Kind uint8

// Kinds of row.
const (
	Attempt   Kind = iota // sent to a provider
	Exact                 // answered from the cache, which had the same request
	Semantic              // answered from the cache, which had one that means the same
	Coalesced             // answered with what an exchange got that asked the same at the same time
)

var kindNames = [...]string{"attempt", "exact", "semantic", "coalesced"}

// String is the kind's name in the store.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}
