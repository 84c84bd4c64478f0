-- Of each archived identity two bytes, in one of 65,536 buckets: nearly always they tell that an identity is not in the
-- archive. The index of thirty million is more than a gigabyte, so each look into it reads a page from the disk or from the
-- kernel, and drives another out; the fingerprints of all of them are 65 MB.
-- A night writes most buckets anew, several times: there is room for that in their own pages, and what it leaves is gone
-- with the next time. Neither compressed nor kept elsewhere as long as a page has room, for they are read far more often.
CREATE TABLE archived_fingerprints (
    bucket integer PRIMARY KEY,
    fingerprints bytea NOT NULL
) WITH (fillfactor = 50, toast_tuple_target = 8160);
ALTER TABLE archived_fingerprints ALTER COLUMN fingerprints SET STORAGE EXTERNAL;

-- An identity's last two bytes are its fingerprint, the two before say the bucket: they are random, its first may be a time.
-- PostgreSQL puts these two functions' text in their place.
CREATE FUNCTION fingerprint(identity uuid) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT substring(uuid_send(identity) FROM 15 FOR 2)';
CREATE FUNCTION fingerprint_bucket(identity uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT get_byte(uuid_send(identity), 12) * 256 + get_byte(uuid_send(identity), 13)';

-- Those of `given` that may be in the archive: all that are, and of thirty million one more in seventy.
CREATE FUNCTION perhaps_archived(given uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE
-- Each bucket by the index, however small the table was when this was planned.
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN ARRAY(
        SELECT identity
        FROM unnest(given) AS identity
        JOIN archived_fingerprints AS known ON known.bucket = fingerprint_bucket(identity)
        -- It may also be found across two of them, which does no harm.
        WHERE position(fingerprint(identity) IN known.fingerprints) > 0
    );
END
$$;

-- Whoever archives, also a release from before this file: a fingerprint is there from the moment on that its identity is.
CREATE FUNCTION note_fingerprints() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO archived_fingerprints AS known (bucket, fingerprints)
    SELECT fingerprint_bucket(identity), string_agg(fingerprint(identity), '')
    FROM archived
    GROUP BY 1 ORDER BY 1
    ON CONFLICT (bucket) DO UPDATE SET fingerprints = known.fingerprints || excluded.fingerprints;
    RETURN NULL;
END
$$;

-- Makes all of them anew, without those whose identities were deleted. Whoever archives meanwhile waits, and notes its own
-- after; nobody who looks has to wait.
CREATE FUNCTION make_fingerprints() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE archived_fingerprints IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM archived_fingerprints;
    INSERT INTO archived_fingerprints (bucket, fingerprints)
    SELECT fingerprint_bucket(identity), string_agg(fingerprint(identity), '')
    FROM archived_identities
    GROUP BY 1 ORDER BY 1;
END
$$;

-- It waits for whoever is archiving, and collectors that forget an identity behind it: rather fail, and be run again. What
-- was archived before has its fingerprints by 0012, in a transaction of its own, so that this lock is brief.
SET LOCAL lock_timeout = '2s';
CREATE TRIGGER note_fingerprints AFTER INSERT ON archived_identities
REFERENCING NEW TABLE AS archived FOR EACH STATEMENT EXECUTE FUNCTION note_fingerprints();
