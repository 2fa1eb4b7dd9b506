// Package gatewaytest drives plugins without a network, and holds the conformance suite that every plugin passes.
//
// New makes an exchange, a Script answers it in place of the providers, Serve pulls the reply as a transport does. The
// script's streams are strict: they spoil what a plugin may no longer read and notice what it must not do.
package gatewaytest
