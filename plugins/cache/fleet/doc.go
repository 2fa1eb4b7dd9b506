// Package fleet is what the caches of several nodes share through Redis: the answers themselves, who is asking what at present, and
// a log of what they have learnt. It knows nothing of what an answer is.
//
//   - Values are kept under the ids of their keys, for as long as they hold.
//   - Whoever asks a provider claims the key before: a lease with a token of its own, renewed while it asks. Who comes later
//     is told whose it is, and writes to that node.
//   - Mail is published (Redis's PUBLISH) to one node, and may get lost.
//   - The log is a stream of bounded length. Every node reads all of it from its beginning when it starts, and then as it
//     grows; one that was away goes on where it was.
//   - Notes are entries of the log that do not make room for later ones, for as long as they hold.
//
// Nothing of it is in clear: names of keys are hashes under the fleet's secret, and all else is sealed with a key that is made
// of it, so that bytes that were damaged, moved to another key, or come from another version are nothing.
//
// Who asks never waits for Redis for long: a call that takes more than five milliseconds (25 for a claim) is given up, after three of them, or
// one error, nobody asks until Redis has answered in time again, and what is to be written waits in a queue of bounded size.
//
// It needs Redis 6 or later and, with ACLs, EVAL, EVALSHA, GET, SET, DEL, PEXPIRE, XADD, XREAD, HSET, HGETALL, HDEL on keys
// that begin with "sl:cache:", and PUBLISH and SUBSCRIBE on channels that do.
package fleet
