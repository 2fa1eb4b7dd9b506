package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	maxImages   = 10
	imageSide   = 16   // pixels
	imageTokens = 272  // of a generated image
	soundRate   = 8000 // samples in a second
)

// fields are those of a form, or of a JSON object whose values are texts, numbers or switches.
type fields map[string]string

// form reads a body in either form, and the file in it.
func (c *call) form() (f fields, file []byte, name string, bad *answer) {
	f = fields{}
	kind, params, err := mime.ParseMediaType(c.contentType)
	if err != nil || kind != "multipart/form-data" {
		var members map[string]json.RawMessage
		if bad = c.read(&members); bad != nil {
			return nil, nil, "", bad
		}
		for k, v := range members {
			var s string
			if json.Unmarshal(v, &s) != nil {
				s = string(v)
			}
			f[k] = s
		}
		return f, nil, "", nil
	}
	form, err := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		a := c.wrong("body", err.Error())
		return nil, nil, "", &a
	}
	defer func() { _ = form.RemoveAll() }()
	for k, v := range form.Value {
		f[strings.TrimSuffix(k, "[]")] = v[0]
	}
	for k, files := range form.File {
		part, err := files[0].Open()
		if err != nil {
			continue
		}
		var b bytes.Buffer
		_, err = b.ReadFrom(part)
		_ = part.Close()
		if err == nil && (file == nil || strings.HasPrefix(k, "file")) {
			file, name = b.Bytes(), files[0].Filename
		}
	}
	return f, file, name, nil
}

// images generates, edits and varies: a small square in a colour that follows from the prompt.
func (c *call) images() answer {
	f, file, _, bad := c.form()
	if bad != nil {
		return *bad
	}
	if f["model"] == "" {
		f["model"] = "gpt-image-1"
	}
	if bad := c.judge(f["model"]); bad != nil {
		return *bad
	}
	if f["prompt"] == "" && file == nil {
		return c.wrong("prompt", "is required")
	}
	n := 1
	if f["n"] != "" {
		var err error
		if n, err = strconv.Atoi(f["n"]); err != nil || n < 1 || n > maxImages {
			return c.wrong("n", "must be from 1 to 10")
		}
	}
	type one struct {
		Data string `json:"b64_json"`
	}
	var list []one
	for i := range n {
		list = append(list, one{picture(f["prompt"]+string(file), i)})
	}
	in := tokens(f["prompt"])
	usage := imageUsage{Input: in, Output: n * imageTokens, Total: in + n*imageTokens}
	usage.Details.Text, usage.OutputDetails.Image = in, n*imageTokens
	if f["stream"] != "true" {
		return c.json(struct {
			Created int64      `json:"created"`
			Data    []one      `json:"data"`
			Usage   imageUsage `json:"usage"`
		}{now(), list, usage})
	}
	kind := "image_generation"
	if strings.HasSuffix(c.path, "/edits") {
		kind = "image_edit"
	}
	type event struct {
		Type    string      `json:"type"`
		Data    string      `json:"b64_json"`
		Created int64       `json:"created_at"`
		Index   *int        `json:"partial_image_index,omitempty"`
		Usage   *imageUsage `json:"usage,omitempty"`
	}
	partial, err := strconv.Atoi(f["partial_images"])
	if err != nil {
		partial = 0
	}
	var events []any
	for i := range min(partial, 3) {
		events = append(events, event{kind + ".partial_image", list[0].Data, now(), new(i), nil})
	}
	for i := range list { // of each image one
		events = append(events, event{kind + ".completed", list[i].Data, now(), nil, &usage})
	}
	return c.values(events...)
}

type imageUsage struct {
	Input   int `json:"input_tokens"`
	Output  int `json:"output_tokens"`
	Total   int `json:"total_tokens"`
	Details struct {
		Text  int `json:"text_tokens"`
		Image int `json:"image_tokens"`
	} `json:"input_tokens_details"`
	OutputDetails struct {
		Text  int `json:"text_tokens"`
		Image int `json:"image_tokens"`
	} `json:"output_tokens_details"`
}

