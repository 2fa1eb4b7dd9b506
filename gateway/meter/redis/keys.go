package redis

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/meter"
)

// Keys that belong to no tenant.
const (
	nodesKey    = "sl:nodes"  // sorted set: node -> when it was last heard of, in microseconds
	lifeKey     = "sl:life"   // string: the process that remembers, and since when; not in a cluster
	leasePrefix = "sl:lease:" // string: who has the lease
	notePrefix  = "sl:note:"  // string: what a node has left for the others
)

// call is what a request is to the script: its keys and arguments. In a cluster all keys are of one slot.
func call(r *meter.Request, cluster bool) (keys, args []string) {
	prefix := "sl:{" + escape(string(r.Tenant)) + "}:"
	life := lifeKey
	if cluster {
		life = prefix + "l"
	}
	keys = make([]string, 0, 3+len(r.Lines))
	keys = append(keys, prefix+"e", prefix+"a", life)
	args = make([]string, 0, 4+8*len(r.Lines))
	args = append(args, r.Node, number(r.Boot), number(r.Seq), number(r.Epoch))
	for i := range r.Lines {
		l := &r.Lines[i]
		keys = append(keys, prefix+account(l.Account))
		args = append(args, letter(l.Account.Kind), number(l.Limit), number(l.Used), number(l.Spent), number(l.Has),
			number(l.Need), number(l.Want), strconv.Itoa(len(l.Seeds)))
		for _, s := range l.Seeds {
			args = append(args, s.Node, number(s.Spent))
		}
	}
	return keys, args
}

// account is an account's name in keys. What is free text comes last, so that no two have the same.
func account(a meter.Account) string {
	name := a.Kind.String() + ":"
	if a.Kind == meter.Money {
		name += a.Per.String() + ":" + number(a.Window) + ":"
	}
	return name + a.Scope.String()
}

// letter is what the script calls kinds.
func letter(k meter.Kind) string {
	switch {
	case k.Rate():
		return "r"
	case k == meter.Concurrent:
		return "c"
	default:
		return "m"
	}
}

// escape keeps a tenant's name from ending the hash tag early, or making it empty.
func escape(id string) string {
	if strings.ContainsAny(id, "{}%") {
		return url.QueryEscape(id)
	}
	return id
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
