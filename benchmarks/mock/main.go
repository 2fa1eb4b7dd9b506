// Command mock is an OpenAI-compatible upstream that costs much less than any gateway under test: replies are rendered
// in advance, and a stream is one io.Reader from which fasthttp takes one event for each chunk it writes.
//
// It answers POST /v1/chat/completions and POST /v1/messages, as a stream or not, and GET /v1/models. The model name in the request steers the
// reply, so that one configuration of the gateway serves every scenario:
//
//	mock[-dN][-nN][-iN][-sN][-eN][-xN]
//
//	d  delay before the first byte of the reply, in ms (0)
//	n  content chunks of a stream (64)
//	i  time between two chunks, in ms (0)
//	s  size of a reply that is no stream, about, in bytes (1024)
//	e  answer with this HTTP error status
//	x  cut the connection after so many chunks: no finish, no [DONE]
//
// The content tells the load generator on the same machine what the mock did. Each content chunk is "t" and 19 digits:
// the wall clock, in ns since 1970, at which the chunk was written. The first chunk (the role) is "f" and 19 digits, and
// a reply that is no stream begins with "t" and 19 digits: the ns that the request spent here, the mock's own late
// waking included.
package main

import (
	"flag"
	"io"
	"log"
	"os"
	"runtime/debug"

	"github.com/valyala/fasthttp"
)

// gcPercent keeps the garbage collector off the two cores that are shared with the gateway.
const gcPercent = 400

func main() {
	addr := flag.String("addr", "127.0.0.1:9000", "listen address")
	flag.Parse()
	debug.SetGCPercent(gcPercent)
	if err := newServer().ListenAndServe(*addr); err != nil {
		log.SetFlags(0)
		log.Print("mock: ", err)
		os.Exit(1)
	}
}

func newServer() *fasthttp.Server {
	m := newMock()
	return &fasthttp.Server{
		Handler:               m.handle,
		Concurrency:           1 << 20,
		NoDefaultServerHeader: true,
		MaxRequestBodySize:    64 << 20,
		Logger:                log.New(io.Discard, "", 0), // a caller who leaves mid-stream is no news
	}
}
