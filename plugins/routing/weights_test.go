package routing_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// TestWeights draws many orders of one step and compares how often each came with its probability: the first place goes
// to target i with a probability of wᵢ/W, the second to j of those left with wⱼ/(W-wᵢ), and so on.
func TestWeights(t *testing.T) {
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	f := func(weights ...int) {
		t.Helper()
		var step []*gateway.Target
		for i, w := range weights {
			step = append(step, target(fmt.Sprintf("p%d/m", i), w))
		}
		last := target("last/m", 1)
		d := gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{
			{Name: "m", Steps: [][]*gateway.Target{step, {last}}},
		}})
		const draws = 20000
		came := map[string]int{}
		var x *gateway.Exchange
		plan := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
		x = gatewaytest.New(t, gatewaytest.Request{Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{}}, Body: body("m")})
		for range draws {
			if err := plan.Serve(x); err != nil {
				t.Fatal(err)
			}
			got := x.Plan.Targets
			if len(got) != len(step)+1 || got[len(step)] != last {
				t.Fatalf("%v: the steps are mixed: %s", weights, names(x))
			}
			order := ""
			for _, target := range got[:len(step)] {
				order += fmt.Sprint(slices.Index(step, target))
			}
			came[order]++
		}
		sum := 0.0
		for order, probability := range orders(weights) {
			sum += probability
			mean := draws * probability
			if off := math.Abs(float64(came[order]) - mean); off > 7*math.Sqrt(mean*(1-probability))+1e-9 {
				t.Errorf("%v: order %s came %d times, not about %.0f", weights, order, came[order], mean)
			}
			delete(came, order)
		}
		if len(came) > 0 || math.Abs(sum-1) > 1e-9 {
			t.Errorf("%v: orders that cannot be: %v", weights, came)
		}
	}
	f(1, 1)
	f(9, 1)
	f(90, 10, 5)
	f(1, 2, 3, 4)
	f(3, 0)
	f(0, 3)
	f(0, 5, 0, 5, 0) // without weight: last, as configured
	f(0, 0, 0)
	f(-1, 2, -7)
}

// orders are all orders that can come, by the indexes of the targets, with their probabilities.
func orders(weights []int) map[string]float64 {
	all := map[string]float64{}
	var draw func(order string, left []int, probability float64)
	draw = func(order string, left []int, probability float64) {
		total := 0
		for _, i := range left {
			total += max(weights[i], 0)
		}
		if total == 0 {
			for _, i := range left {
				order += fmt.Sprint(i)
			}
			all[order] += probability
			return
		}
		for k, i := range left {
			if weights[i] > 0 {
				rest := slices.Delete(slices.Clone(left), k, k+1)
				draw(order+fmt.Sprint(i), rest, probability*float64(weights[i])/float64(total))
			}
		}
	}
	var left []int
	for i := range weights {
		left = append(left, i)
	}
	draw("", left, 1)
	return all
}
