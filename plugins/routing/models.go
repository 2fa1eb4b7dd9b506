package routing

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// answerList answers GET /v1/models.
func answerList(x *gateway.Exchange) error {
	models := x.Directory.Models(&x.Caller)
	list := make([]chat.Model, len(models))
	for i, m := range models {
		list[i] = chat.Model{ID: string(m.Name), OwnedBy: m.OwnedBy, Created: x.Directory.Created()}
	}
	if x.Request.Endpoint.Dialect != anthropic.Name {
		return answer(x, openai.AppendModels(make([]byte, 0, 64+128*len(list)), list))
	}
	list, more, err := page(list, x.Request.Query)
	if err != nil {
		return err
	}
	return answer(x, anthropic.AppendModels(make([]byte, 0, 96+160*len(list)), list, more))
}

// Bounds of a page of Anthropic's.
const (
	usualPage = 20
	mostPage  = 1000
)

// page is what Anthropic's limit, after_id and before_id ask for of a list; more says that it goes on in that direction.
func page(list []chat.Model, query string) (part []chat.Model, more bool, err error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, false, badPage("limit")
	}
	limit := usualPage
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > mostPage {
			return nil, false, badPage("limit")
		}
	}
	find := func(param string) (int, error) {
		id := q.Get(param)
		i := slices.IndexFunc(list, func(m chat.Model) bool { return m.ID == id })
		if i < 0 {
			return 0, badPage(param)
		}
		return i, nil
	}
	switch {
	case q.Get("after_id") != "":
		i, err := find("after_id")
		if err != nil {
			return nil, false, err
		}
		list = list[i+1:]
	case q.Get("before_id") != "":
		i, err := find("before_id")
		if err != nil {
			return nil, false, err
		}
		from := max(i-limit, 0)
		return list[from:i], from > 0, nil
	}
	return list[:min(limit, len(list))], len(list) > limit, nil
}

// answerModel answers GET /v1/models/{id}. An alias gets the model that it stands for, as in Anthropic's API, and a name
// that a wildcard matches gets itself. A model that the tenant may not use does not exist here.
func answerModel(x *gateway.Exchange) error {
	m, canonical, _ := x.Directory.Model(x.Request.Param)
	if m == nil || !x.Caller.Allows(canonical) {
		return notFound(x, x.Request.Param)
	}
	model := chat.Model{ID: canonical, OwnedBy: m.OwnedBy, Created: x.Directory.Created()}
	if x.Request.Endpoint.Dialect == anthropic.Name {
		return answer(x, anthropic.AppendModel(nil, model))
	}
	return answer(x, openai.AppendModel(nil, model))
}

func answer(x *gateway.Exchange, body []byte) error {
	x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Kind: gateway.Whole, Stream: gateway.Once(body)}
	x.Commit()
	return nil
}
