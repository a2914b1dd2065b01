package personal

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	numeric = regexp.MustCompile(`[+(]?\d[0-9.,:/()+ -]*`)

	// What a telephone number looks like: of the world, of most countries, of North America, or any after words that announce one.
	international = regexp.MustCompile(`^\(?\+\d[0-9()./ -]*$`)
	national      = regexp.MustCompile(`^\(?0(?:0?[1-9]\d{0,4}|0)\)?(?:[ ./-]{1,3}\d{2,})+$|^\(?00?[1-9]\d{7,}$|^\(\d{2,5}\)[ ./-]{0,3}\d{2,}(?:[ ./-]{1,3}\d{2,})*$`)
	northAmerican = regexp.MustCompile(`^(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}$`)
	announced     = regexp.MustCompile(`(?i)\b(?:tel|telephone|telefon|phone|mobile|handy|cellphone|whatsapp|sms|fax|my cell|my number|call|` +
		`(?:call|text|ring|phone|reach) (?:me|us)(?: at| on| under)?)(?: number| no| nr)?(?: is)?[ .:=]*$`)

	// What is none, whatever it looks like.
	codes = regexp.MustCompile(`(?i)\b(?:isbn|issn|pmid|ndc|pzn|lot|batch|ean|gtin)[^\p{L}\p{N}]*$`)
	times = regexp.MustCompile(`^(?:[01]\d|2[0-3])[0-5]\d(?:[ -]+(?:[01]\d|2[0-3])[0-5]\d)*$`) // 0800 - 1600
	group = regexp.MustCompile(`^\d{1,3} \d{3}$`)
	year  = regexp.MustCompile(`^\((?:19|20)\d\d\)`)

	date    = regexp.MustCompile(`^(?:(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})|\d{4}[./-](\d{1,2})[./-](\d{1,2}))$`)
	partial = regexp.MustCompile(`^\d{1,2}\.(?:\d{1,2}\.?(?:\d{4}|\d{2})?)?$`) // of a date, in a range of them
	reading = regexp.MustCompile(`^(?:` + strings.Join([]string{
		`\d{1,2}:\d{2}(?::\d{2})?(?:-\d{1,2}:\d{2})?`,    // a time
		`[1-9]\d{0,2}/\d{1,3}(?:/\d{1,3})?|0?\d/\d{1,2}`, // blood pressure, a fraction
		`\d{1,2}/\d{4}|\d{4}[-/]\d{1,2}`,                 // a month
		`(?:[1-9]\d{0,6}|0)[.,]\d+`,                      // a decimal
		`[1-9]\d{0,2}(?:[.,]\d{3})+(?:[.,]\d{1,2})?`,     // a count, a price
		`\d{1,2}(?:-\d{1,2}){1,3}`,                       // from and to; a dose in the morning, at noon, in the evening
		`(?:1?\d{1,2}|2[0-4]\d|25[0-5])(?:\.\d{1,3}){3}`, // an address of a computer
	}, "|") + `)$`)
)

const longest = 8 // words that a number is written in

// holdsPhone tells whether there is a telephone number.
func holdsPhone(text string) bool {
	for _, at := range numeric.FindAllStringIndex(text, -1) {
		words := strings.Fields(text[at[0]:at[1]])
		if r, _ := utf8.DecodeLastRuneInString(text[:at[0]]); isWord(r) {
			words[0] = "" // B12
		}
		if r, _ := utf8.DecodeRuneInString(text[at[1]:]); isWord(r) && text[at[1]-1] != ' ' {
			words[len(words)-1] = "" // 500mg
		}
		if holdsPhoneIn(words, text[max(0, at[0]-40):at[0]]) {
			return true
		}
	}
	return false
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// holdsPhoneIn looks at each run of words between those that are something else.
func holdsPhoneIn(words []string, before string) bool {
	for from := range words {
		if from > 0 && group.MatchString(words[from-1]+" "+words[from]) { // 1 050 000 000
			continue
		}
		number := ""
		for _, word := range words[from:min(len(words), from+longest)] {
			bare := strings.TrimRight(word, ".,:-/+")
			if bare == "" && number == "" || isHarmless(strings.Trim(bare, "()")) || strings.ContainsAny(bare, ",:") {
				break
			}
			number = strings.TrimSpace(number + " " + strings.TrimRight(word, ".,:"))
			if isPhone(strings.TrimRight(number, "-/+("), before) {
				return true
			}
			if strings.HasSuffix(word, ",") || strings.HasSuffix(word, ":") {
				break
			}
		}
		before = "" // what announces a number stands right before it
	}
	return false
}

func isPhone(number, before string) bool {
	n := countDigits(number)
	switch {
	case n < 7 || n > 15 || codes.MatchString(before) || times.MatchString(number) || year.MatchString(number):
		return false
	case announced.MatchString(before):
		return true
	}
	return n >= 8 && (international.MatchString(number) || national.MatchString(number) || northAmerican.MatchString(number))
}

// isHarmless knows a word for a date, a time, a reading, a dose or a count.
func isHarmless(word string) bool {
	if reading.MatchString(word) {
		return true
	}
	if m := date.FindStringSubmatch(word); m != nil {
		a, _ := strconv.Atoi(m[1] + m[3])
		b, _ := strconv.Atoi(m[2] + m[4])
		return a <= 31 && b <= 31 && min(a, b) <= 12
	}
	from, to, isRange := strings.Cut(word, "-")
	return isRange && (partial.MatchString(from) || date.MatchString(from)) && (partial.MatchString(to) || date.MatchString(to))
}
