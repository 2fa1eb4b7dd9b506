package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"
)

// Client is the process's connection to Redis; it is nil until Redis was reached.
type Client func() rueidis.Client

// Name is a node's, drawn when it starts.
type Name [16]byte

// Node is what a fleet tells a node. It is told one thing at a time.
type Node interface {
	// Agree says which secret the fleet's keys are made with. It may be said again: then Redis has forgotten all, or is another.
	Agree(secret [32]byte)
	// Heard is an entry of the log that another node has written, or a note.
	Heard(entry []byte)
	// Told is a letter of another node.
	Told(from Name, letter []byte)
}

// Options of a fleet.
type Options struct {
	Client Client
	// Secret is what the nodes share and nobody else knows; "": they agree on one that is kept in Redis.
	Secret string
	Node   Node
	// Wait is how long who asks waits for Redis, give or take 5 ms; 0: 25 ms.
	Wait time.Duration
	Log  *zap.Logger
	// Dropped counts what could not be written; may be nil.
	Dropped func()
}

// Fleet is one node's part in what all share.
type Fleet struct {
	o       Options
	longest time.Duration // a call may take
	name    Name
	drawn   [32]byte // by this node, in case that it is the first
	prefix  string   // of what is there once for a fleet; in a cluster all of it is in one slot
	seal    atomic.Pointer[Seal]
	noted   atomic.Pointer[Seal] // of which fleet the notes were read
	life    string               // of what Redis holds: another one has forgotten
	claims  *rueidis.Lua
	agree   *rueidis.Lua
	link    link
	queue   queue
	leases  leases
	grown   chan struct{} // the log
	letters chan string
}

// mostLetters is how many letters may wait to be read. What is more gets lost, and is asked for again.
const mostLetters = 4096

// New makes a node's part. Nothing happens before Run.
func New(o Options) *Fleet {
	if o.Wait == 0 {
		o.Wait = usualWait
	}
	f := &Fleet{
		o: o, longest: max(o.Wait, usualMost), prefix: "sl:cache:{fleet}:", claims: rueidis.NewLuaScript(claimScript), agree: rueidis.NewLuaScript(agreeScript),
		grown: make(chan struct{}, 1), letters: make(chan string, mostLetters),
	}
	f.link.init()
	f.queue.init()
	_, _ = rand.Read(f.name[:]) // never fails
	_, _ = rand.Read(f.drawn[:])
	if o.Secret != "" {
		of := sha256.Sum256([]byte("sluice cache fleet " + o.Secret))
		f.prefix = "sl:cache:{" + hex.EncodeToString(of[:8]) + "}:"
	}
	return f
}

// Name is this node's.
func (f *Fleet) Name() Name { return f.name }

// Up says whether Redis answers in time, and other nodes can write to this one.
func (f *Fleet) Up() bool { return f.link.up.Load() }

// Down gives a channel that is closed once Up is false.
func (f *Fleet) Down() <-chan struct{} { return f.link.ended() }

// Run keeps the node in touch with the others until the context ends.
func (f *Fleet) Run(ctx context.Context) {
	var work sync.WaitGroup
	for _, part := range []func(context.Context){f.watch, f.subscribe, f.read, f.write, f.deliver} {
		work.Go(func() { part(ctx) })
	}
	work.Wait()
}

// Times.
const (
	usualWait = 25 * time.Millisecond  // that who asks waits for Redis: another call to a provider costs more
	quick     = 5 * time.Millisecond   // between two looks whether to go on waiting
	usualMost = time.Second            // a call, whoever waits for it, and for how many
	timely    = 50 * time.Millisecond  // in which Redis must answer to be asked again, or in Options.Wait
	watching  = time.Second            // between two looks whether it does
	again     = 100 * time.Millisecond // between tries while it does not
)

// tooLate is how many calls in a row may be late before nobody asks any more.
const tooLate = 3

// link is whether Redis can be asked.
type link struct {
	up   atomic.Bool
	late atomic.Int32 // calls in a row
	hear atomic.Bool  // letters come

	mu   sync.Mutex
	down chan struct{} // closed when it cannot be asked any more
}

func (l *link) init() {
	l.down = make(chan struct{})
	close(l.down)
}

