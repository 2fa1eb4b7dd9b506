// Package health knows how the targets of the gateway are: provider × key × model.
package health
