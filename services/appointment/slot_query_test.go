package appointment

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/postgres"
)

const (
	queryDoctors = 1000
	queryDays    = 30
	queryRuns    = 11
)

// crowd is a speciality with 1,000 doctors who work from Monday to Friday, and what is booked with them.
type crowd struct {
	name    string
	differ  bool // each doctor has hours of their own
	zones   int  // in so many time zones
	days    int  // booked out from the first day on
	waiting bool // for bookings: they are holds
	wanted  string
}

// BenchmarkSlotQuery takes the time that Postgres itself needs for a page of slots, out of 30 days of a speciality.
func BenchmarkSlotQuery(b *testing.B) {
	for _, c := range []crowd{
		{name: "half booked", zones: 1, wanted: ", at most 50"},
		{name: "half booked, hours all different", zones: 1, differ: true, wanted: ", at most 50"},
		{name: "half booked, hours all different in 6 time zones", zones: 6, differ: true, wanted: ", at most 50"},
		{name: "booked out for two weeks", zones: 1, days: 14},
		{name: "held for two weeks", zones: 1, days: 14, waiting: true},
		{name: "booked out for two weeks, hours all different in 6 time zones", zones: 6, days: 14, differ: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := openDB(b)
			first := time.Now().UTC().Truncate(allDay).Add(2 * allDay)
			ms := queryTime(b, db, c.seed(b, db, first), first)
			b.ReportMetric(ms, "ms")
			b.ReportMetric(0, "ns/op")
			fmt.Printf("slots over %d days of %d doctors, %s: %.1f ms of Postgres time%s\n", queryDays, queryDoctors, c.name, ms, c.wanted)
		})
	}
}

// queryTime returns the median of what EXPLAIN ANALYZE says, in milliseconds. It does not time each row of each step, which would
// double what it measures.
func queryTime(b *testing.B, db *postgres.DB, speciality uuid.UUID, first time.Time) float64 {
	b.Helper()
	now, last := time.Now(), first.Add((queryDays-1)*allDay)
	var all []float64
	for range queryRuns {
		var text []byte
		require.NoError(b, db.QueryRow(b.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+listSlots, pgx.NamedArgs{
			"doctor_id": nil, "speciality_id": speciality, "duration_min": 30,
			"from_day": first, "to_day": last, "earliest": now.Add(time.Hour), "latest": now.Add(180 * allDay),
			"first_day": first.Add(-furthestAhead).Truncate(allDay), "last_day": last.Add(allDay + furthestBehind),
			"after_start": time.Time{}, "after_doctor": uuid.Nil, "max_rows": 21, "now": now,
		}).Scan(&text))
		var plans []struct {
			Time float64 `json:"Execution Time"`
		}
		require.NoError(b, json.Unmarshal(text, &plans))
		all = append(all, plans[0].Time)
	}
	slices.Sort(all)
	return all[queryRuns/2]
}

// seed makes the crowd, with bookings on a grid of half hours from the first day on.
func (c crowd) seed(b *testing.B, db *postgres.DB, first time.Time) uuid.UUID {
	b.Helper()
	ctx := b.Context()
	conn, err := db.Pool().Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	var speciality uuid.UUID
	require.NoError(b, conn.QueryRow(ctx, "INSERT INTO specialities (name, description) VALUES ('Crowd', '') RETURNING id").Scan(&speciality))
	for _, sql := range []string{
		`SET statement_timeout = 0`,
		`SELECT setseed(0.5)`,
		`INSERT INTO appointment_types (name, duration_min) VALUES ('Visit', 30)`,
		`INSERT INTO clinics (name, address, latitude, longitude, time_zone, phone)
		SELECT 'Clinic ' || zone, 'Street 1', 0, 0, zone, '+4930123456'
		FROM unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Pacific/Auckland']) WITH ORDINALITY AS z(zone, no)
		WHERE no <= @zones`,
		`INSERT INTO doctors (id, name, speciality_id, clinic_id, biography, phone, starting_date)
		SELECT gen_random_uuid(), 'Dr. ' || n, @speciality, (SELECT id FROM clinics ORDER BY id OFFSET n % @zones LIMIT 1), '', '+4930123456', '2020-01-01'
		FROM generate_series(1, @doctors) AS n`,
		`INSERT INTO working_hours (doctor_id, weekday, starts_min, ends_min)
		SELECT id, weekday, starts_min + moved, ends_min + moved
		FROM doctors
		CROSS JOIN generate_series(1, 5) AS weekday
		CROSS JOIN (VALUES (480, 720), (780, 1020)) AS halves(starts_min, ends_min)
		CROSS JOIN LATERAL (SELECT CASE WHEN @differ::boolean THEN abs(hashtext(id::text || weekday || starts_min)) % 60 ELSE 0 END AS moved) AS moved`,
		`ALTER TABLE appointments DROP CONSTRAINT appointments_doctor_excl, DROP CONSTRAINT appointments_patient_excl`, // seeding takes minutes with them
		`INSERT INTO appointments (doctor_id, patient_id, clinic_id, appointment_type_id, starts_at, ends_at, status, expires_at)
		SELECT doctors.id, gen_random_uuid(), clinic_id, (SELECT id FROM appointment_types), at, at + interval '30 minutes',
			CASE WHEN @waiting::boolean THEN 'held' ELSE 'booked' END::appointment_status, CASE WHEN @waiting::boolean THEN now() + interval '1 hour' END
		FROM doctors
		JOIN clinics ON clinics.id = clinic_id
		JOIN working_hours ON doctor_id = doctors.id
		CROSS JOIN generate_series(@first::date::timestamp, @first::date + interval '30 days', interval '1 day') AS day
		CROSS JOIN LATERAL generate_series(starts_min, ends_min - 30, 30) AS min
		CROSS JOIN LATERAL (SELECT timezone(time_zone, day + min * interval '1 minute') AS at) AS at
		WHERE weekday = extract(isodow FROM day) AND (day < @first::date + @days::integer OR random() < 0.5)`,
		`VACUUM ANALYZE`,
	} {
		_, err := conn.Exec(ctx, sql, pgx.NamedArgs{
			"zones": c.zones, "speciality": speciality, "doctors": queryDoctors, "differ": c.differ, "waiting": c.waiting, "first": first, "days": c.days,
		})
		require.NoError(b, err, sql)
	}
	return speciality
}
