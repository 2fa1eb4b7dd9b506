package redis_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/meter/redis"
)

func TestParseURL(t *testing.T) {
	f := func(text string, want redis.Servers) {
		t.Helper()
		got, err := redis.ParseURL(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	f("redis://cache", redis.Servers{Addresses: []string{"cache:6379"}})
	f("redis://cache/", redis.Servers{Addresses: []string{"cache:6379"}})
	f("redis://10.0.0.1:7000/3", redis.Servers{Addresses: []string{"10.0.0.1:7000"}, Database: 3})
	f("redis://[::1]", redis.Servers{Addresses: []string{"[::1]:6379"}})
	f("rediss://:p%40ss:w%2Frd@[::1]:6380", redis.Servers{Addresses: []string{"[::1]:6380"}, TLS: true, Password: "p@ss:w/rd"})
	f("redis+sentinel://ann:x@h1,h2:1/main", redis.Servers{Mode: redis.Sentinel, Addresses: []string{"h1:26379", "h2:1"}, User: "ann", Password: "x", Master: "main"})
	f("rediss+sentinel://h1/main/2", redis.Servers{Mode: redis.Sentinel, Addresses: []string{"h1:26379"}, TLS: true, Master: "main", Database: 2})
	f("redis+cluster://h1:7001,h2:7002,h3:7003", redis.Servers{Mode: redis.Cluster, Addresses: []string{"h1:7001", "h2:7002", "h3:7003"}})
	f("rediss+cluster://h1/", redis.Servers{Mode: redis.Cluster, Addresses: []string{"h1:6379"}, TLS: true})
}

func TestParseURLSaysWhere(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got, err := redis.ParseURL(text)
		if err == nil {
			t.Errorf("%s is taken for %+v", text, got)
			return
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	f("", "begins with")
	f("cache:6379", "begins with")
	f("http://cache", `scheme "http"`)
	f("redis://", `address 1, ""`)
	f("redis://h1,h2", "redis+cluster")
	f("redis+cluster://h1,,h3", "address 2")
	f("redis+cluster://h1,h2:x", `address 2, "h2:x": port "x"`)
	f("redis://h:0", `port "0"`)
	f("redis://h:65536", `port "65536"`)
	f("redis://::1", "[IPv6 address]:port")
	f("redis://h/x", `database "x"`)
	f("redis://h/-1", `database "-1"`)
	f("redis+cluster://h/1", "no databases")
	f("redis+sentinel://h", "name of the master")
	f("redis+sentinel://h//1", "name of the master")
	f("redis://s3cret@h", "user:password")
	f("redis://ann:@h", "empty")
	f("redis://ann:s3cret%@h", "password is not")
	f("redis://%zz:s3cret@h", "user is not")
	f("redis://ann:s3cret@h:p", `port "p"`)
	f("redis://ann:s3cret@h/x?y", "options")
	f("redis://ann:s3cret?@h", "%3F")
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/0", "rediss+sentinel://h1,[::1]:2/main/2", "redis+cluster://:p@h1,h2", "redis://%", "redis://[", "redis://]:1", "redis+sentinel:///"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := redis.ParseURL(text)
		if err != nil {
			return
		}
		if len(s.Addresses) == 0 || s.Mode == redis.Sentinel && s.Master == "" {
			t.Fatalf("%q: %+v", text, s)
		}
		again, err := redis.ParseURL("redis+cluster://" + s.String())
		if err != nil || !reflect.DeepEqual(again.Addresses, s.Addresses) {
			t.Fatalf("%q: %v, then %v, %v", text, s.Addresses, again.Addresses, err)
		}
	})
}
