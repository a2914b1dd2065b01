package appointment

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/services/appointment/internal/store"
)

// TestEventFile holds a file against RFC 5545: lines, escapes, parameters.
func TestEventFile(t *testing.T) {
	t.Parallel()

	a := store.AppointmentDetail{
		ID: uuid.New(), DoctorID: uuid.New(), UpdatedAt: noon, DoctorName: "Dr. Síle \"Sheila\" O'Neil; MD, PhD: \\o/\rX-EVIL:1",
		ClinicName: "Praxis; Müller, Söhne \\ Töchter\r\nX-EVIL:1", Address: strings.Repeat("Größenwahnstraße", 9) + " 1,\t10117 Berlin",
	}
	file := eventFile(mailJob{Template: "appointment_booked", Sequence: 3, StartsAt: slotAt(3, 9, 0), EndsAt: slotAt(3, 9, 30)}, a, "https://healthe.example")
	for _, line := range strings.SplitAfter(file, "\r\n") {
		require.LessOrEqual(t, len(line), 75+len("\r\n"))
		require.True(t, utf8.ValidString(line))
		require.NotContains(t, strings.TrimSuffix(line, "\r\n"), "\r")
		require.NotContains(t, strings.TrimSuffix(line, "\r\n"), "\n")
	}
	lines := strings.Split(strings.ReplaceAll(file, "\r\n ", ""), "\r\n")
	for _, want := range []string{
		"VERSION:2.0", "METHOD:PUBLISH", "UID:" + a.ID.String() + "@healthe", "SEQUENCE:3", "DTSTAMP:20270301T110000Z",
		"DTSTART:20270304T080000Z", "DTEND:20270304T083000Z", "STATUS:CONFIRMED",
		`SUMMARY:Appointment with Dr. Síle "Sheila" O'Neil\; MD\, PhD: \\o/ X-EVIL:1`,
		`LOCATION:Praxis\; Müller\, Söhne \\ Töchter  X-EVIL:1\, ` + strings.Repeat("Größenwahnstraße", 9) + ` 1\, 10117 Berlin`,
		"ORGANIZER;CN=Dr. Síle Sheila O’Neil MD PhD o/ X-EVIL1:https://healthe.example/appointment/v1/doctors/" + a.DoctorID.String(),
		"URL:https://healthe.example/appointment/v1/appointments/" + a.ID.String(),
	} {
		require.Contains(t, lines, want, file)
	}
	require.True(t, strings.HasSuffix(file, "END:VEVENT\r\nEND:VCALENDAR\r\n"))
}
