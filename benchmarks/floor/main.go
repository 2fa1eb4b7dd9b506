// Command floor is the least that a gateway on fasthttp can cost: it reads a request, forwards it unchanged with
// fasthttp.HostClient and relays the reply, each chunk of a stream as it comes. It parses no JSON, authenticates nobody,
// logs nothing, and does not notice a caller who leaves before the first byte.
package main

import (
	"flag"
	"io"
	"log"
	"os"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9101", "listen address")
	upstream := flag.String("upstream", "127.0.0.1:9000", "host:port to forward to")
	flag.Parse()
	if err := newServer(*upstream).ListenAndServe(*addr); err != nil {
		log.SetFlags(0)
		log.Print("floor: ", err)
		os.Exit(1)
	}
}

func newServer(upstream string) *fasthttp.Server {
	client := &fasthttp.HostClient{
		Addr:                          upstream,
		MaxConns:                      1 << 16,
		MaxIdleConnDuration:           time.Minute,
		StreamResponseBody:            true, // a chunked reply: fasthttp then writes with a flush per read
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
	}
	return &fasthttp.Server{
		Concurrency:           1 << 20,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		NoDefaultContentType:  true,
		Logger:                log.New(io.Discard, "", 0),
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Request.SetHost(upstream)
			ctx.Request.Header.Del(fasthttp.HeaderConnection)
			if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
				ctx.Error(err.Error(), fasthttp.StatusBadGateway)
				return
			}
			ctx.Response.Header.Del(fasthttp.HeaderConnection)
		},
	}
}
