// Package text reads a question once, for everything in the semantic cache that compares questions: the embedder, the
// guards and the verifier.
//
// Parse takes a text apart into tokens that are the same for wordings of the same question: contractions are written
// out, politeness is dropped, "what is the best way to" becomes "how to", words have their lemma and weight. What must
// not be blurred stands beside the tokens: numbers with their units, dates, quotes, code and addresses byte for byte,
// negations, names, and what kind of answer is asked for.
//
// The vocabulary is made from WordNet 3.0 (see NOTICE) by the program in the folder tables. It is unpacked when it is
// first needed: a gateway without a semantic cache does not pay for it.
package text
