package policy

// Offline is the verifier's probability from which an answer is served while there is no evidence, for a bound: the built-in
// verifier serves no more than maxWrong of the pairs that one answer does not serve, among the near misses of the
// development part of the project's corpus (go run ./benchmarks/cache --calibrate). So wrong answers are no more than
// maxWrong of all questions, even if every question is a near miss of a stored one.
func Offline(maxWrong float64) float64 {
	for _, c := range calibration {
		if maxWrong >= c.maxWrong {
			return c.probability
		}
	}
	return 2 // nothing
}

// calibration is for other embedders, too: these find candidates, and the verifier reads texts.
var calibration = [...]struct{ maxWrong, probability float64 }{
	{0.20, 0.26},
	{0.10, 0.40},
	{0.05, 0.52},
	{0.02, 0.67},
	{0.01, 0.80},
	{0.005, 0.89},
	{0.001, 0.96},
}
