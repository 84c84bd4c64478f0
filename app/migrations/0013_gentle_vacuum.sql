-- Vacuum takes its time with events. They are not changed, so all that it does there is to mark and to freeze what is new;
-- of two million events at once it wrote 29 MB of log a second for 46 s, a page of it for each page, and every commit
-- waited behind that. `maintain` makes later months the same way.
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'telemetry_events'::regclass AND inhrelid <> 'telemetry_events_default'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_cost_delay = 20)', partition);
    END LOOP;
END
$$;
