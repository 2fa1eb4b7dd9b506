package auth_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

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
	p, _ := gatewaytest.Build(f, auth.Spec(auth.Lent{}), settings())
	handler := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	authenticate := func(t *testing.T, h gatewaytest.Header, d *gateway.Directory) (gateway.Caller, error) {
		x := gatewaytest.New(t, gatewaytest.Request{Header: h, Directory: d})
		err := handler.Serve(x)
		return x.Caller, err
	}
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
		_, err := authenticate(t, h, gateway.NewDirectory(gateway.Entries{}))
		var e *gateway.Error
		if !errors.As(err, &e) || e.Status != 401 || e.Code != "invalid_api_key" || bytes.Contains([]byte(e.Message), []byte(plain)) {
			t.Fatalf("%q: %v", v, err)
		}
		c, err := authenticate(t, h, mine)
		mistyped := key.Ours([]byte(want)) && !key.Wellformed([]byte(want))
		token := strings.HasPrefix(want, "ey") && strings.Count(want, ".") == 2 // a key of that form is taken for one
		if let := err == nil && c.Tenant == owner; let != (want != "" && len(want) <= 4<<10 && !mistyped && !token) {
			t.Fatalf("%q: let in: %v, the key is %q", v, let, want)
		}
		if !bytes.Equal(h.Get("Authorization"), v) {
			t.Fatalf("%q was changed", v)
		}
	})
}
