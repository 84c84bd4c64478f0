-- How the site itself is doing: what the collector, maintenance and backup note, for the dashboard Collector and its
-- alerts. None of it hangs on events, and maintenance deletes what is older than 90 days.

-- Five minutes a row: what came in, of all collectors together, and the disk that the database is on, where it is the
-- collector's own machine. A row for every five minutes in which a collector ran, whether something came or not.
CREATE TABLE status_samples (
    start timestamptz PRIMARY KEY,
    stored bigint NOT NULL,
    duplicates bigint NOT NULL,
    rejected bigint NOT NULL,
    disk_bytes bigint,
    disk_free_bytes bigint
) WITH (fillfactor = 70);

-- A run of maintenance a row; one that was cut short leaves none.
CREATE TABLE status_maintenance (
    ran_at timestamptz PRIMARY KEY,
    failures integer NOT NULL
);

-- A backup a row, once it was read back whole; `copied` when it is off the host as well.
CREATE TABLE status_backups (
    taken_at timestamptz PRIMARY KEY,
    bytes bigint NOT NULL,
    copied boolean NOT NULL
);

CREATE VIEW reporting.collector_samples AS
SELECT start AS "time", stored, duplicates, rejected, disk_bytes, disk_free_bytes FROM status_samples;

CREATE VIEW reporting.maintenance_runs AS
SELECT ran_at, failures FROM status_maintenance;

CREATE VIEW reporting.backups AS
SELECT taken_at, bytes, copied FROM status_backups;

-- The disk as it was last seen, and in how many days it is full if it goes on as in the last 30: a line through what was
-- free, of this size of disk. NULL where that is not known yet (it takes three days), or ten years away, or never.
CREATE VIEW reporting.disk AS
SELECT
    last.start AS seen_at, last.disk_bytes AS total_bytes, last.disk_free_bytes AS free_bytes,
    CASE WHEN line.days >= 3 AND line.slope < 0 AND -last.disk_free_bytes / line.slope < 3650
        THEN -last.disk_free_bytes / line.slope END AS days_left
FROM (
    SELECT start, disk_bytes, disk_free_bytes FROM status_samples
    WHERE disk_bytes IS NOT NULL ORDER BY start DESC LIMIT 1
) AS last
CROSS JOIN LATERAL (
    SELECT
        regr_slope(s.disk_free_bytes, extract(epoch FROM s.start - last.start) / 86400) AS slope,
        extract(epoch FROM max(s.start) - min(s.start)) / 86400 AS days
    FROM status_samples s
    WHERE s.start > last.start - interval '30 days' AND s.disk_bytes = last.disk_bytes
) AS line;
