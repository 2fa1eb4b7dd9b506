// Command load drives one HTTP endpoint of an LLM gateway on loopback and prints what that cost, as JSON.
//
// It writes prepared requests on raw TCP connections and reads the replies by hand, so that it takes as little as
// possible of a machine that it shares with the gateway and the mock, whose stamped content it understands.
//
// Closed loop: -c connections; each sends its next request when the last reply is complete. Open loop: -rate requests a
// second are due at fixed instants whatever the replies do, and each counts from the instant it was due, so that a stall
// is charged to every request it held up (no coordinated omission); -c is then the most requests under way at once.
//
// With -stream it asks for streams and measures the time to the first event, the one-way delay of every content chunk
// (the mock writes its wall clock into it) and the gaps between chunks. A stream that ends without usage or [DONE] is an
// error. Streams that live at the end of the run are closed.
//
// With -pid it reads utime and stime of that process at both ends of the measured window and its RSS at the end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// gcPercent keeps the garbage collector off the cores that are shared with the gateway.
const gcPercent = 800

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	debug.SetGCPercent(gcPercent)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
}

// command runs the generator as args say and prints the report, one line of JSON, to out.
func command(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := run(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func parse(args []string) (o options, err error) {
	var (
		target, model string
		headers       []string
	)
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&target, "url", "http://127.0.0.1:9000/v1/chat/completions", "where to send; a loopback address")
	flags.StringVar(&model, "model", "mock", "model name; see the mock for its grammar")
	flags.Func("H", "request header, 'Name: value'; repeatable", func(s string) error {
		headers = append(headers, s)
		return nil
	})
	flags.BoolVar(&o.stream, "stream", false, "ask for streams")
	flags.BoolVar(&o.refuse, "refusals", false, "statuses 429, 503 and 529 are expected: they are counted, and no errors")
	flags.IntVar(&o.conns, "c", 64, "connections; with -rate: the most requests under way at once")
	flags.Float64Var(&o.rate, "rate", 0, "requests a second, open loop; 0: closed loop")
	flags.DurationVar(&o.window, "d", 10*time.Second, "measured time")
	flags.DurationVar(&o.warm, "warm", 2*time.Second, "time before measuring")
	flags.DurationVar(&o.ramp, "ramp", 0, "closed loop: spread the connections' starts over this part of -warm")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "of one request")
	flags.IntVar(&o.pid, "pid", 0, "process under test, for CPU time and memory")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return o, err
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "http" || u.Port() == "" || ip == nil || !ip.IsLoopback() {
		return o, fmt.Errorf("-url %s: want http://, a loopback address and a port", target)
	}
	if o.conns < 1 || o.window <= 0 || o.rate < 0 {
		return o, errors.New("-c and -d must be positive, -rate must not be negative")
	}
	o.addr = u.Host
	o.request, err = request(u, headers, model, o.stream)
	return o, err
}

// chatRequest is an ordinary small question. The model comes behind the messages, as clients write it, so that a gateway
// cannot find what steers at the front.
type chatRequest struct {
	MaxTokens     int            `json:"max_tokens"`
	Messages      []chatMessage  `json:"messages"`
	Model         string         `json:"model"`
	Stream        bool           `json:"stream,omitempty"`
	StreamOptions *streamOptions `json:"stream_options,omitempty"`
	Temperature   float64        `json:"temperature"`
}

type chatMessage struct {
	Content string `json:"content"`
	Role    string `json:"role"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// request renders the one request that is sent again and again.
func request(u *url.URL, headers []string, model string, stream bool) ([]byte, error) {
	const (
		ask    = "What is the capital of France? "
		prompt = 400 // bytes
	)
	c := chatRequest{
		Model: model, MaxTokens: 256, Temperature: 0.7, Stream: stream,
		Messages: []chatMessage{
			{Role: "system", Content: "You are a helpful assistant."},
			{Role: "user", Content: strings.Repeat(ask, prompt/len(ask)+1)[:prompt]},
		},
	}
	if stream {
		c.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	lines := append([]string{
		"POST " + u.RequestURI() + " HTTP/1.1", "Host: " + u.Host,
		"Content-Type: application/json", "Accept: */*", "User-Agent: load",
	}, headers...)
	head := strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body))
	return append([]byte(head), body...), nil
}
