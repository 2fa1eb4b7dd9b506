package verify

// FeatureCount is how many numbers Features has.
const FeatureCount = int(featureCount)

// DifferenceKinds is how many weights a model has.
const DifferenceKinds = differenceKinds

// Cosine is the feature that is given from outside.
const Cosine = int(fCosine)

// Sign returns 1 if the larger feature i is, the more it speaks for one answer, -1 if against it, 0 if neither.
func Sign(i int) int { return int(signs[i]) }
