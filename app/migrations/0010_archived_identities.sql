-- Identities that are a day old move to a table of their own, in their order (`maintain`). So the index into which each new
-- one goes stays small enough for memory. With ten million in it, each new identity changed another page of it: one more to
-- write, and after a checkpoint 8 kB of log for one event; what is only looked up changes nothing.
CREATE TABLE archived_identities (
    identity uuid PRIMARY KEY,
    stored_at timestamptz NOT NULL
);
-- What was moved in one night lies together.
CREATE INDEX archived_identities_stored_at ON archived_identities USING brin (stored_at);
-- Two days of identities are found without, and their place in the table says nothing any more. The collector waits behind
-- this lock, and this one behind a backup: rather fail, and be run again when that is done.
SET LOCAL lock_timeout = '2s';
DROP INDEX event_identities_stored_at;

-- Stores the identities of new events; fails with unique_violation if one of them is known. It looks into the archive after
-- it has inserted: whoever is moving one of them meanwhile is waited for at its row, and what was moved is seen then, if
-- each statement has a snapshot of its own (READ COMMITTED).
CREATE PROCEDURE claim_identities(given uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_identities (identity) SELECT unnest(given);
    IF EXISTS (SELECT FROM archived_identities WHERE identity = ANY (given)) THEN
        RAISE unique_violation USING MESSAGE = 'an identity is in the archive', TABLE = 'event_identities';
    END IF;
END
$$;
