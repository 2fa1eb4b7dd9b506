// Package redis is the meter.Pool of a fleet: what its nodes share is kept in Redis, in one server, in one with sentinels,
// or in a cluster.
//
// A draw is one script (draw.lua) on keys of one hash slot, which reads Redis's clock. It needs Redis 5 or later and, with
// ACLs, EVAL, EVALSHA, SCRIPT, TIME, INFO, DEL, EXISTS, GET, SET, PEXPIRE, PEXPIREAT and the commands of hashes and sorted
// sets, on keys that begin with "sl:". Sentinels have the same user and password as the servers.
//
// Nothing that Redis has forgotten is taken for zero. After a restart, with whatever data, FLUSHALL, the takeover of a replica,
// the move of a slot to another master, and when an account is missing that was there, an epoch begins in which nodes first
// declare what they have: for 1.5 s nobody is granted more. The same holds for a tenant that Redis has never heard of, unless
// one Redis (or its sentinels) remembers all, has done so for that long, and evicts nothing.
//
// A Redis that is new is like one that has forgotten: for 1.5 s after the first node has found it, budgets that refuse are
// unavailable. Nodes come every half a second, and a call of theirs may get lost, or take as long as it may; to wait for less
// would grant to one node what another holds.
//
// What it cannot guard against:
//   - Two masters at once. While sentinels or a cluster have replaced a master that some nodes still reach, both grant. Such a
//     master stops by itself in a cluster (cluster-node-timeout), and with sentinels if min-replicas-to-write is 1.
//   - A node that is cut off for two days while nobody draws from an account of money: Redis forgets the account then
//     (meter.Remembered), and what the node holds of it may be granted to others. The same goes for what a node has spent that was
//     away for as long with rows in its journal.
//   - A node that is cut off while Redis loses its memory and while the epoch begins. What it holds and has not shipped to the
//     ledger may be granted to others: a slice at most, if the ledger is shared.
package redis
