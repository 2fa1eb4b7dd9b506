package anthropic

import (
	"path"
	"strings"
	"time"
)

// File is what is known of a file that was uploaded.
type File struct {
	ID, Name         string
	Bytes            int64
	Created, Expires int64 // Unix seconds; Expires is 0 if it does not
}

// AppendFile adds the body of POST /v1/files and GET /v1/files/{id}. Its media type is the one that its name tells.
func AppendFile(dst []byte, f *File) []byte {
	w := writer{append(dst, '{')}
	w.text("type", "file")
	w.text("id", f.ID)
	w.text("filename", f.Name)
	w.text("mime_type", kindOfName(f.Name))
	w.whole("size_bytes", f.Bytes)
	w.text("created_at", timeOf(f.Created))
	if f.Expires > 0 {
		w.text("expires_at", timeOf(f.Expires))
	}
	w.raw("}")
	return w.b
}

// AppendFiles adds a page of a list of files, the body of GET /v1/files; more says that others come behind it. Clients go on
// from last_id, later ones from next_page.
func AppendFiles(dst []byte, files []File, more bool) []byte {
	w := writer{append(dst, `{"data":[`...)}
	for i := range files {
		w.next()
		w.b = AppendFile(w.b, &files[i])
	}
	w.raw("]")
	w.bool("has_more", more)
	n := len(files)
	if n == 0 {
		w.raw(`,"first_id":null,"last_id":null,"next_page":null}`)
		return w.b
	}
	w.text("first_id", files[0].ID)
	w.text("last_id", files[n-1].ID)
	if more {
		w.text("next_page", files[n-1].ID)
	} else {
		w.raw(`,"next_page":null`)
	}
	w.raw("}")
	return w.b
}

// AppendDeleted adds the body of DELETE /v1/files/{id}.
func AppendDeleted(dst []byte, id string) []byte {
	w := writer{append(dst, '{')}
	w.text("id", id)
	w.text("type", "file_deleted")
	w.raw("}")
	return w.b
}

func timeOf(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// kindOfName is what kind of file has such a name; those are named that models read.
func kindOfName(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".pdf":
		return "application/pdf"
	case ".txt", ".md":
		return "text/plain"
	case ".csv":
		return "text/csv"
	case ".html":
		return "text/html"
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/jsonl"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	}
	return "application/octet-stream"
}
