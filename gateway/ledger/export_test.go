package ledger

// Points are those that a journal can be stopped at; the first three are passed at each attempt.
func Points() []string {
	return []string{
		pointCopied, pointIntent, pointSeal, pointSwitch, pointMade, pointSynced, pointRead, pointInsert, pointCarried, pointRemoved,
		pointRecover,
	}
}

// Reaching are options with which f hears of each point that is reached.
func (o Options) Reaching(f func(point string)) Options {
	o.reached = f
	return o
}
