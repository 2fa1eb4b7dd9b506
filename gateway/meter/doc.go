// Package meter counts what tenants use and says when it is too much: requests and tokens a minute, exchanges at once, and money
// in each window of a budget.
//
// An exchange takes a Hold when it comes in, and reserves from a Purse for each attempt that costs money; both are settled with
// what was really used. All is counted in accounts, and all accounts alike: a node holds a slice of an account, takes from it
// under the tenant's lock, and draws more from a Pool that it shares with other nodes, in the background if it can. What
// differs between kinds is how a pool's stock is filled up again. In a single process the pool is Local.
//
// What is granted to one node is granted to no other, so that a budget is not exceeded when nodes cannot reach the pool; and a
// node has an eighth of what is left at most, with all others together, so that who needs the rest finds it there.
package meter
