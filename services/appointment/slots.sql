-- Walks the range one UTC day after another and stops when the page is full: the nested loops below keep the order (day, start,
-- doctor), and nothing sorts across days. A slot is free when the clinic's clock shows only times within it while it lasts, so a
-- time that the clock skips is no slot and no two slots of the grid can ever overlap.
WITH blocks AS MATERIALIZED (
    -- Many doctors share the same few working days: the clock is looked at once for all of them.
    SELECT row_number() OVER () AS no, time_zone, weekday, starts_min, ends_min,
        GREATEST(starting_date, @from_day::date) AS first_day, array_agg(doctors.id) AS doctor_ids
    FROM doctors
    JOIN clinics ON clinics.id = doctors.clinic_id
    JOIN working_hours ON working_hours.doctor_id = doctors.id
    WHERE deleted_at IS NULL
        AND doctors.id IN (
            SELECT doctors.id FROM doctors WHERE doctors.id = @doctor_id::uuid
            UNION ALL
            SELECT doctors.id FROM doctors WHERE doctors.speciality_id = @speciality_id::uuid
        )
    GROUP BY time_zone, weekday, starts_min, ends_min, first_day
)
SELECT slot.starts_at, slot.doctor_id
FROM generate_series(@first_day::timestamptz, @last_day::timestamptz, interval '1 day') AS today(starts)
CROSS JOIN LATERAL (
    WITH grid AS MATERIALIZED (
        SELECT point.starts_at, array_agg(point.no) AS blocks
        FROM (
            SELECT blocks.no, blocks.time_zone, civil.starts, timezone(blocks.time_zone, civil.starts) AS starts_at
            FROM blocks
            CROSS JOIN LATERAL generate_series(
                timezone(blocks.time_zone, today.starts)::date,
                timezone(blocks.time_zone, today.starts + interval '1 day')::date, interval '1 day') AS day(civil)
            CROSS JOIN LATERAL generate_series(blocks.starts_min, blocks.ends_min - @duration_min::integer, @duration_min::integer) AS grid_min(min)
            CROSS JOIN LATERAL (SELECT day.civil::timestamp + grid_min.min * interval '1 minute' AS starts) AS civil
            WHERE blocks.weekday = extract(isodow FROM day.civil)
                AND day.civil BETWEEN blocks.first_day AND @to_day::date
        ) AS point
        WHERE point.starts_at >= today.starts AND point.starts_at < today.starts + interval '1 day'
            AND point.starts_at BETWEEN @earliest::timestamptz AND @latest::timestamptz
            AND timezone(point.time_zone, point.starts_at) = point.starts
            AND timezone(point.time_zone, point.starts_at + @duration_min::integer * interval '1 minute' - interval '1 microsecond')
                < point.starts + @duration_min::integer * interval '1 minute'
        GROUP BY point.starts_at
    ), busy AS MATERIALIZED (
        SELECT at_work.doctor_id, range_agg(tstzrange(taken.starts_at, taken.ends_at)) AS times
        FROM (
            SELECT DISTINCT unnest(blocks.doctor_ids) AS doctor_id
            FROM blocks
            WHERE blocks.no IN (SELECT unnest(grid.blocks) FROM grid)
        ) AS at_work
        CROSS JOIN LATERAL (
            SELECT appointments.starts_at, appointments.ends_at
            FROM appointments
            WHERE appointments.doctor_id = at_work.doctor_id
                AND appointments.starts_at > today.starts - interval '8 hours'
                AND appointments.starts_at < today.starts + interval '32 hours'
                AND status IN ('held', 'offered', 'booked', 'completed')
                AND (status <> 'held' OR expires_at > @now::timestamptz)
            UNION ALL
            SELECT time_off.starts_at, time_off.ends_at
            FROM time_off
            WHERE time_off.doctor_id = at_work.doctor_id
                AND time_off.ends_at > today.starts AND time_off.starts_at < today.starts + interval '32 hours'
        ) AS taken
        GROUP BY at_work.doctor_id
    )
    SELECT points.starts_at, free.doctor_id
    FROM (SELECT grid.starts_at, grid.blocks FROM grid ORDER BY grid.starts_at) AS points
    CROSS JOIN LATERAL (
        SELECT candidate.doctor_id
        FROM blocks
        CROSS JOIN LATERAL unnest(blocks.doctor_ids) AS candidate(doctor_id)
        LEFT JOIN busy ON busy.doctor_id = candidate.doctor_id
        WHERE blocks.no = ANY (points.blocks)
            AND (points.starts_at, candidate.doctor_id) > (@after_start::timestamptz, @after_doctor::uuid)
            AND (busy.times && tstzrange(points.starts_at, points.starts_at + @duration_min::integer * interval '1 minute')) IS NOT TRUE
        ORDER BY candidate.doctor_id
        LIMIT @max_rows::integer
    ) AS free
) AS slot
LIMIT @max_rows::integer;
