package servers

import "syscall"

// diesWithParent has the kernel kill a server when the test binary is gone, however that came about.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
