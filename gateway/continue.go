package gateway

// Continue makes the request ask for the rest of an answer that broke off, and gives it as it was, to be put back when that
// was asked. body is the request with what was delivered as its last message, and begun the text of that: the inside of
// a JSON string, nil if body asks for all of the answer. The exchange holds the request's bytes, see Retain. The error is an
// *Error; then nothing has changed.
func (r *Request) Continue(body, begun []byte) (was Request, err error) {
	was = *r
	r.raw, r.begun, r.chat, r.chatErr = body, begun, nil, nil
	if err := r.scan(); err != nil {
		*r = was
		return was, err
	}
	return was, nil
}

// Begun is the beginning of the answer with which the body ends, for the provider to go on from: the inside of a JSON string;
// nil if it ends as usual. See [Request.Continue].
func (r *Request) Begun() []byte { return r.begun }
