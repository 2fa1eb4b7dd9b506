package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/sluice-ai/sluice/plugins/cache/pairs"
)

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func (i interval) String() string { return fmt.Sprintf("%.1f [%.1f, %.1f]", i.Share, i.Low, i.High) }

// table writes rows of cells under a title.
func show(w io.Writer, title string, rows func(t io.Writer)) {
	fmt.Fprintln(w, "\n"+title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(t)
	_ = t.Flush() // the terminal is gone: nobody is left to be told
}

func printPairs(w io.Writer, rows []served) {
	show(w, "Pairs: served of the same, wrong of the different, wrong of what is served, % [95 %]", func(t io.Writer) {
		fmt.Fprintln(t, "set\tmethod\tallowed\tfixed on\tthreshold\tserved\twrong\twrong of served")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%s\n", r.Set, r.Method, r.Allowed, r.Fixed, r.Threshold, r.Right, r.Wrong, r.OfServed)
		}
	})
}

func printGuards(w io.Writer, rows []guarded) {
	show(w, "Near misses: caught of the different, kept of the same, % [95 %]", func(t io.Writer) {
		fmt.Fprintln(t, "set\tmethod\tcaught\tkept")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Set, r.Method, r.Caught, r.Kept)
		}
	})
}

func printStreams(w io.Writer, rows []streamRow) {
	show(w, "Streams, % (mean of the seeds; the worst of them)", func(t io.Writer) {
		fmt.Fprintln(t, "set\tpolicy\tmax_wrong\thits\twrong of queries\tworst\twrong of served\tworst\tjudged")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\n", r.Set, r.Policy, decimal(100*r.MaxWrong),
				r.Hits, r.WrongOfQueries, r.WorstOfQueries, r.WrongOfServed, r.WorstOfServed, r.Judged)
		}
	})
}

func printWorkloads(w io.Writer, rows []workload) {
	show(w, "Workloads, % [95 %]", func(t io.Writer) {
		fmt.Fprintln(t, "workload\tseen before\texact\thits\tcost saved\twrong answers\tjudged")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f\t%d\t%d\n", r.Name, r.Possible, r.Exact, r.Hits, r.Saved, r.Wrong, r.Judged)
		}
	})
}

func printSpeed(w io.Writer, rows []speed) {
	show(w, "A lookup, µs", func(t io.Writer) {
		fmt.Fprintln(t, "entries\tp50\tp99")
		for _, r := range rows {
			fmt.Fprintf(t, "%d\t%.0f\t%.0f\n", r.Entries, r.P50, r.P99)
		}
	})
}

func printMemory(w io.Writer, rows []memory) {
	show(w, "Memory, MiB", func(t io.Writer) {
		fmt.Fprintln(t, "entries\tpartitions\theap\tcounted")
		for _, r := range rows {
			fmt.Fprintf(t, "%d\t%d\t%.0f\t%.0f\n", r.Entries, r.Partitions, r.MiB, r.Counted)
		}
	})
}

// printCalibration finds, on the development part, the lowest probability of the verifier at which certainly no more of
// the different pairs are served than each bound allows.
func printCalibration(w io.Writer) error {
	dev, err := part(pairs.Dev)
	if err != nil {
		return err
	}
	all := scoreAll(dev, methods()["sluice"])
	for _, allowed := range []float64{0.2, 0.1, 0.05, 0.02, 0.01, 0.005} {
		for t := 0.01; t < 1; t += 0.01 {
			if right, wrong, _ := apply(all, t); wrong.High <= 100*allowed {
				fmt.Fprintf(w, "max_wrong %.3f: %.2f, of the same served %s, of the different %s\n", allowed, t, right, wrong)
				break
			}
		}
	}
	return nil
}
