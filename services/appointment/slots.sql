-- Walks the range one UTC day after another and stops when the page is full, so that nothing sorts across days. A day takes what is
-- busy out of each doctor's hours, and counts slots only in the gaps that stay: a day that is booked out costs one look into each
-- doctor's calendar. A slot is free when the clinic's clock shows only times within it while it lasts, so a time that the clock
-- skips is no slot and no two slots of the grid can ever overlap.
WITH workdays AS MATERIALIZED (
    SELECT doctors.id AS doctor_id, time_zone, GREATEST(starting_date, @from_day::date) AS first_day, weekday,
        min(starts_min) AS opens_min, max(ends_min) AS closes_min, array_agg(starts_min) AS starts, array_agg(ends_min) AS ends
    FROM doctors
    JOIN clinics ON clinics.id = doctors.clinic_id
    JOIN working_hours ON working_hours.doctor_id = doctors.id
    WHERE deleted_at IS NULL
        AND doctors.id IN (
            SELECT doctors.id FROM doctors WHERE doctors.id = @doctor_id::uuid
            UNION ALL
            SELECT doctors.id FROM doctors WHERE doctors.speciality_id = @speciality_id::uuid
        )
    GROUP BY doctors.id, time_zone, weekday
), zones AS MATERIALIZED (
    SELECT DISTINCT time_zone FROM workdays
)
SELECT slot.starts_at, slot.doctor_id
FROM generate_series(@first_day::timestamptz, @last_day::timestamptz, interval '1 day') AS today(starts)
CROSS JOIN LATERAL (SELECT today.starts + interval '1 day' AS ends) AS tomorrow
CROSS JOIN LATERAL (
    -- The dates that clocks show in this day, each in the pieces in which a clock runs evenly: one, or two when it is set. midnight
    -- is when the date began for who reckons back from the piece. A slot starts in from_min to to_min and ends by until_min: it
    -- cannot last over a time that is skipped, but over one that is repeated it can.
    WITH clocks AS MATERIALIZED (
        SELECT zones.time_zone, civil.day, extract(isodow FROM civil.day)::smallint AS weekday, piece.*
        FROM zones
        CROSS JOIN LATERAL generate_series(
            timezone(zones.time_zone, today.starts)::date, timezone(zones.time_zone, tomorrow.ends)::date, interval '1 day') AS civil(day)
        CROSS JOIN LATERAL (
            SELECT timezone(zones.time_zone, civil.day::timestamp) AS midnight,
                timezone(zones.time_zone, civil.day::timestamp + interval '1 day') - timezone(zones.time_zone, civil.day::timestamp) AS length
        ) AS whole
        CROSS JOIN LATERAL (
            SELECT whole.midnight, 0 AS from_min, 1440 AS to_min, 1440 AS until_min
            WHERE whole.length = interval '24 hours'
            UNION ALL
            SELECT instant.at - min * interval '1 minute', min(min), max(min) + 1,
                CASE WHEN whole.length > interval '24 hours' THEN 1440 ELSE max(min) + 1 END
            FROM generate_series(0, 1439) AS min
            CROSS JOIN LATERAL (SELECT civil.day::timestamp + min * interval '1 minute' AS shown) AS clock
            CROSS JOIN LATERAL (SELECT timezone(zones.time_zone, clock.shown) AS at) AS instant
            WHERE whole.length <> interval '24 hours' AND timezone(zones.time_zone, instant.at) = clock.shown
            GROUP BY 1
        ) AS piece
        WHERE civil.day BETWEEN @from_day::date AND @to_day::date
    )
    SELECT point.starts_at, workdays.doctor_id
    FROM clocks
    JOIN workdays ON workdays.time_zone = clocks.time_zone AND workdays.weekday = clocks.weekday
    CROSS JOIN LATERAL (
        SELECT clocks.midnight + workdays.opens_min * interval '1 minute' AS opens,
            clocks.midnight + workdays.closes_min * interval '1 minute' AS closes
    ) AS shift
    CROSS JOIN LATERAL (
        SELECT COALESCE(range_agg(tstzrange(taken.starts_at, taken.ends_at)), '{}') AS times
        FROM (
            SELECT appointments.starts_at, appointments.ends_at
            FROM appointments
            WHERE appointments.doctor_id = workdays.doctor_id
                AND appointments.starts_at > shift.opens - interval '8 hours' -- the longest appointment
                AND appointments.starts_at < shift.closes
                AND status IN ('held', 'offered', 'booked', 'completed')
                AND (status <> 'held' OR expires_at > @now::timestamptz)
            UNION ALL
            SELECT time_off.starts_at, time_off.ends_at
            FROM time_off
            WHERE time_off.doctor_id = workdays.doctor_id
                AND time_off.ends_at > shift.opens AND time_off.starts_at < shift.closes
        ) AS taken
    ) AS busy
    CROSS JOIN LATERAL unnest(workdays.starts, workdays.ends) AS block(starts_min, ends_min)
    CROSS JOIN LATERAL (
        SELECT clocks.midnight + block.starts_min * interval '1 minute' AS origin,
            clocks.midnight + GREATEST(block.starts_min, clocks.from_min) * interval '1 minute' AS opens,
            clocks.midnight + LEAST(block.ends_min, clocks.until_min) * interval '1 minute' AS closes
    ) AS work
    CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange(work.opens, GREATEST(work.opens, work.closes))) - busy.times) AS gap
    CROSS JOIN LATERAL generate_series(
        work.origin + @duration_min::integer * interval '1 minute'
            * ceil(date_part('epoch', GREATEST(lower(gap), today.starts, @earliest::timestamptz) - work.origin) / 60 / @duration_min::integer),
        LEAST(upper(gap) - @duration_min::integer * interval '1 minute', @latest::timestamptz,
            LEAST(clocks.midnight + clocks.to_min * interval '1 minute', tomorrow.ends) - interval '1 microsecond'),
        @duration_min::integer * interval '1 minute') AS point(starts_at)
    WHERE clocks.day >= workdays.first_day
        AND shift.closes > today.starts AND shift.opens < tomorrow.ends
        AND (point.starts_at, workdays.doctor_id) > (@after_start::timestamptz, @after_doctor::uuid)
    ORDER BY point.starts_at, workdays.doctor_id
    LIMIT @max_rows::integer
) AS slot
LIMIT @max_rows::integer;
