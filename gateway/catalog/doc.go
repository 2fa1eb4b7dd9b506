// Package catalog knows models: how much they take in and give out, what they can do, what they cost, and how to work out
// the cost of one reply from its usage. It imports only the neutral form of usage, and nothing in it changes once built.
//
// # Where the facts are from
//
// models.json is embedded: one line a model, sorted, with the sources and their dates at its top. The program in refresh
// writes it, and keeps a price only if two sources give it to the digit; what they do not agree on is in the file as
// unknown. Configuration lays its own entries over it: see [New].
//
// # Money
//
// Money is a whole number of picodollars (1e-12 USD): a dollar for a million tokens is a million picodollars a token, so
// every published price is exact and so is every cost. People write prices as decimals, in USD a million tokens.
//
// # Which price
//
// Each class of [chat.Usage] is multiplied by its own price, of the service tier that served the request, and of the
// prompt's length: vendors that charge long prompts more do so for the whole request, the answer included. A class that
// was used and has no known price makes the cost unknown, never too low. A few classes need no price of their own,
// because vendors publish none where they charge the ordinary one:
//
//   - thought is charged as output, by every vendor;
//   - images and sound in a prompt are charged as text, where the model takes them and nobody quotes them apart;
//   - a cache write is charged as input by vendors that quote no price of writes, except on anthropic, bedrock and
//     openrouter, where a missing price is a missing price.
//
// In an entry from configuration every class left out is charged as ordinary input or output: the operator says what is
// charged.
//
// Pictures and texts to speak that are charged by their number or their characters are counted from the request: no usage
// tells. One price holds for pictures of any size and quality, so no built-in model has one; an operator who pays one can
// say it.
//
// What no usage tells is not in a cost: fees of hosted tools (a web search), storage of caches, and surcharges for where
// a request is processed. What was read from a cache is charged as text, also where it was sound.
package catalog
