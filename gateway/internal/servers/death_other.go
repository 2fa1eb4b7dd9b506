//go:build !linux

package servers

import "syscall"

// diesWithParent is what only Linux can do; elsewhere the test's cleanup has to suffice.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
