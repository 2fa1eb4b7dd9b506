package sim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	dimensions    = 1536 // of an embedding, if the caller wants no other number
	maxDimensions = 4096
	maxInputs     = 2048
)

// input is what embeddings and moderations are asked for: a text, texts, a list of tokens, or lists of tokens.
type input []string

// UnmarshalJSON makes a text of each token, so that equal lists of tokens have equal embeddings.
func (in *input) UnmarshalJSON(b []byte) error {
	var one string
	var texts []string
	var tokens []int
	var lists [][]int
	switch {
	case json.Unmarshal(b, &one) == nil:
		*in = input{one}
	case json.Unmarshal(b, &texts) == nil:
		*in = texts
	case json.Unmarshal(b, &tokens) == nil:
		*in = input{spell(tokens)}
	default:
		if err := json.Unmarshal(b, &lists); err != nil {
			return err
		}
		for _, l := range lists {
			*in = append(*in, spell(l))
		}
	}
	return nil
}

func spell(tokens []int) string {
	words := make([]string, len(tokens))
	for i, n := range tokens {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " ")
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // a list of numbers, or these as little-endian float32 in base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

func (c *call) embeddings() answer {
	var q struct {
		Model      string
		Input      input
		Format     string `json:"encoding_format"`
		Dimensions *int
	}
	if bad := c.read(&q); bad != nil {
		return *bad
	}
	if bad := c.judge(q.Model); bad != nil {
		return *bad
	}
	size := dimensions
	if q.Dimensions != nil {
		size = *q.Dimensions
	}
	switch {
	case len(q.Input) == 0 || len(q.Input) > maxInputs:
		return c.wrong("input", "must be 1 to 2048 texts or lists of tokens")
	case size < 1 || size > maxDimensions:
		return c.wrong("dimensions", "must be from 1 to 4096")
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return c.wrong("encoding_format", "must be float or base64")
	}
	var used embeddingUsage
	data := make([]embedding, len(q.Input))
	for i, text := range q.Input {
		v := embed(text, size, c.engine.o.Seed)
		data[i] = embedding{"embedding", i, v}
		if q.Format == "base64" {
			data[i].Embedding = packed(v)
		}
		used.PromptTokens += tokens(text)
	}
	used.TotalTokens = used.PromptTokens
	return c.json(struct {
		Object string         `json:"object"`
		Data   []embedding    `json:"data"`
		Model  string         `json:"model"`
		Usage  embeddingUsage `json:"usage"`
	}{"list", data, q.Model, used})
}

// embed is a vector of length 1: the sum of those of the words, each of which is random but always the same. So texts
// that share words are near to each other.
func embed(text string, size int, seed int64) []float32 {
	sum := make([]float64, size)
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		words = []string{""}
	}
	for _, w := range words {
		rng := source(xxhash.Sum64String(strings.Trim(w, ".,;:!?\"'()")), uint64(seed)) //nolint:gosec // any bits do
		for i := range sum {
			sum[i] += rng.NormFloat64()
		}
	}
	var square float64
	for _, x := range sum {
		square += x * x
	}
	v := make([]float32, size)
	for i, x := range sum {
		v[i] = float32(x / math.Sqrt(square))
	}
	return v
}

func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// read decodes the body; what it returns is the refusal, or nil.
func (c *call) read(v any) *answer {
	if err := json.Unmarshal(c.body, v); err != nil {
		a := c.refuse(400, chat.Error{Type: "invalid_request_error", Message: "The body is not what this endpoint takes: " + err.Error()})
		return &a
	}
	return nil
}

// judge is the error that the name of a model asks for, or nil.
func (c *call) judge(model string) *answer {
	if model == "" {
		a := c.wrong("model", "is required")
		return &a
	}
	s := c.engine.begin(c.dialect)
	if !c.engine.refuses(s, model) {
		return nil
	}
	return &answer{status: s.status, contentType: s.contentType(), body: s.body(), retry: s.retry()}
}