func (l *link) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late.Store(0)
	if !l.up.Load() {
		l.down = make(chan struct{})
		l.up.Store(true)
	}
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up.Load() {
		l.up.Store(false)
		close(l.down)
	}
}

func (l *link) ended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// heard takes note of how a call came out.
func (l *link) heard(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		l.cut()
	}
}

// ask asks Redis, for somebody who does not want to wait; false if there is no answer in time. While crowd says that others wait,
// too, or this process has too much to do, the time is not that short; crowd may be nil. A call that was given up goes on, and what it
// does in Redis is done.
func (f *Fleet) ask(ctx context.Context, crowd func() bool, do func(context.Context, rueidis.Client) rueidis.RedisResult) (rueidis.RedisResult, bool) {
	c := f.o.Client()
	if c == nil || !f.link.up.Load() {
		return rueidis.RedisResult{}, false
	}
	got := make(chan rueidis.RedisResult, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.longest)
		defer cancel()
		r := do(ctx, c)
		f.link.heard(r.NonRedisError())
		got <- r
	}()
	ended := f.link.ended()
	tick := time.NewTicker(quick)
	defer tick.Stop()
	for waited := quick; ; waited += quick {
		select {
		case r := <-got:
			f.link.late.Store(0)
			return r, r.NonRedisError() == nil
		case <-ended:
			return rueidis.RedisResult{}, false
		case <-ctx.Done():
			return rueidis.RedisResult{}, false
		case <-tick.C:
		}
		select {
		case r := <-got: // it is this process that was slow
			return r, r.NonRedisError() == nil
		default:
		}
		if waited >= f.longest || waited >= f.o.Wait && (crowd == nil || !crowd()) && !busy() {
			if f.link.late.Add(1) >= tooLate {
				f.link.cut()
			}
			return rueidis.RedisResult{}, false
		}
	}
}

// busy says whether this process has so much to do that it may be the one that is slow: who gives way then comes back late.
func busy() bool {
	began := time.Now()
	runtime.Gosched()
	return time.Since(began) > quick/5
}

// agreeScript says what Redis remembers, or gives it something to remember.
const agreeScript = `
local life = redis.call('GET', KEYS[1])
if not life then
  life = ARGV[1]
  redis.call('SET', KEYS[1], life)
end
return life`

// watch looks whether Redis answers, so that nobody who asks has to find out, and renews the node's leases.
func (f *Fleet) watch(ctx context.Context) {
	renewed := time.Now()
	for wait := time.Duration(0); pause(ctx, wait); {
		wait = again
		c := f.o.Client()
		if c == nil {
			continue
		}
		in, cancel := context.WithTimeout(ctx, f.longest)
		began := time.Now()
		life, err := f.agree.Exec(in, c, []string{f.prefix + "life"}, []string{hex.EncodeToString(f.drawn[:])}).ToString()
		cancel()
		switch {
		case err != nil:
			f.link.cut()
			continue
		case time.Since(began) > max(timely, f.o.Wait) && !f.link.up.Load():
			continue
		}
		if f.remember(life); !f.link.hear.Load() || f.noted.Load() != f.seal.Load() {
			continue
		}
		f.link.open()
		wait = watching
		if time.Since(renewed) >= leaseTime/3 {
			renewed = time.Now()
			f.renew(ctx, c)
		}
	}
	f.link.cut()
}

// remember takes note of what Redis remembers.
func (f *Fleet) remember(life string) {
	if life == f.life {
		return
	}
	var secret [32]byte
	if f.o.Secret != "" {
		secret = sha256.Sum256([]byte(f.o.Secret))
	} else if b, err := hex.DecodeString(life); err == nil && len(b) == len(secret) {
		secret = [32]byte(b)
	} else {
		f.o.Log.Error("what the fleet's caches have agreed on in Redis is damaged; it is left to you to delete it", zap.String("key", f.prefix+"life"))
		return
	}
	if f.life = life; f.o.Secret == "" {
		f.drawn = secret // which Redis is given back, should it forget
	}
	f.seal.Store(NewSeal(secret, f.name))
	f.o.Node.Agree(secret)
	f.grow()
}

// pause waits, and says whether to go on after that.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
