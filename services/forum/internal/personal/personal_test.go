package personal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]Kind{
		"write to ada.park@example.org":                     Email,
		"Ada+forum@mail.example.co.uk!":                     Email,
		"[me](mailto:ada@example.org)":                      Email,
		"<ada@example.org>":                                 Email,
		`ada\@example.org`:                                  Email,
		"ada&#64;example.org":                               Email,
		"ada＠example.org":                                   Email,
		"jörg@müller.example":                               Email,
		"ada dot nothing, but ada at example dot org":       Email,
		"ada (at) example (dot) org":                        Email,
		"ada[at]mail[dot]example[dot]org":                   Email,
		"https://example.org/x and ada@example.org":         Email,
		"+49 170 1234567":                                   Phone,
		"+491701234567":                                     Phone,
		"[call](tel:+491701234567)":                         Phone,
		"my number: +1 (212) 555-0100.":                     Phone,
		"0049 30 123456":                                    Phone,
		"030 123456":                                        Phone,
		"030/12345678":                                      Phone,
		"030 / 123 45 67":                                   Phone,
		"0170-1234567, please":                              Phone,
		"01701234567":                                       Phone,
		"(0170) 1234567":                                    Phone,
		"06 12 34 56 78":                                    Phone,
		"06.12.34.56.78":                                    Phone,
		"020 7946 0018":                                     Phone,
		"212-555-0100":                                      Phone,
		"(212) 555-0100":                                    Phone,
		"1-800-555-0100":                                    Phone,
		"212.555.0100":                                      Phone,
		"212 555 0100":                                      Phone,
		"(11) 91234-5678":                                   Phone,
		"call me at 5550100":                                Phone,
		"phone: 612 34 56 78":                               Phone,
		"My mobile number is 98765432":                      Phone,
		"٠١٧٠ ١٢٣٤٥٦٧":                                      Phone,
		"0170\u00a0123\u20114567":                           Phone,
		"In 2019 120/80, tel. 030 123456":                   Phone,
		"120 130 140, 0170 1234567":                         Phone,
		"DE89 3704 0044 0532 0130 00":                       BankAccount,
		"iban de89370400440532013000 please":                BankAccount,
		"GB82 WEST 1234 5698 7654 32":                       BankAccount,
		"FR14 2004 1010 0505 0001 3M02 606":                 BankAccount,
		"NL91-ABNA-0417-1643-00":                            BankAccount,
		"4111 1111 1111 1111":                               Card,
		"4111111111111111":                                  Card,
		"5500-0000-0000-0004":                               Card,
		"3400 000000 00009":                                 Card,
		"2223 0031 2200 3222":                               Card,
		"my social is 123-45-6789":                          Insurance,
		"SSN: 123 45 6789":                                  Insurance,
		"social security number 123456789":                  Insurance,
		"QQ 12 34 56 C is none, AB 12 34 56 C could be one": Insurance,
		"A123456780":                                        Insurance,
		"A123 456 780":                                      Insurance,
		"insurance number: 98-7654321":                      Insurance,
		"Versichertennummer 65170839":                       Insurance,
		"NHS no. 943-476-5919":                              Insurance,
		"passport C01X00T47":                                Document,
		"My passport number is 925076473":                   Document,
		"Reisepass Nr. C01X0006H":                           Document,
		"patient id 00471123":                               Document,
		"driver's license: D123-4567-8901":                  Document,
		"ID card no: T22000129":                             Document,
	} {
		require.Equal(t, []Kind{want}, Find(text), text)
		require.Equal(t, []Kind{want}, Find("Hello!\n\n* "+text+"\n* Bye"), text)
	}
	require.Equal(t, []Kind{Email, BankAccount, Card, Insurance, Document, Phone}, Find(
		"030 123456, ada@example.org or eva@example.org, passport C01X00T47, 123-45-6789, DE89370400440532013000, 4111 1111 1111 1111"))
}

func TestFindLetsReadingsBe(t *testing.T) {
	t.Parallel()

	for text := range strings.Lines(`
		Born 1990-04-12, 12.04.1990, 4/12/1990, 12-04-90 and diagnosed in 2019, 2020 2021 2022 2023.
		From 01.02.-03.04.2024, 01.02.2024-03.04.2024, 2019-2024, 03/2024, 2024-03.
		At 07:30, 12:00, 19:30:15, 08:00-12:30, 0800 1200 1800 2200, 0800 - 1600 and 08-12 13-17.
		My blood pressure: 120/80 135/85 140/90 118/76 (120/80), 120/80/72, 05/10.
		Glucose 95 110 102 143 180 99 105 120 mg/dl, or 5.4 6.1 7.8 5,4 6,1; 0.5 0.75 1.25 0.125.
		Glucose before, after: 110-120 130-150 180-200 210-250, 95-140.
		95, 110, 102, 143, 180, 99, 105, 120, 130
		Take 500 mg twice, 1-0-1, 1-0-1-0, 0-0-1-0, 1/2-0-1/2, 1000mg, 2x500mg, 10000 IU, 0.025 mg.
		E11.9 and I10, F32.1, ICD-10 E10.65, C50.911, S72.001A, 10E9, SARS-CoV-2, COVID-19, B12 1000 2000, HbA1c 6.5.
		https://example.org/01701234567 http://x.org/?tel=+491701234567 www.example.org/0301234567
		[Study](https://pubmed.ncbi.nlm.nih.gov/32109013/) PMID: 32109013, doi:10.1056/NEJMoa2034577, 10.1016/j.cell.2020.01.021
		NCT04280705, ISBN 978-3-16-148410-0, ISBN 0306406152, NDC 0002-8215-01, N Engl J Med (2019) 381 1234-1245
		It cost 1,299.99, $12,345.67, €1.299,00, 1 299 000, £25.00.
		5000000 people, 1,234,567,890, 7.800.000.000, 612 345 678, 8 000 000 000, 1 050 000 000 and 1700000000.
		Steps: 5000 6000 7000 8000, 10345 12004 8765 9032 11000.
		192.168.100.100 is my router, version 10.15.7.
		Look at google dot com, @someone, 5 @ 3, a@b, mastodon https://chaos.social/@ada@example.org
		A 110 120 130, I 120 130 140; T 100 110 120.
		A123456781 is no insurance number, DE88370400440532013000 is no IBAN, 4111 1111 1111 1112 is no card.
		000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000
		My passport expires 2025-03-01, my insurance paid 1,200,000 in 2024 and 2023. ID 5. Patient 120-130-140.
		100%, 37.5 C, -5, +5 +10 +15, (12), (2019) 12 13, 3:1, 2^10, 1e10, #12345678
	`) {
		require.Empty(t, Find(text), text)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("write to ada@example.org or 0170 1234567")
	f.Add("DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111, A123456780, 123-45-6789, ID 123456")
	f.Add("(0\\)&#x;+ 12\u0661")
	f.Fuzz(func(t *testing.T, text string) {
		kinds := Find(text)
		for i, kind := range kinds {
			require.LessOrEqual(t, kind, Phone)
			if i > 0 {
				require.Less(t, kinds[i-1], kind, "each once, in order")
			}
		}
	})
}
