package sdk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// endpointsGo is OpenAI's client for Go, at the endpoints that hold no conversations.
type endpointsGo struct {
	openai.Client
	baseURL string
}

func newEndpointsGo(_ *testing.T, s *site) client { return endpointsGo{baseURL: s.baseURL} }

func (g endpointsGo) ask(ctx context.Context, q question) (a seen) {
	options := []option.RequestOption{option.WithBaseURL(g.baseURL), option.WithAPIKey(key)}
	if q.Retries != nil {
		options = append(options, option.WithMaxRetries(*q.Retries))
	}
	if q.Provider != "" {
		options = append(options, option.WithHeader("X-Sluice-Provider", q.Provider))
	}
	g.Client = openai.NewClient(options...)
	known := map[string]func(context.Context, question, *seen) error{
		"embeddings": g.embeddings, "complete": g.complete, "moderate": g.moderate, "picture": g.picture, "sound": g.sound,
		"files": g.files, "batch": g.batch,
	}
	do := known[q.Do]
	if do == nil {
		return seen{Error: &failure{Message: fmt.Sprintf("unknown question %q", q.Do)}}
	}
	a.Error = openaiGo{}.failure(do(ctx, q, &a))
	return a
}

// embeddings are asked for in the client's own way, and as numbers.
func (g endpointsGo) embeddings(ctx context.Context, q question, a *seen) error {
	for _, format := range []openai.EmbeddingNewParamsEncodingFormat{"", "float"} {
		r := openai.EmbeddingNewParams{Model: q.Model, EncodingFormat: format}
		r.Input.OfArrayOfStrings = []string{q.Prompt}
		e, err := g.Embeddings.New(ctx, r)
		if err != nil {
			return err
		}
		a.Vectors = append(a.Vectors, e.Data[0].Embedding)
	}
	return nil
}

func (g endpointsGo) complete(ctx context.Context, q question, a *seen) error {
	r := openai.CompletionNewParams{Model: openai.CompletionNewParamsModel(q.Model)}
	r.Prompt.OfString = openai.String(q.Prompt)
	whole, err := g.Completions.New(ctx, r)
	if err != nil {
		return err
	}
	stream := g.Completions.NewStreaming(ctx, r)
	defer stream.Close()
	text := ""
	for stream.Next() {
		text += stream.Current().Choices[0].Text
	}
	a.Said = []string{whole.Choices[0].Text, text}
	return stream.Err()
}

func (g endpointsGo) moderate(ctx context.Context, q question, a *seen) error {
	r := openai.ModerationNewParams{Model: q.Model}
	r.Input.OfString = openai.String(q.Prompt)
	m, err := g.Moderations.New(ctx, r)
	if err != nil {
		return err
	}
	if m.Results[0].Categories.Violence {
		a.Said = append(a.Said, "violence")
	}
	return nil
}

func (g endpointsGo) picture(ctx context.Context, q question, a *seen) error {
	made, err := g.Images.Generate(ctx, openai.ImageGenerateParams{Model: q.Model, Prompt: q.Prompt})
	if err != nil {
		return err
	}
	image, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		return err
	}
	r := openai.ImageEditParams{Model: q.Model, Prompt: q.Prompt}
	r.Image.OfFile = openai.File(bytes.NewReader(image), "pixel.png", "image/png")
	edited, err := g.Images.Edit(ctx, r)
	if err != nil {
		return err
	}
	a.Said = []string{made.Data[0].B64JSON, edited.Data[0].B64JSON}
	return nil
}

