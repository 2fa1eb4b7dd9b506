// Package redis is the meter.Pool of a fleet: what its nodes share is kept in Redis, in one server, in one with sentinels,
// or in a cluster.
//
// A draw is one script (draw.lua) on keys of one hash slot, which reads Redis's clock. It needs Redis 5 or later and, with
// ACLs, the commands EVAL, EVALSHA, SCRIPT, TIME, INFO, DEL, EXISTS, GET, SET and those of hashes and sorted sets on keys that
// begin with "sl:". Nothing that Redis forgets is believed to be zero: a restart, a replica that takes over, FLUSHALL and
// an account that was evicted all begin a new epoch, in which nodes say what they hold before anybody is granted more.
//
// What it cannot guard against is two masters at once: while sentinels or a cluster have replaced a master that some nodes
// still reach, both grant. Such a master stops by itself in a cluster (cluster-node-timeout), and with sentinels if
// min-replicas-to-write is 1.
package redis
