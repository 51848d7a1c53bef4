-- Do ours and the rival do the same?  Raises an error when they do not.
-- Variable: calls (how many contacts to look at).
-- Stamps are clock readings, so what a block leaves is compared in two steps:
-- each returns what it left, and on the same rows both give the same document.
SELECT setseed(0.5) \g /dev/null
CREATE TEMP TABLE compared AS
    (SELECT id FROM ours.contacts WHERE id LIKE 'CON-%' ORDER BY random() LIMIT :calls)
    UNION ALL
    SELECT id FROM ours.contacts WHERE id ~ '^(OPT-.*-1$|ODD)';

CREATE FUNCTION pg_temp.compare(what text, a text, b text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    different record;
BEGIN
    EXECUTE format('SELECT id, a, b FROM (SELECT id, %s AS a, %s AS b FROM compared OFFSET 0) AS d
                    WHERE a IS DISTINCT FROM b LIMIT 1', a, b) INTO different;
    IF different.id IS NOT NULL THEN
        RAISE 'documents differ: %', what
            USING DETAIL = format(E'%s\n%s: %s\n%s: %s', different.id, a, different.a, b, different.b);
    END IF;
END $$;

CREATE FUNCTION pg_temp.copy_contacts() RETURNS void LANGUAGE sql
SET session_replication_role = replica AS $$
    UPDATE rival.contacts AS r
    SET status = o.status, blocked_reason = o.blocked_reason,
        updated_at = o.updated_at, updated_by = o.updated_by,
        activated_at = o.activated_at, activated_by = o.activated_by,
        blocked_at = o.blocked_at, blocked_by = o.blocked_by
    FROM ours.contacts AS o JOIN compared USING (id) WHERE r.id = o.id
$$;

CREATE FUNCTION pg_temp.compare_verb(verb text, to_status text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    side text;
BEGIN
    FOREACH side IN ARRAY '{ours,rival}'::text[] LOOP
        EXECUTE format('DROP TABLE IF EXISTS pg_temp.%s_left', side);
        EXECUTE format('CREATE TEMP TABLE %1$s_left AS
                        SELECT id, %1$s.%2$I(id) AS document FROM compared', side, verb);
        PERFORM pg_temp.compare(side || ' ' || verb,
            format('(SELECT document FROM %s_left AS l WHERE l.id = compared.id)', side),
            format('%s.contact_document(id)', side));
        PERFORM pg_temp.compare(side || ' status after ' || verb,
            format('%s.contact_document(id) ->> ''status''', side), quote_literal(to_status));
        PERFORM pg_temp.compare(side || ' actor after ' || verb,
            format('%s.contact_document(id) #>> ''{audit,updated,by,id}''', side),
            'current_setting(''contact_block.actor'')');
    END LOOP;
    PERFORM pg_temp.copy_contacts();
    PERFORM pg_temp.compare('after ' || verb, 'ours.contact_document(id)', 'rival.contact_document(id)');
END $$;

\o /dev/null
SELECT pg_temp.compare('as loaded', 'ours.contact_document(id)', 'rival.contact_document(id)');
SELECT pg_temp.compare_verb('contact_block', 'Blocked');
SELECT pg_temp.compare_verb('contact_unblock', 'Active');
\o
SELECT count(*) || ' contacts: ours and PL/pgSQL return the same documents' FROM compared;
