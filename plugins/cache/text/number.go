package text

import (
	"math"
	"strconv"
	"strings"
)

// unit is what a word after a number says: the base unit of its dimension, how many base units it has, and what is
// added (for temperatures).
type unit struct {
	base   string
	factor float64
	offset float64
}

var units = map[string]unit{
	"s": {"s", 1, 0}, "sec": {"s", 1, 0}, "second": {"s", 1, 0}, "seconds": {"s", 1, 0}, "ms": {"s", 1e-3, 0},
	"millisecond": {"s", 1e-3, 0}, "milliseconds": {"s", 1e-3, 0}, "min": {"s", 60, 0}, "mins": {"s", 60, 0},
	"minute": {"s", 60, 0}, "minutes": {"s", 60, 0}, "h": {"s", 3600, 0}, "hr": {"s", 3600, 0}, "hrs": {"s", 3600, 0},
	"hour": {"s", 3600, 0}, "hours": {"s", 3600, 0}, "day": {"s", 86400, 0}, "days": {"s", 86400, 0},
	"week": {"s", 604800, 0}, "weeks": {"s", 604800, 0}, "wk": {"s", 604800, 0}, "wks": {"s", 604800, 0},
	"fortnight": {"s", 1209600, 0}, "fortnights": {"s", 1209600, 0},
	"month": {"mo", 1, 0}, "months": {"mo", 1, 0}, "mo": {"mo", 1, 0}, "year": {"mo", 12, 0}, "years": {"mo", 12, 0},
	"yr": {"mo", 12, 0}, "yrs": {"mo", 12, 0}, "decade": {"mo", 120, 0}, "decades": {"mo", 120, 0},
	"century": {"mo", 1200, 0}, "centuries": {"mo", 1200, 0},

	"m": {"m", 1, 0}, "meter": {"m", 1, 0}, "meters": {"m", 1, 0}, "metre": {"m", 1, 0}, "metres": {"m", 1, 0},
	"km": {"m", 1000, 0}, "kms": {"m", 1000, 0}, "kilometer": {"m", 1000, 0}, "kilometers": {"m", 1000, 0},
	"kilometre": {"m", 1000, 0}, "kilometres": {"m", 1000, 0}, "cm": {"m", .01, 0}, "cms": {"m", .01, 0},
	"centimeter": {"m", .01, 0}, "centimeters": {"m", .01, 0}, "centimetres": {"m", .01, 0}, "mm": {"m", .001, 0},
	"millimeter": {"m", .001, 0}, "millimeters": {"m", .001, 0}, "mile": {"m", 1609.344, 0}, "miles": {"m", 1609.344, 0},
	"ft": {"m", .3048, 0}, "foot": {"m", .3048, 0}, "feet": {"m", .3048, 0}, "inch": {"m", .0254, 0},
	"inches": {"m", .0254, 0}, "yard": {"m", .9144, 0}, "yards": {"m", .9144, 0}, "nm": {"m", 1e-9, 0},

	"g": {"g", 1, 0}, "gram": {"g", 1, 0}, "grams": {"g", 1, 0}, "gm": {"g", 1, 0}, "gms": {"g", 1, 0},
	"mg": {"g", .001, 0}, "milligram": {"g", .001, 0}, "milligrams": {"g", .001, 0}, "kg": {"g", 1000, 0},
	"kgs": {"g", 1000, 0}, "kilo": {"g", 1000, 0}, "kilos": {"g", 1000, 0}, "kilogram": {"g", 1000, 0},
	"kilograms": {"g", 1000, 0}, "lb": {"g", 453.59237, 0}, "lbs": {"g", 453.59237, 0}, "pound": {"g", 453.59237, 0},
	"pounds": {"g", 453.59237, 0}, "oz": {"g", 28.349523, 0}, "ounce": {"g", 28.349523, 0}, "ounces": {"g", 28.349523, 0},
	"stone": {"g", 6350.29318, 0}, "ton": {"g", 1e6, 0}, "tons": {"g", 1e6, 0}, "tonne": {"g", 1e6, 0}, "tonnes": {"g", 1e6, 0},

	"l": {"l", 1, 0}, "liter": {"l", 1, 0}, "liters": {"l", 1, 0}, "litre": {"l", 1, 0}, "litres": {"l", 1, 0},
	"ml": {"l", .001, 0}, "milliliter": {"l", .001, 0}, "milliliters": {"l", .001, 0}, "gallon": {"l", 3.785411784, 0},
	"gallons": {"l", 3.785411784, 0}, "cup": {"cup", 1, 0}, "cups": {"cup", 1, 0}, "tbsp": {"tbsp", 1, 0},
	"tablespoon": {"tbsp", 1, 0}, "tablespoons": {"tbsp", 1, 0}, "tsp": {"tsp", 1, 0}, "teaspoon": {"tsp", 1, 0},
	"teaspoons": {"tsp", 1, 0},

	"b": {"B", 1, 0}, "byte": {"B", 1, 0}, "bytes": {"B", 1, 0}, "kb": {"B", 1e3, 0}, "kilobyte": {"B", 1e3, 0},
	"kilobytes": {"B", 1e3, 0}, "mb": {"B", 1e6, 0}, "megabyte": {"B", 1e6, 0}, "megabytes": {"B", 1e6, 0},
	"gb": {"B", 1e9, 0}, "gbs": {"B", 1e9, 0}, "gigabyte": {"B", 1e9, 0}, "gigabytes": {"B", 1e9, 0}, "gig": {"B", 1e9, 0},
	"gigs": {"B", 1e9, 0}, "tb": {"B", 1e12, 0}, "terabyte": {"B", 1e12, 0}, "terabytes": {"B", 1e12, 0},
	"kib": {"B", 1 << 10, 0}, "mib": {"B", 1 << 20, 0}, "gib": {"B", 1 << 30, 0}, "bit": {"bit", 1, 0}, "bits": {"bit", 1, 0},
	"mbps": {"bit/s", 1e6, 0}, "gbps": {"bit/s", 1e9, 0}, "kbps": {"bit/s", 1e3, 0},

	"c": {"K", 1, 273.15}, "celsius": {"K", 1, 273.15}, "centigrade": {"K", 1, 273.15},
	"f": {"K", 5. / 9, 255.3722222}, "fahrenheit": {"K", 5. / 9, 255.3722222}, "kelvin": {"K", 1, 0},

	"%": {"%", 1, 0}, "percent": {"%", 1, 0}, "percentage": {"%", 1, 0}, "pct": {"%", 1, 0},
	"$": {"USD", 1, 0}, "usd": {"USD", 1, 0}, "dollar": {"USD", 1, 0}, "dollars": {"USD", 1, 0}, "bucks": {"USD", 1, 0},
	"cent": {"USD", .01, 0}, "cents": {"USD", .01, 0}, "€": {"EUR", 1, 0}, "eur": {"EUR", 1, 0}, "euro": {"EUR", 1, 0},
	"euros": {"EUR", 1, 0}, "£": {"GBP", 1, 0}, "gbp": {"GBP", 1, 0}, "₹": {"INR", 1, 0}, "inr": {"INR", 1, 0},
	"rupee": {"INR", 1, 0}, "rupees": {"INR", 1, 0}, "¥": {"JPY", 1, 0}, "yen": {"JPY", 1, 0}, "jpy": {"JPY", 1, 0},
	"mph": {"m/s", .44704, 0}, "kph": {"m/s", 1 / 3.6, 0}, "kmh": {"m/s", 1 / 3.6, 0}, "hz": {"Hz", 1, 0},
	"khz": {"Hz", 1e3, 0}, "mhz": {"Hz", 1e6, 0}, "ghz": {"Hz", 1e9, 0}, "w": {"W", 1, 0}, "watt": {"W", 1, 0},
	"watts": {"W", 1, 0}, "kw": {"W", 1e3, 0}, "volt": {"V", 1, 0}, "volts": {"V", 1, 0}, "mah": {"mAh", 1, 0},
	"am": {"am", 60, 0}, "pm": {"pm", 60, 0},
	"calorie": {"cal", 1, 0}, "calories": {"cal", 1, 0}, "kcal": {"cal", 1, 0}, "mp": {"MP", 1, 0}, "px": {"px", 1, 0},
}

