package key_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func TestNew(t *testing.T) {
	f := func(label, form string) {
		t.Helper()
		want := regexp.MustCompile(form)
		seen := map[string]bool{}
		for range 200 {
			k, err := key.New(label)
			if err != nil || !want.MatchString(k) || seen[k] {
				t.Fatalf("%q, %v", k, err)
			}
			if !key.Ours([]byte(k)) || !key.Wellformed([]byte(k)) {
				t.Fatalf("%q is not wellformed", k)
			}
			seen[k] = true
		}
	}
	f("", `^sluice_[0-9A-Za-z]{36}$`)
	f("demo", `^sluice_demo_[0-9A-Za-z]{36}$`)
	f(strings.Repeat("a", 32), `^sluice_a{32}_[0-9A-Za-z]{36}$`)

	bad := func(label string) {
		t.Helper()
		if k, err := key.New(label); !errors.Is(err, key.ErrLabel) || k != "" {
			t.Errorf("label %q: %q, %v", label, k, err)
		}
	}
	bad("Demo")
	bad("de_mo")
	bad("de-mo")
	bad("é")
	bad(strings.Repeat("a", 33))
}

// TestDigitsAreUniform counts all 62 digits in the random part: none may be rarer or more frequent than chance allows.
func TestDigitsAreUniform(t *testing.T) {
	const keys, each = 4000, 30
	var count [256]int
	for range keys {
		k, err := key.New("")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []byte(k[len("sluice_"):][:each]) {
			count[c]++
		}
	}
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		// The mean is 1935 and the standard deviation 44: seven of them come by chance once in 10¹⁰ runs.
		if n := count[c]; n < 1935-7*44 || n > 1935+7*44 {
			t.Errorf("%c came %d times", c, n)
		}
	}
}

// known is a key whose checksum was computed apart (Python's zlib.crc32), so that the form cannot change unnoticed.
const known = "sluice_demo_0123456789ABCDEFGHIJKLMNOPQRST2NvhTz"

func TestWellformed(t *testing.T) {
	f := func(k string, ours, wellformed bool) {
		t.Helper()
		if key.Ours([]byte(k)) != ours || key.Wellformed([]byte(k)) != wellformed {
			t.Errorf("%q: ours %v, wellformed %v", k, key.Ours([]byte(k)), key.Wellformed([]byte(k)))
		}
	}
	f(known, true, true)
	f("", false, false)
	f("sk-proj-abc", false, false)
	f("SLUICE_demo_0123456789ABCDEFGHIJKLMNOPQRST2NvhTz", false, false)
	f("sluice_", true, false)
	f("sluice__", true, false)
	f("sluice_demo_", true, false)
	f(known+"x", true, false)
	f(known+" ", true, false)
	f(strings.Replace(known, "demo", "dem0", 1), true, false)
	f(strings.Replace(known, "demo_", "", 1), true, false)
	f(strings.Replace(known, "demo_", "_", 1), true, false)
	f(strings.Replace(known, "0123", "012_", 1), true, false)
	f(strings.Replace(known, "0123", "012-", 1), true, false)
	for i := range known {
		f(known[:i], i >= len("sluice_"), false)
		if i >= len("sluice_") {
			f(known[:i]+"~"+known[i+1:], true, false)
		}
	}
	for i := len("sluice_demo_"); i+1 < len(known); i++ { // neighbours swapped, the commonest slip
		if known[i] != known[i+1] {
			f(known[:i]+known[i+1:i+2]+known[i:i+1]+known[i+2:], true, false)
		}
	}
}

func TestDigest(t *testing.T) {
	// FIPS 180-2, appendix B.1.
	const abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	d := key.Digest([]byte("abc"))
	if got := key.Text(d); got != abc {
		t.Errorf("SHA-256 of abc: %s", got)
	}
	if back, err := gateway.ParseDigest(abc); err != nil || back != d {
		t.Errorf("%v, %v", back, err)
	}
	// RFC 4231, test case 2.
	const jefe = "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	d = key.NewPepper("Jefe").Digest([]byte("what do ya want for nothing?"))
	if got := key.Text(d); got != jefe {
		t.Errorf("HMAC: %s", got)
	}
	if back, err := gateway.ParseDigest(jefe); err != nil || back != d {
		t.Errorf("%v, %v", back, err)
	}
}

// TestPepper compares with crypto/hmac at all lengths around those where the code changes its way.
func TestPepper(t *testing.T) {
	for _, n := range []int{0, 1, 31, 63, 64, 65, 100, 300} {
		secret := strings.Repeat("p", n)
		p := key.NewPepper(secret)
		for _, m := range []int{0, 1, 48, 63, 64, 65, 191, 192, 193, 5000} {
			text := []byte(strings.Repeat("k", m))
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(text)
			got := p.Digest(text)
			if got.Kind != gateway.HMACSHA256 || !hmac.Equal(got.Sum[:], mac.Sum(nil)) {
				t.Errorf("a pepper of %d bytes and a key of %d", n, m)
			}
		}
	}
}

func TestRefresh(t *testing.T) {
	for _, tenant := range []string{"acme", "a", "a_b", "a.b-c", "slr_", strings.Repeat("t", 63)} {
		token := key.NewRefresh(tenant)
		if got, ok := key.RefreshTenant([]byte(token)); !ok || got != tenant || token == key.NewRefresh(tenant) || key.Ours([]byte(token)) {
			t.Errorf("%s: %q, %t", token, got, ok)
		}
		for i := range token { // a character is wrong, or missing
			wrong := []byte(token)
			wrong[i] ^= 1
			if got, ok := key.RefreshTenant(wrong); ok {
				t.Errorf("%s is taken for one of %q", wrong, got)
			}
			if got, ok := key.RefreshTenant([]byte(token[:i])); ok {
				t.Errorf("%s is taken for one of %q", token[:i], got)
			}
		}
	}
	for _, token := range []string{"", "slr_", "slr__", "sluice_" + strings.Repeat("0", 36), key.NewRefresh("")} {
		if got, ok := key.RefreshTenant([]byte(token)); ok {
			t.Errorf("%s is taken for one of %q", token, got)
		}
	}
}
