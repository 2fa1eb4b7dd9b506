package cache

import (
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// Reasons why an answer is not taken into the cache.
var (
	errOff      = errors.New("the cache is off, for all or for this tenant, or there is no such model for it")
	errNoAnswer = errors.New("the answer is too large, or does not end by itself")
)

// Warm implements gateway.Cache. Questions in other words find the answer, too, where they may.
func (p *Plugin) Warm(x *gateway.Exchange, r *chat.Reply) error {
	if !p.on() {
		return errOff
	}
	l, ours, err := (&handler{Plugin: p}).look(x)
	switch {
	case err != nil:
		return err
	case !ours:
		return errOff
	}
	if l.why == "" {
		l.read()
	}
	if l.why != "" {
		return fmt.Errorf("what is asked is not kept: %s", l.why)
	}
	l.control.refresh, l.tags = true, tagsOf(x.Request.Header)
	said := *r
	if said.ID == "" {
		said.ID, said.Model, said.Created = x.ID, x.Asked(), p.now().Unix()
	}
	if of := l.keep(&answer.Answer{Reply: said, Tenant: x.Caller.Tenant.ID, User: l.user, Model: l.setting.Model}); !of.stored {
		return errNoAnswer
	}
	return nil
}
