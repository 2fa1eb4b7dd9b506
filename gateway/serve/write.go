package serve

import (
	"errors"
	"fmt"
	"io"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

const batchMost = 16 << 10 // bytes of events written in one flush

var errUseWriteTo = errors.New("serve: a reply is written by WriteTo")

// Read exists because fasthttp takes a body stream as an io.Reader; SupportsBodyWriteTo leads it to WriteTo.
func (k *call) Read([]byte) (int, error) { return 0, errUseWriteTo }

// SupportsBodyWriteTo tells fasthttp to call WriteTo.
func (k *call) SupportsBodyWriteTo() bool { return true }

// WriteTo pulls the reply and writes it, on the connection's goroutine. An error makes fasthttp leave out the end of
// the framing and close the connection: a client can then tell a cut answer from a complete one. A failure that the provider
// has told to the end is complete.
func (k *call) WriteTo(w io.Writer) (n int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = k.panicked(r)
		}
		if k.err = err; isEnd(err) {
			err = nil
		}
	}()
	if k.Reply.Kind == gateway.Whole {
		return k.writeWhole(w)
	}
	return k.writeEvents(w)
}

// Close is called by fasthttp before its last flush.
func (k *call) Close() error {
	k.abandon()
	if !k.Ended() {
		k.c.finishLater(k, k.err)
	}
	return nil
}

func (k *call) writeWhole(w io.Writer) (int64, error) {
	n, err := writeApart(w, k.first.Data)
	if n == 0 || err != nil {
		return n, err
	}
	// Recorders in the chain learn only from the end of the stream that the reply was complete.
	if _, err = k.Reply.Stream.Next(); errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// writeApart writes the last byte apart: it certainly stays in fasthttp's buffer, so its flush comes after Close and
// uncorks.
func writeApart(w io.Writer, data []byte) (int64, error) {
	if len(data) == 0 {
		return 0, nil
	}
	n, err := w.Write(data[:len(data)-1])
	if err != nil {
		return int64(n), leaving(err)
	}
	m, err := w.Write(data[len(data)-1:])
	return int64(n + m), leaving(err)
}

// refusal is an error as the body of a response. It is written like a reply, because like that the exchange ends when its
// last byte was.
type refusal struct {
	k    *call
	body []byte
	err  error
}

// Read is never called, see call.Read.
func (r *refusal) Read([]byte) (int, error) { return 0, errUseWriteTo }

// SupportsBodyWriteTo tells fasthttp to call WriteTo.
func (r *refusal) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo.
func (r *refusal) WriteTo(w io.Writer) (int64, error) { return writeApart(w, r.body) }

// Close is called by fasthttp before its last flush.
func (r *refusal) Close() error {
	r.k.c.finishLater(r.k, r.err)
	return nil
}

// writeEvents writes every batch of events that is ready in one chunk and one system call.
func (k *call) writeEvents(w io.Writer) (total int64, err error) {
	st := k.Reply.Stream
	k.w, k.Idle = w, k.beat
	for {
		ev, err := st.Next()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		p := buf.Get(len(ev.Data) + 64)
		for err == nil {
			if need := len(*p) + len(ev.Data) + 256; need > cap(*p) { // append would leave the pool's size classes
				p = buf.Grow(p, need)
			}
			*p = k.appendEvent(*p, ev)
			if len(*p) >= batchMost || !st.Ready() {
				break
			}
			ev, err = st.Next()
		}
		over := errors.Is(err, io.EOF)
		if err != nil && !over && !errors.Is(k.Cause(), gateway.ErrGone) {
			*p = k.appendFailure(*p, err)
		}
		n, werr := k.writeBatch(w, *p, over)
		buf.Put(p)
		k.delivered = k.delivered || k.delivering.Load() && werr == nil && !over
		total += int64(n)
		switch {
		case over, isEnd(err) && werr != nil:
			return total, werr
		case err != nil:
			return total, err
		case werr != nil:
			return total, werr
		}
	}
}

// isEnd says whether a stream that failed has ended as its provider meant it to.
func isEnd(err error) bool {
	e, ok := errors.AsType[*gateway.Error](err)
	return ok && e.Ends
}

// writeBatch writes one chunk: fasthttp's size line, data and line end become one system call. The last batch waits for
// the end of the framing, which fasthttp writes behind it.
func (k *call) writeBatch(w io.Writer, p []byte, last bool) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	k.c.corked = true
	n, err := w.Write(p)
	if last {
		return n, leaving(err)
	}
	if e := k.c.uncork(); err == nil {
		err = e
	}
	return n, leaving(err)
}

// leaving says of a failed write what it means: the client is not there any more, or does not read.
func leaving(err error) error {
	if err == nil || errors.Is(err, gateway.ErrGone) {
		return err
	}
	return fmt.Errorf("%w: %w", gateway.ErrGone, err)
}

func (k *call) appendEvent(b []byte, ev gateway.Event) []byte {
	if k.Reply.Kind == gateway.Bytes {
		return append(b, ev.Data...)
	}
	if k.dialect.Ends(ev.Name, ev.Data) {
		k.delivering.Store(true)
	}
	return sse.Append(b, ev.Name, ev.Data)
}

// appendFailure says inside a stream that it was cut short, and why. Bytes have no place for it.
func (k *call) appendFailure(b []byte, err error) []byte {
	if k.Reply.Kind == gateway.Bytes {
		return b
	}
	e := Failure(&k.Exchange, err)
	k.delivering.Store(true)
	failure := k.Reply.Failure
	if failure == nil {
		failure = k.dialect.AppendFailure
	}
	return failure(b, Said(e, k.ID))
}

// Failure is what a caller is told of the error that cut a stream short.
func Failure(x *gateway.Exchange, err error) *gateway.Error {
	if x.Err() != nil {
		err = x.Cause()
	}
	e := gateway.AsError(err)
	if known := (*gateway.Error)(nil); !errors.As(err, &known) && e.Status == 500 {
		return &gateway.Error{
			Type: gateway.TypeServer, Code: gateway.CodeBroken,
			Message: "The provider's stream broke off: this answer is incomplete.",
		}
	}
	return e
}

// beat writes a comment into a silent stream. It runs inside Next, on this goroutine and between two events.
func (k *call) beat() error {
	if k.Reply.Kind != gateway.Events {
		return nil
	}
	if _, err := k.writeBatch(k.w, heartbeat, false); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

var heartbeat = []byte(": keep-alive\n\n")
