package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// liteLLM is LiteLLM's list, by our kind of provider and the name there.
type liteLLM map[string]map[string]*quote

// liteLLMProviders are its names for our kinds, with what it puts before a model's name.
var liteLLMProviders = map[string]struct{ kind, prefix string }{
	"openai": {"openai", "openai/"}, "azure": {"azure", "azure/"}, "anthropic": {"anthropic", "anthropic/"},
	"gemini": {"gemini", "gemini/"}, "mistral": {"mistral", "mistral/"}, "groq": {"groq", "groq/"},
	"deepseek": {"deepseek", "deepseek/"}, "xai": {"xai", "xai/"}, "cohere": {"cohere", "cohere/"},
	"cohere_chat": {"cohere", "cohere_chat/"}, "together_ai": {"together", "together_ai/"},
	"fireworks_ai": {"fireworks", "fireworks_ai/"},
}

var liteLLMModes = map[string]string{
	"chat": "chat", "responses": "responses", "completion": "completion", "embedding": "embedding",
	"image_generation": "image", "image_edit": "image", "audio_speech": "speech", "audio_transcription": "transcription",
	"moderation": "moderation", "rerank": "rerank", "realtime": "realtime",
}

var liteLLMAble = map[string]string{
	"supports_function_calling": "tools", "supports_parallel_function_calling": "parallel_tools",
	"supports_tool_choice": "tool_choice", "supports_vision": "vision", "supports_audio_input": "audio",
	"supports_pdf_input": "files", "supports_response_schema": "structured", "supports_reasoning": "reasoning",
	"supports_audio_output": "audio_output", "supports_prompt_caching": "caching",
}

// sized are names of pictures of a size, and of regions with prices of their own: not models.
var sized = regexp.MustCompile(`(^|/)(low|medium|high|standard|hd|auto|[0-9]+-x-[0-9]+|us|eu|global|global-standard)/`)

func readLiteLLM(data []byte, _ time.Time) (source, error) {
	var list map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	l := liteLLM{}
	for _, full := range slices.Sorted(maps.Keys(list)) {
		var theirs, mode string
		_ = json.Unmarshal(list[full]["litellm_provider"], &theirs)
		_ = json.Unmarshal(list[full]["mode"], &mode)
		p, known := liteLLMProviders[theirs]
		if !known || full == "sample_spec" || liteLLMModes[mode] == "" || sized.MatchString(full) {
			continue
		}
		name := strings.TrimPrefix(full, p.prefix)
		if _, twice := l[p.kind][name]; twice && name == full {
			continue // the one with the prefix is meant
		}
		q, err := liteLLMQuote(p.kind, name, list[full])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", full, err)
		}
		if l[p.kind] == nil {
			l[p.kind] = map[string]*quote{}
		}
		q.mode = liteLLMModes[mode]
		l[p.kind][name] = q
	}
	return l, nil
}

func (l liteLLM) names(provider string) []string             { return slices.Collect(maps.Keys(l[provider])) }
func (l liteLLM) quote(provider, name string) *quote         { return l[provider][name] }
func has(fields map[string]json.RawMessage, key string) bool { return string(fields[key]) == "true" }

