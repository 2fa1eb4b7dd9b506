package catalog_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// tiers are those that requests ask for, and replies name.
var tiers = []string{"", "default", "auto", "flex", "priority", "batch", "standard_only"}

// TestMostIsMost goes over the whole catalogue: nothing that a request within its bounds can cost is more.
func TestMostIsMost(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	compared := 0
	for m := range configured(t).Models() {
		for range 40 {
			prompt, answer := length(rng), length(rng)
			asked := tiers[rng.IntN(len(tiers))]
			most := m.Most(prompt, answer, asked)
			if !most.Known {
				continue
			}
			u := known(within(rng, prompt, answer))
			c := m.Cost(u, asked, now.Add(time.Duration(rng.IntN(7*24))*time.Hour))
			if c.Known {
				compared++
			}
			if c.Known && c.Picodollars > most.Picodollars {
				t.Fatalf("%s/%s asked for %q: %+v costs %s, at most %s", m.Provider, m.Name, asked, u, c.USD(), most.USD())
			}
			if plain := m.Cost(known(chat.Usage{Input: prompt, Output: answer}), "", now); plain.Known && plain.Picodollars > most.Picodollars {
				t.Fatalf("%s/%s asked for %q: served as the standard it costs %s, at most %s", m.Provider, m.Name, asked, plain.USD(), most.USD())
			}
		}
	}
	if compared < 5_000 {
		t.Errorf("only %d costs were compared", compared)
	}
}

// length is a number of tokens: none, some, or more than where prices change.
func length(rng *rand.Rand) int64 {
	return int64(float64(rng.IntN(2)) * math.Pow(10, 6*rng.Float64()))
}

// within is a usage of no more tokens, in any classes.
func within(rng *rand.Rand, prompt, answer int64) chat.Usage {
	part := func(of *int64) int64 {
		n := rng.Int64N(*of + 1)
		*of -= n
		return n
	}
	return chat.Usage{
		CacheRead: part(&prompt), CacheWrite: part(&prompt), CacheWriteHour: part(&prompt) * rng.Int64N(2),
		InputAudio: part(&prompt) * rng.Int64N(2), Input: prompt,
		Reasoning: part(&answer), OutputAudio: part(&answer) * rng.Int64N(2), Output: answer,
	}
}

// Nearly every model that has a price can be asked within a strict budget: not those whose price is unknown at some hours.
func TestMostIsKnown(t *testing.T) {
	priced, unknown := 0, 0
	for m := range configured(t).Models() {
		if m.Mode != "chat" || !m.Cost(known(chat.Usage{Input: 1, Output: 1}), "", time.Now()).Known {
			continue
		}
		if priced++; !m.Most(1000, 1000, "").Known {
			unknown++
		}
	}
	if priced < 100 || unknown > priced/50 {
		t.Errorf("of %d models %d have none", priced, unknown)
	}
}

func TestMost(t *testing.T) {
	f := func(m *catalog.Model, prompt, answer int64, tier, usd string, why catalog.Why) {
		t.Helper()
		if c := m.Most(prompt, answer, tier); c.USD() != usd || !c.Known && c.Why != why {
			t.Errorf("%d and %d of %q: %s (%s), want %s (%s)", prompt, answer, tier, c.USD(), c.Why, usd, why)
		}
	}
	f(nil, 1, 1, "", "unknown", catalog.NoModel)
	f(priced(t), 1, 1, "", "unknown", catalog.NoPrice)

	classes := priced(t, catalog.Price{Input: "1", CacheRead: "0.1", CacheWriteHour: "2", Output: "7", Reasoning: "8", Image: "0.5"})
	f(classes, 10, 0, "", "0.00002", 0)
	f(classes, 0, 10, "", "0.00008", 0)
	f(classes, 10, 10, "", "0.0001", 0)
	f(classes, 0, 0, "", "0", 0)
	f(classes, -1, 0, "", "unknown", catalog.OutOfRange)
	f(classes, math.MaxInt64, math.MaxInt64, "", "unknown", catalog.OutOfRange)
	f(classes, 10, 10, "flex", "unknown", catalog.NoTier)

	f(priced(t, catalog.Price{Input: "1", CacheWrite: "2"}), 10, 0, "", "0.00002", 0)
	f(priced(t, catalog.Price{Input: "1", CacheWrite: "2"}), 10, 1, "", "unknown", catalog.NoRate)
	f(priced(t, catalog.Price{CacheRead: "1", Output: "2"}), 10, 1, "", "unknown", catalog.NoRate)

	long := priced(t, catalog.Price{Input: "1", Output: "2"}, catalog.Price{Above: 100, Input: "3", Output: "4"},
		catalog.Price{Tier: "flex", Input: "0.5", Output: "1"}, catalog.Price{Tier: "priority", Input: "5", Output: "6"})
	f(long, 100, 10, "", "0.00012", 0)
	f(long, 101, 10, "", "0.000343", 0)
	f(long, 100, 10, "flex", "0.00012", 0) // it may be served as the standard
	f(long, 101, 10, "flex", "unknown", catalog.NoTier)
	f(long, 100, 10, "priority", "0.00056", 0)
	f(long, 100, 10, "auto", "0.00056", 0)
	f(long, 100, 10, "standard_only", "0.00012", 0)

	f(priced(t, catalog.Price{Input: "1", Output: "1"}, catalog.Price{Hours: "mon-sun 00:00-12:00", Input: "3", Output: "3"}),
		1, 1, "", "0.000006", 0)
	f(priced(t, catalog.Price{Hours: "00:00-12:00", Input: "3", Output: "3"}), 1, 1, "", "unknown", catalog.NoTier)
	f(priced(t, catalog.Price{Input: "1", Output: "1", Until: "2020-01-01"}), 1, 1, "", "unknown", catalog.Expired)
	f(priced(t, catalog.Price{Tier: "*", Input: "0", Output: "0"}), 1e6, 1e6, "batch", "0", 0)
}
