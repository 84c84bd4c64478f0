-- What was archived before 0011. Its trigger notes what is archived from there on.
SELECT make_fingerprints();

-- As in 0010, which see for why it inserts first; but the archive's index is asked only for what has a known fingerprint.
-- The sub-select has PostgreSQL call the function once, and not for each row.
CREATE OR REPLACE PROCEDURE claim_identities(given uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_identities (identity) SELECT unnest(given);
    IF EXISTS (SELECT FROM archived_identities WHERE identity = ANY ((SELECT perhaps_archived(given))::uuid[])) THEN
        RAISE unique_violation USING MESSAGE = 'an identity is in the archive', TABLE = 'event_identities';
    END IF;
END
$$;
