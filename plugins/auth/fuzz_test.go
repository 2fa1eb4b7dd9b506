package auth_test

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// bearer is what the plugin accepts, written apart from it.
var bearer = regexp.MustCompile(`(?i:^[ \t]*Bearer +)([!-~]+)[ \t]*$`)

// FuzzAuthorization looks for header values that are taken for another key than they hold, or let in without one.
func FuzzAuthorization(f *testing.F) {
	for _, v := range []string{
		"", " ", "Bearer", "Bearer ", "Bearer " + plain, "bearer  " + plain + "\t", "Bearer\t" + plain, "Basic dXNlcjpwYXNz",
		plain, "Bearer " + plain + " x", "Bearer " + plain + ",", "Bearer Bearer " + plain, "\tBEARER " + plain, "Bearer \xff",
	} {
		f.Add([]byte(v))
	}
	a := auth.NewAuthenticator(config.NewSecret(pepper), time.Now)
	f.Fuzz(func(t *testing.T, v []byte) {
		want := ""
		if m := bearer.FindSubmatch(v); m != nil {
			want = string(m[1])
		}
		// In the first directory nobody has a key; in the second somebody has the one that the header holds.
		owner := &gateway.Tenant{ID: "owner"}
		mine := gateway.NewDirectory(gateway.Entries{
			Keys: map[gateway.Digest]*gateway.Key{key.Digest([]byte(want)): {Name: "k", Tenant: owner}},
		})
		h := gatewaytest.Header{"Authorization": bytes.Clone(v)}
		_, err := a.Authenticate(h, gateway.NewDirectory(gateway.Entries{}))
		var e *gateway.Error
		if !errors.As(err, &e) || e.Status != 401 || e.Code != "invalid_api_key" || bytes.Contains([]byte(e.Message), []byte(plain)) {
			t.Fatalf("%q: %v", v, err)
		}
		c, err := a.Authenticate(h, mine)
		mistyped := key.Ours([]byte(want)) && !key.Wellformed([]byte(want))
		if let := err == nil && c.Tenant == owner; let != (want != "" && len(want) <= 4<<10 && !mistyped) {
			t.Fatalf("%q: let in: %v, the key is %q", v, let, want)
		}
		if !bytes.Equal(h.Get("Authorization"), v) {
			t.Fatalf("%q was changed", v)
		}
	})
}