var scales = map[string]float64{
	"hundred": 100, "thousand": 1e3, "thousands": 1e3, "k": 1e3, "lakh": 1e5, "lakhs": 1e5, "lac": 1e5, "lacs": 1e5,
	"million": 1e6, "millions": 1e6, "mn": 1e6, "crore": 1e7, "crores": 1e7, "cr": 1e7, "billion": 1e9, "billions": 1e9,
	"bn": 1e9, "trillion": 1e12, "dozen": 12, "lpa": 1e5,
}

var numerals = map[string]float64{
	"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
	"eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60,
	"seventy": 70, "eighty": 80, "ninety": 90, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
	"ninth": 9, "tenth": 10,
}

var months = map[string]float64{
	"january": 1, "february": 2, "march": 3, "april": 4, "may": 5, "june": 6, "july": 7, "august": 8, "september": 9,
	"october": 10, "november": 11, "december": 12, "jan": 1, "feb": 2, "apr": 4, "aug": 8, "sept": 9, "oct": 10, "nov": 11,
	"dec": 12,
}

var weekdays = map[string]float64{
	"monday": 1, "tuesday": 2, "wednesday": 3, "thursday": 4, "friday": 5, "saturday": 6, "sunday": 7,
}

// isUnit says that letters glued to a number are a unit or scale: "400F", "10k".
func isUnit(s string) bool {
	_, u := units[s]
	_, k := scales[s]
	return u || k || s == "rs"
}

