// Package store says what is kept for good, and for whom: tenants and keys that were made through the admin API, refresh
// tokens, the ledger's rows with their rollups, and the audit of every change. Packages below it keep that in SQLite and in
// PostgreSQL; package storetest holds what both must do.
//
// Every call asks for a [tenant.ID], or for [Whose] where an operator may ask for everybody's. The empty id is nobody's: it is
// refused with [ErrNoTenant], never taken for all. What belongs to another tenant is not found.
//
// A store is shared by goroutines, and PostgreSQL by nodes. Each call is one transaction: it happens as a whole, together with
// its entry in the audit, or not at all. All times are in UTC, of microseconds.
package store
