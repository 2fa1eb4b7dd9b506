package fleet

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/redis/rueidis"
)

// ErrAway says that Redis cannot be asked.
var ErrAway = errors.New("fleet: redis does not answer")

func (f *Fleet) box(of Name) string { return f.prefix + "to:" + hex.EncodeToString(of[:]) }

// Send writes to a node. It is false if nobody reads what is for that node: it is gone, or not there at present. In a cluster of
// Redis that is not known. Call it where it may take a second.
func (f *Fleet) Send(ctx context.Context, to Name, text []byte) (bool, error) {
	c, s := f.o.Client(), f.seal.Load()
	if c == nil || s == nil {
		return false, ErrAway
	}
	message := s.Close(f.box(to), append(f.name[:len(f.name):len(f.name)], text...))
	wait := func() bool { return true }
	r, ok := f.ask(ctx, wait, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Publish().Channel(f.box(to)).Message(message).Build())
	})
	if !ok {
		return false, ErrAway
	}
	n, err := r.AsInt64()
	if err != nil {
		return false, ErrAway
	}
	return n > 0 || c.Mode() == rueidis.ClientModeCluster, nil
}

// subscribe hears what others write to this node, and that the log has grown.
func (f *Fleet) subscribe(ctx context.Context) {
	hear := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if s.Kind == "subscribe" && s.Channel == f.box(f.name) {
			f.link.hear.Store(true)
			f.grow() // what was said meanwhile got lost
		}
	})
	for ctx.Err() == nil {
		if c := f.o.Client(); c != nil {
			_ = c.Receive(hear, c.B().Subscribe().Channel(f.logKey(), f.box(f.name)).Build(), f.receive) // it is tried again
			f.link.hear.Store(false)
			f.link.cut()
		}
		if !pause(ctx, again) {
			break
		}
	}
	if c := f.o.Client(); c != nil { // the connection is the process's, and stays
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), again)
		defer cancel()
		_ = c.Do(ctx, c.B().Unsubscribe().Channel(f.box(f.name)).Build())
	}
}

// receive takes a message, in the goroutine that reads from Redis.
func (f *Fleet) receive(m rueidis.PubSubMessage) {
	if m.Channel == f.logKey() {
		f.grow()
		return
	}
	select {
	case f.letters <- m.Message:
	default:
	}
}

// deliver hands letters over.
func (f *Fleet) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-f.letters:
			s := f.seal.Load()
			if s == nil {
				continue
			}
			if text, err := s.Open(f.box(f.name), l); err == nil && len(text) >= len(Name{}) {
				f.o.Node.Told(Name(text[:len(Name{})]), text[len(Name{}):])
			}
		}
	}
}
