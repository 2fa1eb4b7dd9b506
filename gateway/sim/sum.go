package sim

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	spokenOperators = strings.NewReplacer(
		" multiplied by ", "*", " divided by ", "/", " times ", "*", " plus ", "+", " minus ", "-", " over ", "/",
		"×", "*", "·", "*", "÷", "/", "−", "-", "% of ", "/100*",
	)
	thousands    = regexp.MustCompile(`(\d),(\d{3})\b`)
	sumPattern   = regexp.MustCompile(`[(\-\d.][\d\s.+\-*/^()]*[\d)]`)
	operatorUsed = regexp.MustCompile(`[\d)]\s*[+\-*/^]\s*[(\-]*\s*[\d.]`)
	sumAsked     = regexp.MustCompile(`\b(what is|what's|whats|how much|calculate|compute|evaluate|solve|result|sum|product)\b|=`)

	errZero   = errors.New("nothing can be divided by zero")
	errNoSum  = errors.New("it is not complete")
	errTooBig = errors.New("it is larger than I can count")
)

const maxSum = 200 // bytes, and so also the depth of its parentheses

// findSum finds a sum in a question and its value; "" if there is none.
func findSum(lower string) (expression, value string, err error) {
	text := thousands.ReplaceAllString(spokenOperators.Replace(" "+lower+" "), "$1$2")
	for _, found := range sumPattern.FindAllString(text, 8) {
		if len(found) > maxSum || !operatorUsed.MatchString(found) {
			continue
		}
		whole := strings.Trim(text, " ?=.!") == found
		if !whole && !sumAsked.MatchString(lower) && !strings.ContainsAny(found, "*+^") {
			continue // perhaps a date or a range
		}
		p := sum{s: strings.Join(strings.Fields(found), "")}
		v := p.terms()
		switch {
		case p.err == nil && p.s != "":
			continue
		case p.err == nil && (math.IsInf(v, 0) || math.IsNaN(v)):
			p.err = errTooBig
		case errors.Is(p.err, errNoSum):
			continue
		}
		return found, decimal(v), p.err
	}
	return "", "", nil
}

// decimal writes a number with up to twelve digits, without an exponent where that is possible.
func decimal(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 12, 64)
}

// sum reads an expression from the left; s is what is left of it.
type sum struct {
	s   string
	err error
}

func (p *sum) next(operators string) (byte, bool) {
	if p.s == "" || strings.IndexByte(operators, p.s[0]) < 0 {
		return 0, false
	}
	c := p.s[0]
	p.s = p.s[1:]
	return c, true
}

func (p *sum) terms() float64 {
	v := p.factors()
	for {
		op, ok := p.next("+-")
		switch {
		case !ok:
			return v
		case op == '+':
			v += p.factors()
		default:
			v -= p.factors()
		}
	}
}

func (p *sum) factors() float64 {
	v := p.power()
	for {
		op, ok := p.next("*/")
		if !ok {
			return v
		}
		w := p.power()
		switch {
		case op == '*':
			v *= w
		case w == 0:
			p.fail(errZero)
		default:
			v /= w
		}
	}
}

func (p *sum) power() float64 {
	if _, minus := p.next("-"); minus {
		return -p.power()
	}
	v := p.atom()
	if _, ok := p.next("^"); ok {
		return math.Pow(v, p.power())
	}
	return v
}

func (p *sum) atom() float64 {
	if _, ok := p.next("("); ok {
		v := p.terms()
		if _, ok := p.next(")"); !ok {
			p.fail(errNoSum)
		}
		return v
	}
	n := 0
	for n < len(p.s) && (p.s[n] >= '0' && p.s[n] <= '9' || p.s[n] == '.') {
		n++
	}
	v, err := strconv.ParseFloat(p.s[:n], 64)
	if err != nil {
		p.fail(errNoSum)
	}
	p.s = p.s[n:]
	return v
}

func (p *sum) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}
