package openai

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendModels adds the body of GET /v1/models.
func AppendModels(dst []byte, models []chat.Model) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		dst = AppendModel(comma(dst, i), m)
	}
	return append(dst, "]}"...)
}

// AppendModel adds the body of GET /v1/models/{id}.
func AppendModel(dst []byte, m chat.Model) []byte {
	dst = shape.AppendString(append(dst, `{"id":`...), m.ID)
	dst = strconv.AppendInt(append(dst, `,"object":"model","created":`...), m.Created, 10)
	return append(shape.AppendString(append(dst, `,"owned_by":`...), m.OwnedBy), '}')
}

// comma divides the elements of a list.
func comma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}
