// Package embed turns texts into vectors whose cosine says how near their meanings are.
package embed

import "context"

// An Embedder turns texts into vectors. It may be used from any number of goroutines.
type Embedder interface {
	// ID names the embedder and its version. Vectors and calibrations of different IDs do not go together.
	ID() string

	// Dim is the length of the vectors.
	Dim() int

	// Embed returns one vector of unit length for each text, in order. The vectors are the caller's. A text of which
	// nothing is known has a vector of zeros.
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}
