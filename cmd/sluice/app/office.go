package app

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/console"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/auth/key"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// office is what the admin API is given.
func (a *App) office() (admin.Options, error) {
	tokens, err := desk.Tokens(a.config.Admin)
	if err != nil {
		return admin.Options{}, err
	}
	pages, err := console.New()
	if err != nil {
		return admin.Options{}, err
	}
	pepper := pepperOf(a.config)
	o := admin.Options{
		Metrics: prometheus.Gatherers{a.registry, a.runtime}, GuardMetrics: a.config.Admin.Metrics == config.TokenMetrics,
		Health: a.health, Targets: a.runtime.Targets(), Feed: &a.feed, Log: a.o.Log.Named("admin"),
		Tokens: tokens, Files: desk.Files(a.current.Load),
		Meters: a.stores.meters, Nodes: a.stores.pool.Nodes, Cache: a.runtime.Cache, Warm: a.runtime.Warm, Recent: a.runtime.Recent, Console: pages,
		API:      passOn(a.api.Addr(), a.config.Server.TLS.Cert != "", &a.passes, a.o.Log.Named("console")),
		Settings: a.settings, CachePolicy: a.cachePolicy,
		Check: a.check, Mint: desk.Mint(pepper), Apply: a.applyStore,
	}
	if len(tokens) == 0 && public(a.config.Server.AdminListen) {
		a.printed = rand.Text()
		o.Printed = &admin.Token{Name: "printed at the start", Digest: key.Digest([]byte(a.printed)), Role: admin.Admin}
	}
	if !pepper.IsZero() {
		o.Pepper = key.NewPepper(pepper.Reveal()).Digest
	}
	if a.stores.store != nil {
		o.Store, o.Journal = a.stores.store, a.stores.journal
	}
	return o, nil
}

// settings are the configuration in effect.
func (a *App) settings() admin.Settings {
	list := a.current.Load().Settings()
	s := admin.Settings{File: a.o.Loader.Path(), Settings: make([]admin.Setting, len(list))}
	for i, one := range list {
		s.Settings[i] = admin.Setting(one)
	}
	return s
}

// cachePolicy is what the configuration lets the semantic cache do.
func (a *App) cachePolicy() admin.CachePolicy {
	settings, ok := a.current.Load().Plugins["cache"].(*cache.Config)
	if !ok {
		return admin.CachePolicy{Mode: "off"}
	}
	return admin.CachePolicy{Mode: settings.Semantic.Mode, MaxWrong: float64(settings.Semantic.MaxWrong)}
}

// public says whether an address to listen on can be reached from other machines.
func public(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// pepperOf is the pepper of keys' digests; nothing if there is none.
func pepperOf(c *config.Config) config.Secret {
	if settings, ok := c.Plugins["auth"].(*auth.Config); ok {
		return settings.Pepper
	}
	return config.Secret{}
}

// applyStore makes a change in the store effective on this node at once.
func (a *App) applyStore(ctx context.Context) error {
	if a.made == nil {
		return nil
	}
	if err := a.made.refresh(ctx); err != nil {
		return err
	}
	return a.useStore()
}

// applyTokens makes the operators' tokens those of a configuration.
func (a *App) applyTokens(c *config.Config) {
	if a.admin == nil {
		return
	}
	tokens, err := desk.Tokens(c.Admin)
	if err != nil {
		a.o.Log.Error("the operators' tokens stay as they were", zap.Error(err))
		return
	}
	a.admin.Use(tokens)
}