func (g endpointsGo) sound(ctx context.Context, q question, a *seen) error {
	r := openai.AudioSpeechNewParams{Model: q.Model, Input: q.Prompt}
	r.Voice.OfString = openai.String("alloy")
	spoken, err := g.Audio.Speech.New(ctx, r)
	if err != nil {
		return err
	}
	defer spoken.Body.Close()
	sound, err := io.ReadAll(spoken.Body)
	if err != nil {
		return err
	}
	file := func() io.Reader { return openai.File(bytes.NewReader(sound), "speech.wav", "audio/wav") }
	heard, err := g.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{Model: q.Model, File: file()})
	if err != nil {
		return err
	}
	again := openai.AudioTranslationNewParams{Model: q.Model, File: file()}
	translated, err := g.Audio.Translations.New(ctx, again) //nolint:staticcheck // deprecated, but OpenAI has it still
	if err != nil {
		return err
	}
	a.Said = []string{string(sound[:min(4, len(sound))]), strconv.Itoa(len(sound)), heard.Text, translated.Text}
	return nil
}

func (g endpointsGo) upload(ctx context.Context, q question) (*openai.FileObject, error) {
	return g.Files.New(ctx, openai.FileNewParams{
		File: openai.File(strings.NewReader(q.Prompt), "lines.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
	})
}

func (g endpointsGo) content(ctx context.Context, id string) (string, error) {
	r, err := g.Files.Content(ctx, id)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

func (g endpointsGo) files(ctx context.Context, q question, a *seen) error {
	file, err := g.upload(ctx, q)
	if err != nil {
		return err
	}
	found, err := g.Files.Get(ctx, file.ID)
	if err != nil {
		return err
	}
	content, err := g.content(ctx, file.ID)
	if err != nil {
		return err
	}
	listed := false
	pages := g.Files.ListAutoPaging(ctx, openai.FileListParams{Limit: openai.Int(1)})
	for pages.Next() {
		listed = listed || pages.Current().ID == file.ID
	}
	if err := pages.Err(); err != nil {
		return err
	}
	deleted, err := g.Files.Delete(ctx, file.ID)
	if err != nil {
		return err
	}
	a.ID = file.ID
	a.Said = []string{found.ID, found.Filename, content, strconv.FormatBool(listed), strconv.FormatBool(deleted.Deleted)}
	_, err = g.Files.Get(ctx, file.ID)
	return err
}

func (g endpointsGo) batch(ctx context.Context, q question, a *seen) error {
	file, err := g.upload(ctx, q)
	if err != nil {
		return err
	}
	r := openai.BatchNewParams{
		InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}
	stopped, err := g.stopped(ctx, r)
	if err != nil {
		return err
	}
	found, err := g.Batches.New(ctx, r)
	for err == nil && slices.Contains([]openai.BatchStatus{"validating", "in_progress", "finalizing"}, found.Status) {
		found, err = g.Batches.Get(ctx, found.ID)
	}
	if err != nil {
		return err
	}
	output, err := g.content(ctx, found.OutputFileID)
	if err != nil {
		return err
	}
	listed := 0
	pages := g.Batches.ListAutoPaging(ctx, openai.BatchListParams{Limit: openai.Int(1)})
	for pages.Next() {
		if pages.Current().InputFileID == file.ID {
			listed++
		}
	}
	if err := pages.Err(); err != nil {
		return err
	}
	a.ID = found.ID
	a.Said = []string{found.InputFileID, string(found.Status), found.OutputFileID, output, strconv.FormatBool(listed == 2), stopped}
	_, err = g.Batches.Cancel(ctx, found.ID)
	return err
}

// stopped makes a batch, cancels it, and says what becomes of it.
func (g endpointsGo) stopped(ctx context.Context, r openai.BatchNewParams) (string, error) {
	made, err := g.Batches.New(ctx, r)
	if err != nil {
		return "", err
	}
	_, err = g.Batches.Cancel(ctx, made.ID)
	if refused, ok := errors.AsType[*openai.Error](err); ok {
		return strconv.Itoa(refused.StatusCode), nil
	}
	if err != nil {
		return "", err
	}
	after, err := g.Batches.Get(ctx, made.ID)
	if err != nil {
		return "", err
	}
	return string(after.Status), nil
}
