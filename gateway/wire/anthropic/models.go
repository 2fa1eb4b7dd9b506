package anthropic

import "github.com/sluice-ai/sluice/gateway/wire/chat"

// AppendModels adds a page of a list of models, the body of GET /v1/models; more says that others come behind it.
func AppendModels(dst []byte, models []chat.Model, more bool) []byte {
	w := writer{append(dst, `{"data":[`...)}
	for i := range models {
		w.next()
		w.b = AppendModel(w.b, models[i])
	}
	w.raw("]")
	w.bool("has_more", more)
	if n := len(models); n > 0 {
		w.text("first_id", models[0].ID)
		w.text("last_id", models[n-1].ID)
	} else {
		w.raw(`,"first_id":null,"last_id":null`)
	}
	w.raw("}")
	return w.b
}

// AppendModel adds the body of GET /v1/models/{id}. The name is what there is to display.
func AppendModel(dst []byte, m chat.Model) []byte {
	w := writer{append(dst, '{')}
	w.text("type", "model")
	w.text("id", m.ID)
	w.text("display_name", m.ID)
	w.text("created_at", timeOf(m.Created))
	w.raw("}")
	return w.b
}
