package policy

// Offline is the verifier's probability from which an answer is served while there is no evidence, for a bound: what the
// built-in embedder and verifier of this version need so that, on the development part of the project's corpus of
// pairs, wrong answers stay below maxWrong with a margin (go run ./benchmarks/cache --calibrate). That corpus is made of
// near misses, which streams of real questions are not: there it is the safer.
func Offline(maxWrong float64) float64 {
	for _, c := range calibration {
		if maxWrong >= c.maxWrong {
			return c.probability
		}
	}
	return 2 // nothing
}

// calibration is for other embedders, too: the verifier reads texts, and learns of the embedder by one number only.
var calibration = [...]struct{ maxWrong, probability float64 }{
	{0.05, 0.97},
	{0.02, 0.985},
	{0.01, 0.99},
}
