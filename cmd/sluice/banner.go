package main

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// banner is what the gateway says when it serves: what runs, where, and a line to paste that gets an answer. demoKey is
// the key of the demonstration, or "".
func banner(a *app.App, path, demoKey string) string {
	cfg := a.Config()
	scheme := "http://"
	if cfg.Server.TLS.Cert != "" {
		scheme = "https://"
	}
	api := scheme + reachable(a.Address().String()) + "/v1"

	var b strings.Builder
	fmt.Fprintf(&b, "sluice %s   %s\n", buildVersion(), mode(cfg, path))
	fmt.Fprintf(&b, "  API      %s", api)
	if demoKey != "" {
		fmt.Fprintf(&b, "      key %s", demoKey)
	}
	b.WriteString("\n")
	if at := a.AdminAddress(); at != nil {
		address := reachable(at.String())
		fmt.Fprintf(&b, "  Metrics  http://%s/metrics\n  Console  http://%s/", address, address)
		if token := a.AdminToken(); token != "" {
			fmt.Fprintf(&b, "      from other machines with the token %s", token)
		}
		b.WriteString("\n")
	}
	if path == "" {
		writeFound(&b, cfg)
	} else {
		writeNoKeys(&b, cfg, path)
	}
	fmt.Fprintf(&b, "Try   %s\n", try(cfg, api, demoKey))
	return b.String()
}

// mode is what runs, in a few words.
func mode(cfg *config.Config, path string) string {
	switch {
	case path != "":
		return path + ": " + counts(cfg)
	case len(cfg.Providers) > 1:
		return "demonstration: simulated provider, and real ones whose keys are in the environment"
	default:
		return "demonstration: simulated provider, nothing leaves this machine"
	}
}

func counts(cfg *config.Config) string {
	return count(len(cfg.Providers), "provider") + ", " + count(len(cfg.Models), "model") + ", " +
		count(len(cfg.Tenants.List), "tenant")
}

// writeFound tells of each provider that a key in the environment added to the demonstration, and what it serves.
func writeFound(b *strings.Builder, cfg *config.Config) {
	for i, p := range cfg.Providers {
		origin, found := strings.CutPrefix(cfg.Origins[fmt.Sprintf("providers[%d].keys[0].key", i)], "${env:")
		if !found {
			continue
		}
		var models []string
		for _, m := range cfg.Models {
			if m.Targets[0].Provider == p.Name {
				models = append(models, m.Name)
			}
		}
		fmt.Fprintf(b, "  Found    %s: %s go to %s\n", strings.TrimSuffix(origin, "}"), strings.Join(models, " "), p.BaseURL)
	}
}

// writeNoKeys tells how to make a key, if nobody could call.
func writeNoKeys(b *strings.Builder, cfg *config.Config, path string) {
	hasKey := func(t *config.Tenant) bool { return len(t.Keys) > 0 }
	if cfg.Tenants.Anonymous != config.Deny || slices.ContainsFunc(cfg.Tenants.List, hasKey) {
		return
	}
	if len(cfg.Tenants.List) == 0 {
		fmt.Fprintf(b, "  Keys     none, because there is no tenant: nobody can call. Put a file into %s\n", cfg.Tenants.Dir)
		return
	}
	fmt.Fprintf(b, "  Keys     none: nobody can call. Make one: sluice keys create %s --write --config %s\n",
		cfg.Tenants.List[0].ID, quote(path))
}

// try is a command that works when it is pasted into a shell. A key that only its owner knows is in SLUICE_API_KEY.
func try(cfg *config.Config, api, demoKey string) string {
	var anonymous *gateway.Tenant
	authorization := ""
	switch {
	case demoKey != "":
		authorization = " -H " + quote("Authorization: Bearer "+demoKey)
	case cfg.Tenants.Anonymous == config.Deny:
		authorization = ` -H "Authorization: Bearer $SLUICE_API_KEY"`
	default:
		anonymous = anonymousTenant(cfg)
	}
	for _, m := range cfg.Models {
		if gateway.Pattern(m.Name).Wild() || anonymous != nil && !anonymous.Allows(m.Name) {
			continue
		}
		body, err := json.Marshal(question{Model: m.Name, Messages: []message{{"user", "hi"}}})
		if err != nil {
			break
		}
		return "curl " + api + "/chat/completions" + authorization + " -d " + quote(string(body))
	}
	return "curl " + api + "/models" + authorization
}

// anonymousTenant is who callers without a key are, as far as models go.
func anonymousTenant(cfg *config.Config) *gateway.Tenant {
	t := &gateway.Tenant{}
	for _, c := range cfg.Tenants.List {
		if c.ID != cfg.Tenants.Anonymous {
			continue
		}
		for _, s := range c.Models.Allow {
			t.Allow = append(t.Allow, gateway.Pattern(s))
		}
		for _, s := range c.Models.Deny {
			t.Deny = append(t.Deny, gateway.Pattern(s))
		}
	}
	return t
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// reachable is where a program on this machine finds what listens on address: an address that stands for all of the
// machine's, such as 0.0.0.0, is none to connect to.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
