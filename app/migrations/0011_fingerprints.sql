-- Of each archived identity two bytes, in one of 65,536 buckets: nearly always they tell that an identity is not in the
-- archive. The index of thirty million is more than a gigabyte, so each look into it reads a page from the disk or from the
-- kernel, and drives another out; all fingerprints of them are 65 MB.
-- An identity's last two bytes are its fingerprint, the two before say the bucket: they are random, its first may be a time.
CREATE TABLE archived_fingerprints (
    bucket integer PRIMARY KEY,
    fingerprints bytea NOT NULL
) WITH (toast_tuple_target = 8160);
-- Neither compressed nor kept elsewhere, as long as a page has room: it is read far more often than written.
ALTER TABLE archived_fingerprints ALTER COLUMN fingerprints SET STORAGE EXTERNAL;

-- Those of `given` that may be in the archive: all that are, and of thirty million one more in seventy.
CREATE FUNCTION perhaps_archived(given uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT identity
        FROM unnest(given) AS identity
        JOIN archived_fingerprints AS known
            ON known.bucket = get_byte(uuid_send(identity), 12) * 256 + get_byte(uuid_send(identity), 13)
        -- It may also be found across two of them, which does no harm.
        WHERE position(substring(uuid_send(identity) FROM 15 FOR 2) IN known.fingerprints) > 0
    );
END
$$;

-- Whoever archives, also a release from before this file: a fingerprint is there from the moment on that its identity is.
CREATE FUNCTION note_fingerprints() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO archived_fingerprints AS known (bucket, fingerprints)
    SELECT get_byte(uuid_send(identity), 12) * 256 + get_byte(uuid_send(identity), 13),
        string_agg(substring(uuid_send(identity) FROM 15 FOR 2), '')
    FROM archived
    GROUP BY 1 ORDER BY 1
    ON CONFLICT (bucket) DO UPDATE SET fingerprints = known.fingerprints || excluded.fingerprints;
    RETURN NULL;
END
$$;

-- Makes all of them anew, without those whose identities were deleted; nobody who looks has to wait.
CREATE FUNCTION make_fingerprints() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE archived_fingerprints IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM archived_fingerprints;
    INSERT INTO archived_fingerprints (bucket, fingerprints)
    SELECT get_byte(uuid_send(identity), 12) * 256 + get_byte(uuid_send(identity), 13),
        string_agg(substring(uuid_send(identity) FROM 15 FOR 2), '')
    FROM archived_identities
    GROUP BY 1 ORDER BY 1;
END
$$;

-- Nobody archives from here on until all that was archived before has its fingerprints.
SET LOCAL lock_timeout = '2s';
CREATE TRIGGER note_fingerprints AFTER INSERT ON archived_identities
REFERENCING NEW TABLE AS archived FOR EACH STATEMENT EXECUTE FUNCTION note_fingerprints();
SELECT make_fingerprints();

-- As in 0010, which see for why it inserts first; the function asks once, not once a row.
CREATE OR REPLACE PROCEDURE claim_identities(given uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_identities (identity) SELECT unnest(given);
    IF EXISTS (SELECT FROM archived_identities WHERE identity = ANY ((SELECT perhaps_archived(given))::uuid[])) THEN
        RAISE unique_violation USING MESSAGE = 'an identity is in the archive', TABLE = 'event_identities';
    END IF;
END
$$;
