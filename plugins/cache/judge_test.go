package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/plugins/cache"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// uncertain is a rig with a judge, and a bound that no verifier reaches: everything is for the judge to decide.
func uncertain(t *testing.T, says string) (r *rig, asked *[]string) {
	t.Helper()
	r = newRig(t, func(c *cache.Config) {
		c.Semantic.Mode, c.Semantic.MaxWrong, c.Semantic.Judge.Model = "verified", 0.0001, "n"
	})
	asked = new([]string)
	r.host.Asked = func(_ context.Context, endpoint string, c gateway.Caller, h gateway.Header, body []byte) ([]byte, error) {
		if endpoint != "chat.completions" || c.Tenant != r.tenant || string(h.Get("X-Sluice-Cache")) != "off" {
			t.Errorf("%s, %+v", endpoint, c)
		}
		*asked = append(*asked, string(body))
		if says == "" {
			return nil, errors.New("nobody is there")
		}
		return answer.Whole(wire.OpenAI, nil, text(says)), nil
	}
	return r, asked
}

// settle waits until the judge has done its work and rested.
func settle() {
	synctest.Wait()
	<-time.After(2 * time.Second)
}

// What the judge allows is given from then on; what it does not, never.
func TestJudge(t *testing.T) {
	f := func(says, verdict, later string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r, questions := uncertain(t, says)
			r.expect(ask{body: chatBody(asked)}, "miss: answer 1")
			r.expect(ask{body: chatBody(reworded)}, "miss: answer 2")
			settle()
			if len(*questions) != 1 || r.value(`sluice_cache_judged_total{verdict="`+verdict+`"}`) != 1 {
				t.Fatalf("%q: %d questions", says, len(*questions))
			}
			for _, want := range []string{`\"question\":\"` + reworded, `\"number\":1`, asked, "answer 1", `"model":"n"`} {
				if !strings.Contains((*questions)[0], want) {
					t.Errorf("%s is not in %s", want, (*questions)[0])
				}
			}
			r.expect(ask{body: chatBody(reworded), header: []string{"Cache-Control", "no-cache"}}, "miss: answer 3")
			if got := r.serve(ask{body: chatBody(reworded + "?")}); got != later {
				t.Errorf("%q: %s, not %s", says, got, later)
			}
			r.host.Close()
		})
	}
	f("1", "serves", "miss: answer 4")
	f("0", "none", "miss: answer 4")
	f("7", "failed", "miss: answer 4")
	f("I think the first.", "failed", "miss: answer 4")
	f("", "failed", "miss: answer 4")
}

// A judge that is slow or gone keeps nobody waiting, and what it has no time for is left.
func TestJudgeIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := uncertain(t, "1")
		r.host.Asked = func(ctx context.Context, _ string, _ gateway.Caller, _ gateway.Header, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		r.serve(ask{body: chatBody(asked)})
		for i := range 200 {
			r.serve(ask{body: chatBody(strings.Repeat("hi, ", i%150)+reworded, `"seed":`+strings.Repeat("1", 1+i/150))})
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %s", time.Since(start))
		}
		if r.value(`sluice_cache_judged_total{verdict="dropped"}`) == 0 {
			t.Error("nothing was left")
		}
		r.host.Close()
	})
}

// A request may wait for the judge's word: what it allows is given at once, and to who asks so next, without asking again. A judge
// that takes too long is not waited for, and one that is asked too often leaves it for later.
func TestJudgeIsWaitedFor(t *testing.T) {
	f := func(says string, takes time.Duration, second, third string, questions int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			asks := 0
			r := newRig(t, func(c *cache.Config) {
				c.Semantic.Mode, c.Semantic.MaxWrong = "verified", 0.0001
				c.Semantic.Judge = cache.Judge{Model: "n", Wait: time.Second, PerMinute: 20}
			})
			r.host.Asked = func(ctx context.Context, _ string, _ gateway.Caller, _ gateway.Header, _ []byte) ([]byte, error) {
				asks++
				select {
				case <-time.After(takes):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				return answer.Whole(wire.OpenAI, nil, text(says)), nil
			}
			r.expect(ask{body: chatBody(asked)}, "miss: answer 1")
			start := time.Now()
			if got := r.named("x2", ask{body: chatBody(reworded)}); got != second {
				t.Errorf("%s: %s, not %s", says, got, second)
			}
			if d := time.Since(start); d != min(takes, time.Second) {
				t.Errorf("%s: waited %s", says, d)
			}
			if d, _ := r.plugin.Explain("acme", "x2"); (d.Reason == "judged") != strings.HasPrefix(second, "semantic") {
				t.Errorf("%+v", d)
			}
			start = time.Now()
			r.expect(ask{body: chatBody("hello, " + reworded)}, third) // the judge rests
			if time.Since(start) != 0 {
				t.Errorf("%s: waited %s for a judge who rests", says, time.Since(start))
			}
			<-time.After(2 * time.Minute)
			r.host.Close()
			if asks != questions {
				t.Errorf("%s: asked %d times", says, asks)
			}
		})
	}
	f("1", 0, "semantic: answer 1", "miss: answer 2", 2)
	f("0", 0, "miss: answer 2", "miss: answer 3", 2)
	f("1", time.Hour, "miss: answer 2", "miss: answer 3", 3)
}
