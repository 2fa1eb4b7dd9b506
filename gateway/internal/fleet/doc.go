// Package fleet tests what only whole processes can show: the real gateway, several of it, with a real Redis and a real
// PostgreSQL, killed and cut off under load, against a provider that writes down each request before it answers. It has
// tests alone.
//
// SLUICE_CHAOS_ROUNDS is how often a gateway is killed (20), SLUICE_CHAOS_PAUSE how long Redis is silent (3s), and
// SLUICE_BINARY the program that is tested, if not the one that the tests build.
package fleet
