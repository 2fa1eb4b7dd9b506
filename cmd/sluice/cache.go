package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admin"
)

// cacheHelp says in help pages whom the commands ask.
const cacheHelp = `
It asks the running gateway at --admin, else at 127.0.0.1:9090, with the token in SLUICE_ADMIN_TOKEN.`

func newCache() *cobra.Command {
	return group(&cobra.Command{
		Use:     "cache",
		Short:   "See why requests were answered from the cache, put answers into it, and take them out",
		Example: `  sluice cache explain acme req_01JZ4Q8Y2N3K`,
	}, newCacheExplain(), newCacheReject(), newCachePurge(), newCacheWarm(), newCacheStats())
}

func newCacheExplain() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "explain TENANT REQUEST",
		Short: "Show why a request was answered from the cache, or not",
		Long: `Show what the cache has decided about a request, which is named by its id: the answers that were considered, how
alike the questions are, and the guard or score for which they were left. A gateway remembers the last ten thousand.
` + cacheHelp,
		Example: `  sluice cache explain acme req_01JZ4Q8Y2N3K --admin 127.0.0.1:9090`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := askCache[gateway.CacheDecision](c, &f, errand{method: http.MethodGet, path: ofCache(args[0], "decisions/"+url.PathEscape(args[1]))})
			if err != nil {
				return err
			}
			if f.output == "table" {
				c.Printf("%s", decided(&d))
			}
			s := sheet{head: []string{"ANSWER", "COSINE", "REFUSED", "VERIFIED", "SCORE"}}
			for i := range d.Candidates {
				k := &d.Candidates[i]
				s.add(k.Answer, decimals(k.Cosine), k.Refused, decimals(k.Verified), decimals(k.Score))
			}
			if f.output == "table" && len(d.Candidates) == 0 {
				return nil
			}
			return s.write(c.OutOrStdout(), f.output, d)
		},
	}
	f.add(c, "table", "json")
	return c
}

// decided is a decision in words.
func decided(d *gateway.CacheDecision) string {
	text := d.Result
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	if d.Answer != "" {
		text += ", " + d.Answer
	}
	if d.Score > 0 {
		text += ", score " + decimals(d.Score)
	}
	if d.Threshold > 1 {
		text += " where nothing was known that would allow any"
	} else if d.Threshold > 0 {
		text += " of " + decimals(d.Threshold) + " that it had to reach"
	}
	return visible(text) + "\n"
}

func decimals(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

func newCacheReject() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "reject TENANT REQUEST",
		Short: "Say that the answer which a request got from the cache was wrong",
		Long: `Say that the answer which a request got from the cache was wrong: it is not given to that question again, and must be
more certain for others.
` + cacheHelp,
		Example: `  sluice cache reject acme req_01JZ4Q8Y2N3K`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			_, err := askCache[admin.Done](c, &f, errand{method: http.MethodPost, path: ofCache(args[0], "decisions/"+url.PathEscape(args[1])+"/reject")})
			return err
		},
	}
	f.add(c)
	return c
}

func newCachePurge() *cobra.Command {
	var f adminFlags
	var which struct {
		Model string `json:"model,omitempty"`
		Tag   string `json:"tag,omitempty"`
		ID    string `json:"id,omitempty"`
	}
	c := &cobra.Command{
		Use:   "purge TENANT",
		Short: "Take answers of a tenant out of the cache",
		Long: `Take answers of a tenant out of the cache: those that fit all that is said, all without any flag. It prints how many
they were at the gateway that was asked; others that share its Redis follow within a second.
` + cacheHelp,
		Example: `  sluice cache purge acme
  sluice cache purge acme --model gpt-4.1-mini --tag prices`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := askCache[admin.Purged](c, &f, errand{method: http.MethodPost, path: ofCache(args[0], "purge"), body: which})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), n.Answers)
			return err
		},
	}
	f.add(c)
	c.Flags().StringVar(&which.Model, "model", "", "only answers of this `model`")
	c.Flags().StringVar(&which.Tag, "tag", "", "only answers with this `tag`, which callers give in x-sluice-cache-tags")
	c.Flags().StringVar(&which.ID, "id", "", "only the answer with this `id`, which x-sluice-cache-id says")
	return c
}

func newCacheStats() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "stats",
		Short: "Show what the cache of a gateway has done since it started",
		Long: `Show the counts of the cache of one gateway since it started, of all tenants: those of its metrics whose names begin
with sluice_cache_. What the cache has saved each tenant is in sluice usage, by the column CACHED.
` + cacheHelp,
		Example: `  sluice cache stats --admin 127.0.0.1:9090`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := f.open(c)
			if err != nil {
				return err
			}
			defer api.close()
			reply, err := api.do(c.Context(), errand{method: http.MethodGet, path: "/metrics"})
			if err != nil {
				return err
			}
			defer reply.Body.Close()
			s := sheet{head: []string{"COUNT", "VALUE"}}
			counts := map[string]string{}
			lines := bufio.NewScanner(reply.Body)
			for lines.Scan() {
				name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "sluice_cache_"), "} ")
				if ok {
					name += "}"
				} else {
					name, value, ok = strings.Cut(name, " ")
				}
				if ok && strings.HasPrefix(lines.Text(), "sluice_cache_") {
					counts[name] = value
					s.add(name, value)
				}
			}
			if err := lines.Err(); err != nil {
				return err
			}
			return s.write(c.OutOrStdout(), f.output, counts)
		},
	}
	f.add(c, "table", "json", "csv")
	return c
}

// ofCache is what stands below a tenant's cache.
func ofCache(tenant, path string) string {
	return "tenants/" + url.PathEscape(tenant) + "/cache/" + path
}

// askCache asks for something of a cache.
func askCache[T any](c *cobra.Command, f *adminFlags, e errand) (answer T, err error) {
	api, err := f.open(c)
	if err != nil {
		return answer, err
	}
	defer api.close()
	answer, _, err = ask[T](c.Context(), api, e)
	return answer, err
}