// picture is a PNG in base64.
func picture(prompt string, i int) string {
	var h [8]byte
	binary.LittleEndian.PutUint64(h[:], xxhash.Sum64String(prompt+strconv.Itoa(i)))
	m := image.NewNRGBA(image.Rect(0, 0, imageSide, imageSide))
	for y := range imageSide {
		for x := range imageSide {
			m.Set(x, y, color.NRGBA{h[0], h[1], h[2], 255})
		}
	}
	var b bytes.Buffer
	if png.Encode(&b, m) != nil { // a buffer takes everything
		return ""
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// speech is a tone of a length that follows from the text, as a WAV file whatever format is asked for.
func (c *call) speech() answer {
	var q struct {
		Model, Input, Voice string
		Stream              string `json:"stream_format"`
	}
	if bad := c.read(&q); bad != nil {
		return *bad
	}
	if bad := c.judge(q.Model); bad != nil {
		return *bad
	}
	if q.Input == "" {
		return c.wrong("input", "is required")
	}
	words := tokens(q.Input)
	sound := tone(min(words, 100) * soundRate / 20)
	if q.Stream != "sse" {
		return answer{status: 200, contentType: "audio/wav", body: sound}
	}
	type usage struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
		Total  int `json:"total_tokens"`
	}
	type event struct {
		Type  string `json:"type"`
		Audio string `json:"audio,omitempty"`
		Usage *usage `json:"usage,omitempty"`
	}
	return c.values(event{"speech.audio.delta", base64.StdEncoding.EncodeToString(sound), nil},
		event{"speech.audio.done", "", &usage{words, 2 * words, 3 * words}})
}

// tone is some samples of 440 Hz as a WAV file (RIFF, PCM, 16 bits, mono).
func tone(samples int) []byte {
	le := binary.LittleEndian
	size := uint32(2 * samples) //nolint:gosec // a few thousand
	b := le.AppendUint32([]byte("RIFF"), 36+size)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, 1), 1)
	b = le.AppendUint32(le.AppendUint32(b, soundRate), 2*soundRate)
	b = le.AppendUint16(le.AppendUint16(b, 2), 16)
	b = le.AppendUint32(append(b, "data"...), size)
	for i := range samples {
		b = le.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*440*float64(i)/soundRate)))) //nolint:gosec // two's complement
	}
	return b
}

// transcription says what it got, for the simulator hears nothing.
func (c *call) transcription() answer {
	f, file, name, bad := c.form()
	if bad != nil {
		return *bad
	}
	if bad := c.judge(f["model"]); bad != nil {
		return *bad
	}
	if file == nil {
		return c.wrong("file", "is required")
	}
	text := "A recording of " + plural(len(file), "byte") + " called " + clip(name, 60) + "."
	seconds := max(1, len(file)/(2*soundRate))
	var usage any = struct {
		Type    string `json:"type"`
		Seconds int    `json:"seconds"`
	}{"duration", seconds}
	if !strings.HasPrefix(f["model"], "whisper") {
		usage = struct {
			Type   string `json:"type"`
			Input  int    `json:"input_tokens"`
			Output int    `json:"output_tokens"`
			Total  int    `json:"total_tokens"`
		}{"tokens", 10 * seconds, tokens(text), 10*seconds + tokens(text)}
	}
	type event struct {
		Type  string `json:"type"`
		Delta string `json:"delta,omitempty"`
		Text  string `json:"text,omitempty"`
		Usage any    `json:"usage,omitempty"`
	}
	if f["stream"] == "true" {
		var events []any
		for rest := text; rest != ""; {
			n := piece(rest)
			events = append(events, event{Type: "transcript.text.delta", Delta: rest[:n]})
			rest = rest[n:]
		}
		return c.values(append(events, event{Type: "transcript.text.done", Text: text, Usage: usage})...)
	}
	stamp := "00:00:00.000 --> 00:00:0" + strconv.Itoa(min(seconds, 9)) + ".000\n" + text + "\n"
	switch f["response_format"] {
	case "text":
		return answer{status: 200, contentType: "text/plain; charset=utf-8", body: []byte(text + "\n")}
	case "srt":
		return answer{status: 200, contentType: "text/plain; charset=utf-8", body: []byte("1\n" + strings.ReplaceAll(stamp, ".000", ",000"))}
	case "vtt":
		return answer{status: 200, contentType: "text/vtt; charset=utf-8", body: []byte("WEBVTT\n\n" + stamp)}
	case "verbose_json":
		return c.json(struct {
			Task     string  `json:"task"`
			Language string  `json:"language"`
			Duration float64 `json:"duration"`
			Text     string  `json:"text"`
			Segments []any   `json:"segments"`
			Usage    any     `json:"usage"`
		}{"transcribe", "english", float64(seconds), text, []any{}, usage})
	case "", "json":
		return c.json(struct {
			Text  string `json:"text"`
			Usage any    `json:"usage"`
		}{text, usage})
	}
	return c.wrong("response_format", "must be json, text, srt, vtt or verbose_json")
}

// values answers with a stream of events that are JSON.
func (c *call) values(list ...any) answer {
	events := make([][]byte, len(list))
	for i, v := range list {
		b, err := json.Marshal(v)
		if err != nil {
			return c.refuse(500, chat.Error{Type: "server_error", Message: err.Error()})
		}
		events[i] = b
	}
	return c.events(events...)
}