// quantity reads a number with its unit at in[i:]. It returns the quantity, how many pieces it takes, and false if
// there is none. Calendar words count too.
func quantity(in []piece, i int) (q Quantity, n int, ok bool) {
	p := &in[i]
	if p.frame || p.literal {
		return q, 0, false
	}
	if q, ok := calendar(in, i); ok {
		return q, 1, true
	}
	if one(p.s) && i+1 < len(in) {
		if _, ok := period(in, i+1); ok {
			return q, 0, false
		}
	}
	currency := ""
	if i+1 < len(in) && digit(in[i+1].s) {
		currency = currencies[p.s]
	}
	if currency != "" {
		n = 1
	}
	v, used, kind := number(in, i+n)
	if used == 0 {
		return q, 0, false
	}
	n += used
	q = Quantity{Value: v, Unit: kind, Count: v, Loose: v <= 2 && !in[i+n-1].digits}
	switch {
	case currency != "":
		q.Unit = currency
	case kind == "":
		n += q.unit(in[i+n:])
		if q.Unit == "" && used == 1 {
			q.bare(in[i].s)
		}
	}
	return q, n, true
}

// currencies are what stands before an amount.
var currencies = map[string]string{
	"$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "¥": "JPY", "rs": "INR", "rupees": "INR", "inr": "INR", "usd": "USD",
}

// unit reads what follows a number, and returns how many pieces it takes.
func (q *Quantity) unit(in []piece) int {
	n := 0
	for n < len(in) && n < 2 && (in[n].s == "°" || in[n].s == "degree" || in[n].s == "degrees") {
		n++
	}
	if n == len(in) {
		return n
	}
	p := &in[n]
	if p.s == "rs" {
		q.Unit = "INR"
		return n + 1
	}
	u, ok := units[p.s]
	if !ok || p.frame || len(p.s) == 1 && p.capital && p.s != "c" && p.s != "f" {
		return n
	}
	q.Value, q.Unit = q.Value*u.factor+u.offset, u.base
	if u.base == "am" || u.base == "pm" {
		q.Unit = "clock"
		if q.Count == 12 {
			q.Value = 0
		}
		if u.base == "pm" {
			q.Value += 720
		}
	}
	return n + 1
}

// bare says what a number in digits without a unit may be: a version, or a year.
func (q *Quantity) bare(s string) {
	switch {
	case strings.IndexByte(s, '.') > 0 && s[len(s)-1] == '0':
		q.Unit, q.Count = s, math.NaN() // a version: 3.10 is not 3.1
	case len(s) == 4 && q.Value >= 1500 && q.Value <= 2100:
		q.Unit = "year"
	}
}

func one(s string) bool { return s == "1" || s == "one" }

