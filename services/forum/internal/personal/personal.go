// Package personal finds in a text what people may not want to publish of themselves: addresses, and numbers that lead to a person.
// It is for a question to the author, so it need not find what somebody hides; what it must not do is ask about the readings, doses
// and dates that a forum on health is full of.
package personal

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A Kind is a sort of personal data.
type Kind int

// The sorts that Find knows, in the order in which it names them.
const (
	Email       Kind = iota
	BankAccount      // IBAN
	Card             // of payment
	Insurance        // social security and health insurance
	Document         // passport, identity card, patient number
	Phone
)

var (
	// An article's DOI and a URL may hold any number.
	elsewhere = regexp.MustCompile(`(?i)\b(?:https?://|www\.)[^\s<>")]+|\b10\.\d{4,9}/[^\s<>")]+`)

	email   = regexp.MustCompile(`(?i)[\p{L}\p{N}._%+-]*[\p{L}\p{N}_%+-]@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}`)
	spelled = regexp.MustCompile(`(?i)([\p{L}\p{N}._+-]+)(?: at | ?[(\[{] ?at ?[)\]}] ?)[\p{L}\p{N}-]+(?:(?: dot | ?[(\[{] ?dot ?[)\]}] ?)\p{L}{2,})+`)
	iban    = regexp.MustCompile(`(?i)\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}`)
	card    = regexp.MustCompile(`\b(?:\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,4}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})\b`)

	american = regexp.MustCompile(`\b(\d{3})-(\d{2})-(\d{4})\b|(?i:\b(?:ssn|social security)\D{0,20}(\d{3})[ -]?(\d{2})[ -]?(\d{4})\b)`)
	british  = regexp.MustCompile(`\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b`)
	german   = regexp.MustCompile(`\b[A-Z]\d{3} ?\d{3} ?\d{3}\b`)
	insured  = named(`(?:social security|insurance|policy|nhs|medicare|medicaid|membership|member|versicherten|(?:kranken|renten|sozial)versicherungs?)`)
	document = named(`(?:passport|reisepass|personalausweis|ausweis|driv(?:er'?s|ing) licen[cs]e|identity|id|mrn|medical record|patient)`)
)

// named finds a number after words that say what it is the number of.
func named(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b` + words + `(?:[ -]?(?:card|id|number|nummer|num|no|nr))*(?: is |[\s.:#=*_])+([A-Z0-9]+(?:[.-][A-Z0-9]+)*)`)
}

// Find returns what kinds a text holds, each once.
func Find(text string) []Kind {
	f := finder{text: plain(text)}
	f.text = elsewhere.ReplaceAllString(f.text, " ")
	f.take(Email, email, func([]string) bool { return true })
	f.take(Email, spelled, func(m []string) bool { return !slices.Contains(mentions, strings.ToLower(m[1])) })
	f.take(BankAccount, iban, func(m []string) bool { return isIBAN(m[0]) })
	f.take(Card, card, func(m []string) bool { return isCard(m[0]) })
	f.take(Insurance, american, func(m []string) bool { return isSSN(m[1]+m[4], m[2]+m[5], m[3]+m[6]) })
	f.take(Insurance, british, func([]string) bool { return true })
	f.take(Insurance, german, func(m []string) bool { return isInsured(m[0]) })
	f.take(Insurance, insured, func(m []string) bool { return isNumber(m[1]) })
	f.take(Document, document, func(m []string) bool { return isNumber(m[1]) })
	if holdsPhone(f.text) {
		f.kinds = append(f.kinds, Phone)
	}
	return f.kinds
}

type finder struct {
	text  string
	kinds []Kind
}

// take takes out what it finds, so that nothing is found as two things.
func (f *finder) take(kind Kind, pattern *regexp.Regexp, is func(match []string) bool) {
	f.text = pattern.ReplaceAllStringFunc(f.text, func(match string) string {
		if !is(pattern.FindStringSubmatch(match)) {
			return match
		}
		if !slices.Contains(f.kinds, kind) {
			f.kinds = append(f.kinds, kind)
		}
		return " ; "
	})
}

// mentions are words before "at" that make "example dot org" a place to look at, and nobody's address.
var mentions = strings.Fields("look looked looking see seen read found find it is was are info information site website page available more them this that")

// zeros begin the decimal digits of other scripts: full width, Arabic, Persian, Devanagari.
var zeros = []rune{'０', '٠', '۰', '०'}

// plain undoes how Markdown and HTML can write a character, and how the world writes spaces, hyphens and digits.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < unicode.MaxASCII:
			return ascii(r)
		case r == '\u200b', r == '\u00ad', r == '\u2060', r == '\ufeff': // not seen
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Pd, r), r == '\u2212':
			return '-'
		case r == '＠':
			return '@'
		case r == '＋':
			return '+'
		}
		for _, zero := range zeros {
			if r >= zero && r <= zero+9 {
				return '0' + r - zero
			}
		}
		return r
	}, html.UnescapeString(text))
}

func ascii(r rune) rune {
	switch r {
	case '\\': // an escape of Markdown
		return -1
	case '\t', '\r':
		return ' '
	}
	return r
}
