-- Batches are written into their month's partition directly: PostgreSQL writes a page of rows at once there, but not where
-- it must choose a partition for each. What goes in that way passes the parent's trigger by, so each partition has one
-- of its own; `maintain` gives one to those that are made later, and to those that an older release made.

-- The parent first, as whoever stores events does, so that nobody waits in a circle.
LOCK TABLE telemetry_events IN SHARE ROW EXCLUSIVE MODE;

DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'telemetry_events'::regclass AND inhrelid <> 'telemetry_events_default'::regclass
    LOOP
        EXECUTE format('CREATE TRIGGER queue_events AFTER INSERT ON %s REFERENCING NEW TABLE AS fresh '
            'FOR EACH STATEMENT EXECUTE FUNCTION queue_events()', partition);
    END LOOP;
END
$$;
