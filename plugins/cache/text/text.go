package text

// A Text is what Parse found in a text. It is never changed afterwards, so any number of goroutines may read it.
type Text struct {
	// Raw is the text as it was given.
	Raw string

	// Tokens are the words that carry the question, in order: after filler is dropped and phrases are rewritten.
	Tokens []Token

	// Mass is the sum of the weights of Tokens.
	Mass float32

	// Quantities are the numbers, dates and times in the text, in order.
	Quantities []Quantity

	// Literals are quotes, code, addresses, paths and identifiers, byte for byte and in order.
	Literals []string

	// Negations counts "not", "never", "without" and the like.
	Negations int

	// Persons says who is spoken of by pronouns.
	Persons Persons

	// Question is the kind of answer that is asked for.
	Question Question

	// Script is the script of most letters.
	Script Script

	// Language is a guess from common words, as ISO 639-1 ("en"), or empty where nothing speaks for one.
	Language string

	// Fresh says that the answer changes within hours: "today", "latest", "weather", "price of bitcoin".
	Fresh bool

	// Personal says that the text has personal data or asks about the caller's own affairs: an address, a phone
	// number, a payment card, "my order".
	Personal bool

	// SelfContained says that the text can be understood without what was said before it: it has enough words of its
	// own, and no pronoun that points back.
	SelfContained bool
}

// A Token is a word of a Text.
type Token struct {
	// Surface is the word in lower case without accents, after contractions and common typos are undone.
	Surface string

	// Lemma is its base form: "ran" is "run". A word that the vocabulary does not have is its own lemma.
	Lemma string

	// Word is the number of Lemma in the vocabulary, or 0.
	Word Word

	// Weight says how much the word contributes to what is asked, from 0 to 1: its inverse document frequency, and
	// next to nothing for function words.
	Weight float32

	// Kind says what the token is.
	Kind Kind

	// Start and End say where it stands in Raw, in bytes. A token that a phrase was rewritten to stands where the
	// phrase did.
	Start, End int
}

// Kind is what a token is.
type Kind uint8

// The kinds of tokens.
const (
	Content  Kind = iota // a word with meaning
	Function             // an article, pronoun, preposition, auxiliary
	Name                 // a proper name, product or version: written with a capital inside a sentence, or with digits
	Number               // a number, also as a word
	Literal              // quoted text, code, an address
)

// Question is the kind of answer that is asked for.
type Question uint8

// The kinds of questions.
const (
	Other   Question = iota // none of the others: keywords, a statement
	What                    // what, which
	How                     // how to do something
	Why                     // a reason or cause
	Who                     // a person
	When                    // a time
	Where                   // a place
	HowMany                 // a count
	HowMuch                 // an amount or price
	HowLong                 // a duration, an age, how often
	YesNo                   // is, can, does, should
	Order                   // an imperative: convert, write, explain
)

// Script is a family of writing systems.
type Script uint8

// The scripts that are told apart.
const (
	NoScript Script = iota
	Latin
	Cyrillic
	Greek
	Arabic
	Hebrew
	Devanagari
	Han // Chinese; Japanese and Korean where kana or hangul are not the most
	Kana
	Hangul
	Thai
	OtherScript
)

// A Quantity is a number, date or time.
type Quantity struct {
	// Value is the number in the base unit of its dimension: 2 weeks are 1,209,600 s.
	Value float64

	// Unit is the base unit ("s", "m", "g", "B", "%", "K", "USD"), the kind of a date ("year", "month", "day"), or
	// empty for a bare number.
	Unit string

	// Count is the number as it was written, without its unit.
	Count float64

	// Token is the index in Tokens of the number, or of the unit where that is all there is.
	Token int

	// Loose says that the number was written as "a", "one" or "two", which others may leave out.
	Loose bool
}

// Word is the number of a lemma in the vocabulary; 0 is none.
type Word uint32

// Persons is a set of pronouns, whatever their number.
type Persons uint8

// The pronouns that are told apart. "I", "we", "you" and "one" as the subject of a question are the same to those who
// ask, and are not noted.
const (
	Me    Persons = 1 << iota // me, us: as an object
	Mine                      // my, our
	Yours                     // your
	Third                     // him, her, them, his, their
)
