package gateway

// Counted is a Body whose transport bounds the bytes of all requests together. What is made of a request counts there like
// its own bytes: its translation, its part of a merged one.
type Counted interface {
	Body
	// Take counts n bytes more. The error, an *Error, says that they would be too many: then they are not counted.
	Take(n int64) error
	// Give takes back n bytes that were counted.
	Give(n int64)
}

// Take counts n bytes that were made of the request among those of all requests. Each Take needs a Give of as much, unless
// it fails: the error, an *Error, says that there are too many bytes at the moment. Where the transport does not count, it
// does nothing. Both may be called from any goroutine, and after the exchange has ended.
func (r *Request) Take(n int64) error {
	if b, ok := r.body.(Counted); ok {
		return b.Take(n)
	}
	return nil
}

// Give takes back what Take has counted.
func (r *Request) Give(n int64) {
	if b, ok := r.body.(Counted); ok {
		b.Give(n)
	}
}
