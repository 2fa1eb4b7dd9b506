package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what commands print into the scripts that compare it")

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"sluice": func() { os.Exit(leaklessRun(os.Args[1:])) }})
}

// lasting are goroutines of fasthttp that end late or never, and mean nothing.
var lasting = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
}

// leakless fails if the tests leave goroutines behind.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	if err := goleak.Find(lasting...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// leaklessRun is run, in a process of its own, with a code of its own if it leaves goroutines behind. What a second
// signal stops is given up, so nothing is asked of it.
func leaklessRun(args []string) int {
	code := run(args)
	http.DefaultClient.CloseIdleConnections()
	if os.Getenv("LEAKS_ALLOWED") != "" {
		return code
	}
	if err := goleak.Find(lasting...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"begin":   begin,
			"gateway": gatewayBegin,
			"says":    says,
			"signal":  sendSignal,
			"end":     end,
			"shell":   shell,
			"get":     get,
			"office":  office,
			"rows":    rows,
			"spoil":   spoil,
		},
	})
}
