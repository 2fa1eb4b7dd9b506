package cache_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/plugins/cache"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// judgedIn asks a question in two wordings of which the judge says that they are the same, and gives the score that the second
// one had before.
func judgedIn(t *testing.T, dir string) (score float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, cache.Lent{Dir: dir}, func(c *cache.Config) {
			c.Semantic.Mode, c.Semantic.MaxWrong, c.Semantic.Judge.Model = "verified", 0.0001, "n"
		})
		r.host.Asked = func(context.Context, string, gateway.Caller, gateway.Header, []byte) ([]byte, error) {
			return answer.Whole(wire.OpenAI, nil, text("1")), nil
		}
		r.named("x1", ask{body: chatBody(asked)})
		r.named("x2", ask{body: chatBody(reworded)})
		settle()
		r.host.Close()
		d, _ := r.plugin.Explain("acme", "x2")
		score = d.Score
	})
	return score
}

// What was judged is known after a restart, and a file that cannot be read does no harm.
func TestJudgementsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	first, second := judgedIn(t, dir), judgedIn(t, dir)
	if first == 0 || second <= first {
		t.Errorf("the score was %v and is %v after a judgement in favour", first, second)
	}
	if other := judgedIn(t, t.TempDir()); other != first {
		t.Errorf("%v, not %v, where nothing was judged", other, first)
	}
	for _, broken := range []string{"", "{", `{"versions":"of another verifier","policy":{}}`} {
		if err := os.WriteFile(filepath.Join(dir, "cache-judgements.json"), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if again := judgedIn(t, dir); again != first {
			t.Errorf("%q: %v, not %v", broken, again, first)
		}
		if third := judgedIn(t, dir); third != second {
			t.Errorf("%q: not replaced: %v, not %v", broken, third, second)
		}
	}
}