func liteLLMQuote(kind, name string, fields map[string]json.RawMessage) (*quote, error) {
	q := &quote{able: map[string]bool{}}
	for key, raw := range fields {
		s, scale, ok := liteLLMSlot(key)
		if !ok {
			continue
		}
		if err := q.set(s, raw, scale); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if raw, ok := fields["off_peak_pricing"]; ok {
		if err := q.offPeak(raw); err != nil {
			return nil, err
		}
	}
	q.normalise()
	var in int64
	_ = json.Unmarshal(fields["max_input_tokens"], &in)
	_ = json.Unmarshal(fields["max_output_tokens"], &q.output)
	if in > 0 {
		q.context = []int64{in, in + q.output}
	}
	for key, able := range liteLLMAble {
		if raw, ok := fields[key]; ok {
			q.able[able] = string(raw) == "true"
		}
	}
	if _, said := fields["supports_reasoning"]; !said && string(fields["mode"]) == `"chat"` {
		q.able["reasoning"] = false // see facts
	}
	_ = json.Unmarshal(fields["deprecation_date"], &q.retires)
	q.reason(kind, name, fields)
	return q, nil
}

// reason fills in what has to do with thinking. That OpenAI's reasoning models take sampling parameters only while they
// do not think, and those that always think never, is its documentation's rule, and in LiteLLM's code instead of its list.
func (q *quote) reason(kind, name string, fields map[string]json.RawMessage) {
	if has(fields, "supports_reasoning") && (kind == "openai" || kind == "azure" || kind == "anthropic") {
		q.efforts = liteLLMEfforts(fields)
		_ = json.Unmarshal(fields["default_reasoning_effort"], &q.defaultEffort)
	}
	openai := kind == "openai" || kind == "azure"
	switch {
	case string(fields["supports_sampling_params"]) == "false":
		q.sampling = "refused"
	case openai && has(fields, "supports_reasoning") && slices.Contains(q.efforts, "none"):
		q.sampling = "without_reasoning"
	case openai && has(fields, "supports_reasoning") && !strings.Contains(name, "chat"):
		q.sampling = "refused"
	case string(fields["mode"]) == `"chat"`:
		q.sampling = "accepted"
	}
	switch {
	case has(fields, "thinking_always_on"):
		q.thinking = "always"
	case has(fields, "supports_adaptive_thinking"):
		q.thinking = "adaptive"
	case kind == "anthropic" && has(fields, "supports_reasoning"):
		q.thinking = "budget"
	case openai && has(fields, "supports_reasoning"):
		q.thinking = "effort"
	}
}

func liteLLMEfforts(fields map[string]json.RawMessage) (efforts []string) {
	if raw, ok := fields["reasoning_effort_levels"]; ok {
		_ = json.Unmarshal(raw, &efforts)
		return efforts
	}
	for _, effort := range [...]string{"none", "minimal", "low", "medium", "high", "xhigh", "max"} {
		said, ok := fields["supports_"+effort+"_reasoning_effort"]
		usual := effort == "low" || effort == "medium" || effort == "high"
		if ok && string(said) == "true" || !ok && usual {
			efforts = append(efforts, effort)
		}
	}
	return efforts
}

// liteLLMPrice takes a key apart: what is charged, from which length of prompt, in which tier.
var liteLLMPrice = regexp.MustCompile(`^(.+?)(_above_1hr)?(?:_above_([0-9]+)k_tokens)?(?:_(batches|flex|priority))?$`)

func liteLLMSlot(key string) (s slot, scale int64, ok bool) {
	m := liteLLMPrice.FindStringSubmatch(key)
	if m == nil {
		return s, 0, false
	}
	class, scale, ok := liteLLMClass(m[1])
	if !ok {
		return s, 0, false
	}
	s.class, s.tier = class, strings.TrimSuffix(m[4], "es")
	if m[2] != "" {
		if class != catalog.CacheWrite {
			return s, 0, false
		}
		s.class = catalog.CacheWriteHour
	}
	if m[3] != "" {
		k, _ := strconv.ParseInt(m[3], 10, 64)
		s.above = k * 1000
	}
	return s, scale, true
}

func liteLLMClass(key string) (class catalog.Class, scale int64, ok bool) {
	switch key {
	case "input_cost_per_token":
		return catalog.Input, 1, true
	case "output_cost_per_token":
		return catalog.Output, 1, true
	case "cache_read_input_token_cost":
		return catalog.CacheRead, 1, true
	case "cache_creation_input_token_cost":
		return catalog.CacheWrite, 1, true
	case "input_cost_per_audio_token":
		return catalog.InputAudio, 1, true
	case "input_cost_per_image_token":
		return catalog.InputImage, 1, true
	case "output_cost_per_audio_token":
		return catalog.OutputAudio, 1, true
	case "output_cost_per_image_token":
		return catalog.OutputImage, 1, true
	case "output_cost_per_reasoning_token":
		return catalog.ReasoningOutput, 1, true
	case "input_cost_per_second":
		return catalog.Recording, 0, true
	case "input_cost_per_character":
		return catalog.Characters, 1, true
	default:
		return 0, 0, false
	}
}

// offPeak splits what is charged by the hour: the list gives the dearer prices, and beside them the cheaper ones with
// their hours. Here the cheaper ones are the ordinary, and the dearer have the hours.
func (q *quote) offPeak(raw json.RawMessage) error {
	var off map[string]json.RawMessage
	if err := json.Unmarshal(raw, &off); err != nil {
		return err
	}
	if string(off["windows"]) == "" {
		return errors.New("off_peak_pricing without windows")
	}
	hours, err := peakHours(off["windows"])
	if err != nil {
		return err
	}
	dear := maps.Clone(q.prices)
	for s, n := range dear {
		s.hours = hours
		q.prices[s] = n
	}
	for key, raw := range off {
		if s, scale, ok := liteLLMSlot(key); ok {
			if err := q.set(s, raw, scale); err != nil {
				return fmt.Errorf("off_peak_pricing.%s: %w", key, err)
			}
		}
	}
	return nil
}

// peakHours are those of the working days that are not in the windows, which cover weekends whole.
func peakHours(raw json.RawMessage) (string, error) {
	var windows []struct {
		Hours    any   `json:"hours_utc"`
		Weekdays []int `json:"weekdays"`
	}
	if err := json.Unmarshal(raw, &windows); err != nil {
		return "", err
	}
	var cheap []string
	weekend := false
	for _, w := range windows {
		if spans, ok := w.Hours.([]any); ok && slices.Equal(w.Weekdays, []int{1, 2, 3, 4, 5}) {
			for _, s := range spans {
				cheap = append(cheap, fmt.Sprint(s))
			}
		}
		weekend = weekend || w.Hours == "00:00-00:00" && slices.Equal(w.Weekdays, []int{6, 7})
	}
	slices.Sort(cheap)
	if !weekend || len(cheap) < 2 {
		return "", fmt.Errorf("windows of another form: %s", raw)
	}
	peak := []string{"mon-fri"}
	for i := range len(cheap) - 1 {
		_, from, _ := strings.Cut(cheap[i], "-")
		to, _, _ := strings.Cut(cheap[i+1], "-")
		peak = append(peak, from+"-"+to)
	}
	return strings.Join(peak, " "), nil
}
