// Package meter counts what tenants use and says when it is too much: requests and tokens a minute, exchanges at once, and money
// in each window of a budget.
//
// All is counted in accounts, and all accounts alike: a node holds a slice of an account, takes from it under the tenant's lock,
// and draws more from a Pool that it shares with other nodes, in the background if it can. What differs between kinds
// is how a pool's stock is filled up again. In a single process the pool is Local.
package meter
