package personal

import (
	"regexp"
	"strconv"
	"strings"
)

// ibanLengths are those of the SWIFT registry of IBANs, by country.
const ibanLengths = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 " +
	"GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 " +
	"MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"

var separators = strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "")

// isIBAN tells whether text begins with an International Bank Account Number (ISO 13616): of its country's length, and 1 modulo 97.
func isIBAN(text string) bool {
	s := strings.ToUpper(separators.Replace(text))
	at := strings.Index(ibanLengths, s[:2])
	if at < 0 || at%5 != 0 {
		return false
	}
	length, _ := strconv.Atoi(ibanLengths[at+2 : at+4])
	if len(s) < length {
		return false
	}
	rest := 0
	for _, r := range s[4:length] + s[:4] {
		if r >= 'A' {
			rest = (rest*100 + int(r-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(r-'0')) % 97
		}
	}
	return rest == 1
}

// isCard knows the numbers of payment cards: by how they begin, and by their check digit (Luhn; ISO/IEC 7812-1).
func isCard(text string) bool {
	s := separators.Replace(text)
	if len(s) < 13 || len(s) > 19 {
		return false
	}
	switch begins, _ := strconv.Atoi(s[:4]); {
	case begins >= 2221 && begins <= 2720, begins >= 3000 && begins <= 6999:
	default:
		return false
	}
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			d = crossSum(2 * d)
		}
		sum += d
	}
	return sum%10 == 0
}

func crossSum(n int) int { return n/10 + n%10 }

// isSSN knows the parts that no American social security number has.
func isSSN(area, group, serial string) bool {
	return area != "000" && area != "666" && area < "900" && group != "00" && serial != "0000"
}

// isInsured tells whether a letter and nine digits are a German Krankenversichertennummer, by its check digit: the letter counts as
// two digits, and every second one twice (GKV-Spitzenverband, annex 1 of the guideline of § 290 SGB V).
func isInsured(text string) bool {
	s := separators.Replace(text)
	letter := int(s[0]-'A') + 1
	ten := []int{letter / 10, letter % 10}
	for _, r := range s[1:9] {
		ten = append(ten, int(r-'0'))
	}
	sum := 0
	for i, d := range ten {
		sum += crossSum(d * (1 + i%2))
	}
	return sum%10 == int(s[9]-'0')
}

var short = regexp.MustCompile(`^\d{1,3}([.-]\d{1,3})*$`)

// isNumber tells whether a word may be the number of a document: it has five digits, and is no date, series or count.
func isNumber(word string) bool {
	return countDigits(word) >= 5 && !short.MatchString(word) && !isHarmless(word)
}

func countDigits(s string) int {
	n := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			n++
		}
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
