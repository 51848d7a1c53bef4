-- What the measurements need beside the data.
-- Variables: trigger_rows.
-- The trigger alone: the same table five times, its trigger apart; empty does
-- nothing but look whether the row is the same.
CREATE EXTENSION moddatetime SCHEMA bench;
CREATE EXTENSION insert_username SCHEMA bench;
SELECT format('CREATE TABLE bench.trigger_%1$s (LIKE ours.contacts INCLUDING ALL) WITH (fillfactor = 40);
               INSERT INTO bench.trigger_%1$s
                   SELECT (c).* FROM (SELECT c FROM ours.contacts AS c LIMIT %2$s) AS c', name, :trigger_rows)
FROM unnest('{none,empty,ours,rival,contrib}'::text[]) AS name \gexec
CREATE TRIGGER audit BEFORE UPDATE ON bench.trigger_empty
    FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON bench.trigger_ours
    FOR EACH ROW EXECUTE FUNCTION ours.contact_audit();
CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON bench.trigger_rival
    FOR EACH ROW EXECUTE FUNCTION rival.contact_audit();
CREATE TRIGGER audit1 BEFORE UPDATE ON bench.trigger_contrib
    FOR EACH ROW EXECUTE FUNCTION bench.moddatetime('updated_at');
CREATE TRIGGER audit2 BEFORE UPDATE ON bench.trigger_contrib
    FOR EACH ROW EXECUTE FUNCTION bench.insert_username('updated_by');

-- Microseconds per row of an UPDATE of all rows.
CREATE FUNCTION bench.update_all(contestant text, status text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    updated bigint;
BEGIN
    EXECUTE format('UPDATE bench.trigger_%s SET status = %L', contestant, status);
    GET DIAGNOSTICS updated = ROW_COUNT;
    RETURN extract(epoch FROM clock_timestamp() - started) * 1e6 / updated;
END $$;
