// Package sim is the provider that a newcomer talks to without a key, and a faulty one for tests and benchmarks.
//
// An answer is composed from the request alone: small talk, sums, lists, translations and the like from templates; calls
// of the offered tools with arguments that follow their schemas; JSON that follows a response format; thoughts, with a
// signature, if the request asks for some. The same request and Options.Seed give the same text, ids and timing; only the
// date, the failures drawn by Options.ErrorRate and the x-request-id differ from one request to the next.
//
// Conversations are held in every dialect that package wire knows: chat completions, Anthropic's Messages, Responses. The
// answer is neutral; only what carries it differs. As Anthropic does, a Messages request with a budget for thinking is refused
// if the calls in it come back without the signed thought before them.
//
// There are two front ends with the same endpoints. A Provider is a gateway.Sender without a network, for those who have no
// key. A Server speaks HTTP, and counts the clients that leave.
//
// Beside conversations there are OpenAI's other endpoints: embeddings of which those of similar texts are near to each other,
// moderations, completions, small pictures and tones, transcriptions that describe the recording, files, and batches that
// are done at once; and tokens are counted. What is kept (responses, files, batches) is kept in memory, the last 1,000 of
// each. There the name of a model asks for statuses only. For what no well-behaved server can do there are Faults: byte-exact
// dialogues with pauses, cuts and resets. What goes wrong by time, with any server, is the Schedule of a FaultListener.
//
// # Model names
//
// A name that does not begin with "sim-" answers like sim-chat. The others are words joined by "-", each at most once, in
// any order; a number belongs to the word before it:
//
//	sim-chat          a plain answer
//	sim-fast          without any delay
//	sim-slow-2000     the first token after 2000 ms (5000 if no number is given)
//	sim-long-500      a text of exactly 500 tokens (2000)
//
//	sim-429           this status, from 400 to 599, with an error body; 429, 503 and 529 with Retry-After: 1
//	sim-429-after5    with Retry-After: 5 (seconds); after0 leaves the header out
//	sim-quota         429 with the code insufficient_quota, after which a retry is useless
//	sim-html          502 with an HTML page, unless a status is named too
//	sim-inband        200 with an error body, also where a stream was asked for
//
//	sim-cut-10        the connection ends after 10 events; after 0 before anything is said
//	sim-stall-5       silence after 5 events; after 0 no answer at all
//	sim-error-3       an error event after 3 events, and the end
//	sim-badjson-2     a malformed event after 2 events (1)
//	sim-nodone        no terminal event ([DONE], message_stop, response.completed), but a clean end
//	sim-nofinish      neither a finish reason nor usage nor a terminal event, but a clean end
//	sim-empty         200 and nothing more
//
// Where no number is given, 0 is meant, or what stands in parentheses. In an answer that is not streamed, cut and stall
// come in the middle of the body (0: before it), error is the same as inband, badjson a body that is not JSON, and
// nodone and nofinish mean nothing. Errors have the shape of the dialect that was spoken. Words combine:
// sim-fast-long-1000-cut-500, sim-slow-503. Names that cannot be read are answered by 404 model_not_found with those that
// are most like them.
package sim
