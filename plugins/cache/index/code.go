package index

import "math"

const codeBits = 256

// code is the signs of a vector in 256 directions. Two vectors at angle θ differ in θ/π of the bits, on average.
type code [codeBits / 64]uint64

// encode takes the signs after a rotation: the numbers of an embedding are not alike (some hardly ever change sign, and
// sparse ones are often zero), and there may be more or fewer of them than bits. The rotation is a random flip of signs
// and a Walsh-Hadamard transform, which costs n log n and needs no matrix (Ailon and Chazelle 2006).
func encode(vector []float32) code {
	var buf [maxDim]float32
	n := codeBits
	for n < len(vector) {
		n *= 2
	}
	x := buf[:n]
	for i, v := range vector {
		x[i] = v * flip(uint64(i))
	}
	for half := 1; half < n; half *= 2 {
		for i := 0; i < n; i += 2 * half {
			lo, hi := x[i:i+half], x[i+half:i+2*half]
			for j, u := range lo {
				v := hi[j]
				lo[j], hi[j] = u+v, u-v
			}
		}
	}
	var c code
	step := n / codeBits
	for i := range codeBits {
		if x[i*step+i%step] > 0 {
			c[i/64] |= 1 << (i % 64)
		}
	}
	return c
}

// flip is 1 or -1, by SplitMix64 of the position: the same for ever, since codes are sent to other nodes' arenas.
func flip(i uint64) float32 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float32(int64(z>>62&2) - 1)
}

// quantise appends a vector in eight bits a number, and returns the scale that makes its length 1 again.
func quantise(dst []int8, vector []float32) ([]int8, float32) {
	var top float64
	for _, v := range vector {
		top = max(top, math.Abs(float64(v)))
	}
	var sum float64
	for _, v := range vector {
		q := math.RoundToEven(float64(v) / top * 127)
		sum += q * q
		dst = append(dst, int8(q))
	}
	return dst, float32(1 / math.Sqrt(sum))
}

// dot is the inner product. Four sums, because one would wait for each addition.
func dot(v []float32, q []int8) float32 {
	var s0, s1, s2, s3 float32
	q = q[:len(v)]
	for len(v) >= 4 && len(q) >= 4 {
		s0 += v[0] * float32(q[0])
		s1 += v[1] * float32(q[1])
		s2 += v[2] * float32(q[2])
		s3 += v[3] * float32(q[3])
		v, q = v[4:], q[4:]
	}
	for i := range v {
		s0 += v[i] * float32(q[i])
	}
	return s0 + s1 + s2 + s3
}

// length is the Euclidean norm.
func length(v []float32) float64 {
	var s float64
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	return math.Sqrt(s)
}
