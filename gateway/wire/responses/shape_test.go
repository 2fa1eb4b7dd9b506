package responses_test

import (
	"errors"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// What a reply must have is of the right type, or the reply is none; what it need not have may be odd.
func TestDecodeReplyShapes(t *testing.T) {
	f := func(output string, want error) {
		t.Helper()
		body := `{"object":"response","status":"completed","output":` + output + `}`
		if _, err := responses.DecodeReply([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", output, err, want)
		}
		end := `{"type":"response.completed","response":` + body + `}`
		if _, err := responses.NewDecoder().Decode(nil, "", []byte(end)); !errors.Is(err, want) {
			t.Errorf("%s at the end of a stream: %v, want %v", output, err, want)
		}
	}
	for _, output := range []string{
		`{}`, `"x"`, `["x"]`, `[7]`, `[{"type":"message","content":"x"}]`, `[{"type":"message","content":{}}]`, `[{"type":"message","content":["x"]}]`,
		`[{"type":"message","content":[{"type":"output_text","text":7}]}]`, `[{"type":"message","content":[{"type":"refusal","refusal":{}}]}]`,
	} {
		f(output, responses.ErrMalformed)
	}
	for _, body := range []string{`{"object":"response","status":"completed"}`, `{"object":"response","status":"completed","output":null}`} {
		if _, err := responses.DecodeReply([]byte(body)); !errors.Is(err, responses.ErrMalformed) {
			t.Errorf("%s: %v", body, err)
		}
		end := `{"type":"response.completed","response":` + body + `}` // behind its items
		if _, err := responses.NewDecoder().Decode(nil, "", []byte(end)); err != nil {
			t.Errorf("%s: %v", end, err)
		}
	}
	f(`[{"type":"message","content":null},{"type":"message","id":7,"content":[{"type":"output_text","text":"x","annotations":7,"logprobs":"x"},{"type":"new"}]}]`, nil)
	f(`[{"type":"reasoning","summary":"x","content":7},{"type":"new","content":7}]`, nil)
}

func TestDecoderShapes(t *testing.T) {
	decode := func(data string) error {
		_, err := responses.NewDecoder().Decode(nil, "", []byte(data))
		return err
	}
	for _, data := range []string{
		`{"type":"response.output_text.delta","delta":{}}`, `{"type":"response.refusal.delta","delta":7}`,
		`{"type":"response.reasoning_text.delta","delta":[]}`, `{"type":"response.function_call_arguments.delta","delta":{"x":1}}`,
		`{"type":"response.output_item.added","item":"x"}`, `{"type":"response.output_item.done","item":[]}`,
		`{"type":"response.output_item.done","item":{"type":"message","content":"x"}}`,
	} {
		if err := decode(data); !errors.Is(err, responses.ErrMalformed) {
			t.Errorf("%s: %v", data, err)
		}
	}
	for _, data := range []string{`{"type":"response.output_text.delta","delta":null,"logprobs":7}`, `{"type":"response.new.delta","delta":7}`} {
		if err := decode(data); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// As many calls as a decoder gives, a stream tells.
func TestManyCalls(t *testing.T) {
	d, e, b := responses.NewDecoder(), responses.NewEncoder(nil), new(chat.Batch)
	call := []byte(`{"type":"response.output_item.added","item":{"type":"function_call","call_id":"c","name":"f"}}`)
	told := 0
	for range chat.MaxCalls {
		pieces, err := d.Decode(nil, "", call)
		if err != nil {
			t.Fatal(err)
		}
		b.Reset()
		for i := range pieces {
			e.Encode(b, &pieces[i])
		}
		for name, _, ok := b.Next(); ok; name, _, ok = b.Next() {
			if name == "response.output_item.added" {
				told++
			}
		}
	}
	if _, err := d.Decode(nil, "", call); told != chat.MaxCalls || !errors.Is(err, responses.ErrMalformed) {
		t.Errorf("%d calls, then %v", told, err)
	}
}