func calendar(in []piece, i int) (Quantity, bool) {
	p := &in[i]
	if m, ok := months[p.s]; ok {
		// "may" and "march" are months only with a capital inside a sentence, or beside a number.
		ambiguous := p.s == "may" || p.s == "march"
		if !ambiguous || p.capital && !p.first || i > 0 && in[i-1].digits {
			return Quantity{Value: m, Unit: "month", Count: m}, true
		}
	}
	if d, ok := weekdays[strings.TrimSuffix(p.s, "s")]; ok {
		return Quantity{Value: d, Unit: "weekday", Count: d}, true
	}
	return Quantity{}, false
}

// determiner says that "one" after it is a pronoun.
func determiner(s string) bool {
	switch s {
	case "the", "this", "that", "no", "any", "some", "each", "every", "which", "what", "another", "only", "good", "new", "can", "does", "do", "should", "how", "if":
		return true
	}
	return false
}

// period reads "a week", "one month", "1 hour": one of a unit of time.
func period(in []piece, i int) (Quantity, bool) {
	if i == 0 || in[i].frame || in[i-1].s != "a" && in[i-1].s != "an" && !one(in[i-1].s) {
		return Quantity{}, false
	}
	u, ok := units[in[i].s]
	if !ok || u.base != "s" && u.base != "mo" || len(in[i].s) < 3 || in[i].s == "second" {
		return Quantity{}, false
	}
	return Quantity{Value: u.factor, Unit: u.base, Count: 1, Loose: true}, true
}

func digit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// number reads a number in digits or words. kind is "clock" for a time of day, in minutes, "day" for a date and "" for
// anything else.
func number(in []piece, i int) (v float64, n int, kind string) {
	s := in[i].s
	switch {
	case digit(s):
		v, kind, ok := digits(s)
		if !ok {
			return 0, 0, ""
		}
		n = 1
		for kind == "" && i+n < len(in) {
			k, is := scales[in[i+n].s]
			if !is || in[i+n].s == "k" && !in[i+n].glued {
				break
			}
			v *= k
			n++
		}
		return v, n, kind
	default:
		v, n = spelledOut(in, i)
		return v, n, ""
	}
}

// digits reads "1,000", "3.5", "1st", "10:30" and "2024-01-31".
func digits(s string) (v float64, kind string, ok bool) {
	if h, m, is := strings.Cut(s, ":"); is {
		a, err1 := strconv.Atoi(h)
		b, err2 := strconv.Atoi(m)
		return float64(a*60 + b), "clock", err1 == nil && err2 == nil
	}
	for _, end := range [...]string{"st", "nd", "rd", "th"} {
		if t, is := strings.CutSuffix(s, end); is {
			s = t
			break
		}
	}
	if strings.IndexByte(s, ',') > 0 {
		s = strings.ReplaceAll(s, ",", "")
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xXpPeEiInN_") {
		return 0, "", false
	}
	return v, "", true
}

// spelledOut reads "twenty five", "two hundred thousand". A lone "one" is a pronoun unless it counts something.
func spelledOut(in []piece, i int) (v float64, n int) {
	var part float64
words:
	for i+n < len(in) {
		s := in[i+n].s
		x, numeral := numerals[s]
		k, scale := scales[s]
		switch {
		case numeral && !in[i+n].frame:
			if n > 0 && !follows(part, x) {
				break words
			}
			part += x
		case s == "and" && part >= 100 && i+n+1 < len(in) && numerals[in[i+n+1].s] > 0:
		case !scale || n == 0 || len(s) < 3:
			break words
		case k == 100:
			part *= k
		default:
			v, part = v+part*k, 0
		}
		n++
	}
	if n == 1 && in[i].s == "one" && !counts(in, i) {
		return 0, 0
	}
	return v + part, n
}

// follows says that a numeral may stand right after others: "twenty five", "hundred five", "thousand five".
func follows(part, x float64) bool {
	return part == 0 || part >= 100 || part >= 20 && x < 10
}

// counts says that "one" at i is a number: a word with meaning follows, and it is not "this one", "can one".
func counts(in []piece, i int) bool {
	if i+1 >= len(in) || i > 0 && determiner(in[i-1].s) {
		return false
	}
	_, isFunction := function[in[i+1].s]
	return !isFunction
}
