package sdk

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// Anthropic's client finds its own shapes at the endpoints of files, over a provider with OpenAI's and in the builtin one.
func TestFilesForClaude(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, provider := range []string{"wire", "builtin"} {
		c := anthropic.NewClient(option.WithBaseURL(s.host), option.WithAPIKey(key), option.WithHeader("X-Sluice-Provider", provider), option.WithMaxRetries(0))
		ctx := t.Context()
		const text = "%PDF-1.7"
		made, err := c.Files.Upload(ctx, anthropic.FileUploadParams{File: anthropic.File(strings.NewReader(text), "a.pdf", "application/pdf")})
		if err != nil || made.Type != "file" || made.Filename != "a.pdf" || made.MimeType != "application/pdf" || made.SizeBytes != int64(len(text)) ||
			made.CreatedAt.IsZero() || !strings.HasSuffix(made.ID, "~"+provider) {
			t.Fatalf("%+v %v", made, err)
		}
		if got, err := c.Files.GetMetadata(ctx, made.ID, anthropic.FileGetMetadataParams{}); err != nil || got.ID != made.ID {
			t.Errorf("%+v %v", got, err)
		}
		var listed []string
		for pages := c.Files.ListAutoPaging(ctx, anthropic.FileListParams{}); pages.Next(); {
			listed = append(listed, pages.Current().ID)
		}
		if len(listed) != 1 || listed[0] != made.ID {
			t.Errorf("%q", listed)
		}
		r, err := c.Files.Download(ctx, made.ID, anthropic.FileDownloadParams{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r.Body)
		if _ = r.Body.Close(); err != nil || !bytes.Equal(content, []byte(text)) {
			t.Errorf("%q %v", content, err)
		}
		if gone, err := c.Files.Delete(ctx, made.ID, anthropic.FileDeleteParams{}); err != nil || gone.ID != made.ID || gone.Type != "file_deleted" {
			t.Errorf("%+v %v", gone, err)
		}
		_, err = c.Files.GetMetadata(ctx, made.ID, anthropic.FileGetMetadataParams{})
		var e *anthropic.Error
		if !errors.As(err, &e) || e.StatusCode != 404 || e.Type() != "not_found_error" {
			t.Errorf("%v", err)
		}
	}
}
