-- The rival: the same work in PL/pgSQL, in the schema rival, whose relations
-- are loaded.  As fast as we could make it: one statement a call, functions
-- that the planner inlines, scalar subqueries by primary key, what an update
-- always stamps together looked up once, keys taken out only where there are
-- any to take out, and joins that the planner cannot turn into hash joins of
-- whole tables (LATERAL ... OFFSET 0) nor sort.
SET search_path = rival;

DROP TRIGGER zzz_contact_audit ON contacts;
DROP EXTENSION contact_block;

-- Stable, like to_char: as an immutable function it would not be inlined.
CREATE FUNCTION time_text(t timestamptz) RETURNS text LANGUAGE sql STABLE
    RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- The text of an event; as a function it would not be inlined, for its subquery.
CREATE FUNCTION pg_temp.event(name text) RETURNS text LANGUAGE sql
    RETURN format($sql$
        CASE WHEN %1$s_at IS NULL THEN NULL
             WHEN %1$s_by IS NULL THEN jsonb_build_object('at', rival.time_text(%1$s_at))
             ELSE jsonb_build_object('at', rival.time_text(%1$s_at), 'by', coalesce(
                 (SELECT jsonb_build_object('id', a.id, 'icon', a.icon, 'name', a.name)
                  FROM rival.users AS a WHERE a.id = %1$s_by),
                 jsonb_build_object('id', %1$s_by))) END $sql$, name);

-- The functions share the text of the document of contact c; its audit differs.
DO $do$
DECLARE
    document text := $sql$
        jsonb_build_object(
            'id', c.id, 'name', c.name, 'email', c.email, 'status', c.status,
            'userId', c.user_id, 'blockedReason', c.blocked_reason,
            '$meta', '{"omitted": []}'::jsonb,
            'audit', %1$s,
            'optOuts', coalesce((
                SELECT jsonb_agg(jsonb_build_object(
                           'id', k.id, 'icon', k.icon, 'name', k.name,
                           'lastUsed', rival.time_text(o.last_used),
                           'shortDescription', k.short_description))
                FROM (SELECT category_id, last_used FROM rival.contact_opt_outs
                      WHERE contact_id = c.id ORDER BY category_id) AS o,
                     LATERAL (SELECT * FROM rival.categories AS k WHERE k.id = o.category_id OFFSET 0) AS k), '[]'),
            'user', (
                SELECT jsonb_build_object(
                    'id', u.id, 'icon', u.icon, 'name', u.name, 'email', u.email,
                    'status', u.status, 'lastName', u.last_name, 'firstName', u.first_name,
                    'lastLoginAt', rival.time_text(u.last_login_at),
                    '$meta', '{"omitted": []}'::jsonb,
                    'audit', jsonb_build_object(
                        'created', %2$s,
                        'updated', %3$s,
                        'invitationAcceptedAt', rival.time_text(u.invitation_accepted_at))
                        - CASE WHEN u.created_at IS NULL OR u.updated_at IS NULL THEN array_remove(ARRAY[
                              CASE WHEN u.created_at IS NULL THEN 'created' END,
                              CASE WHEN u.updated_at IS NULL THEN 'updated' END], NULL)
                          ELSE '{}' END,
                    'phone', jsonb_build_object('number', u.phone_number, 'prefix', u.phone_prefix),
                    'settings', jsonb_build_object('cultureCode', u.culture_code,
                                                   'languageCode', u.language_code),
                    'accounts', coalesce((
                        SELECT jsonb_agg(jsonb_build_object(
                                   'id', a.id, 'icon', a.icon, 'name', a.name,
                                   'type', a.type, 'status', a.status))
                        FROM (SELECT account_id FROM rival.account_users
                              WHERE user_id = u.id ORDER BY account_id) AS m,
                             LATERAL (SELECT * FROM rival.accounts AS a WHERE a.id = m.account_id OFFSET 0) AS a), '[]'),
                    'currentAccount', jsonb_build_object(
                        'id', a.id, 'icon', a.icon, 'name', a.name,
                        'type', a.type, 'status', a.status))
                    - CASE WHEN coalesce(u.phone_prefix, u.phone_number) IS NULL
                                OR coalesce(u.culture_code, u.language_code) IS NULL
                                OR a.id IS NULL THEN array_remove(ARRAY[
                          CASE WHEN coalesce(u.phone_prefix, u.phone_number) IS NULL THEN 'phone' END,
                          CASE WHEN coalesce(u.culture_code, u.language_code) IS NULL THEN 'settings' END,
                          CASE WHEN a.id IS NULL THEN 'currentAccount' END], NULL)
                      ELSE '{}' END
                FROM rival.users AS u LEFT JOIN rival.accounts AS a ON a.id = u.current_account_id
                WHERE u.id = c.user_id))
        - CASE WHEN c.user_id IS NULL THEN '{user}'::text[] ELSE '{}' END $sql$;
    user_created text := pg_temp.event('u.created');
    user_updated text := pg_temp.event('u.updated');
    verb record;
BEGIN
    EXECUTE format('CREATE FUNCTION contact_document(id text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $f$
        DECLARE
            document jsonb;
        BEGIN
            SELECT %s INTO document FROM rival.contacts AS c WHERE c.id = $1;
            IF NOT FOUND THEN
                RAISE ''contact not found'' USING ERRCODE = ''PT404'';
            END IF;
            RETURN document;
        END $f$',
        format(document, format($sql$
            (SELECT coalesce(jsonb_object_agg(e.key, %s), '{}')
             FROM (VALUES ('created', c.created_at, c.created_by), ('updated', c.updated_at, c.updated_by),
                          ('activated', c.activated_at, c.activated_by),
                          ('blocked', c.blocked_at, c.blocked_by),
                          ('deleted', c.deleted_at, c.deleted_by)) AS e (key, event_at, event_by)
             WHERE e.event_at IS NOT NULL) $sql$, pg_temp.event('e.event')),
            user_created, user_updated));

    FOR verb IN SELECT * FROM (VALUES
        ('block', 'Blocked', 'Active', 'blocked', 'activated'),
        ('unblock', 'Active', 'Blocked', 'activated', 'blocked'))
        AS v (name, to_status, from_status, event, other_event)
    LOOP
        EXECUTE format('CREATE FUNCTION %I(id text) RETURNS jsonb LANGUAGE plpgsql AS $f$
            DECLARE
                document jsonb;
            BEGIN
                UPDATE rival.contacts AS c SET status = %L WHERE c.id = $1 AND c.status = %L
                    RETURNING %s INTO document;
                IF FOUND THEN
                    RETURN document;
                END IF;
                document := rival.contact_document(id);
                IF document ->> ''status'' <> %L THEN
                    RAISE ''the contact''''s status does not allow this'' USING ERRCODE = ''PT409'';
                END IF;
                RETURN document;
            END $f$',
            'contact_' || verb.name, verb.to_status, verb.from_status,
            -- the change has stamped two events with the same values
            format(document, format($sql$
                (SELECT jsonb_build_object('created', %3$s, 'updated', n.event, %1$L, n.event, %2$L, %4$s)
                        - CASE WHEN c.%2$I_at IS NULL THEN ARRAY[%2$L] ELSE '{}' END
                 FROM (SELECT %5$s OFFSET 0) AS n (event)) $sql$,
                verb.event, verb.other_event, pg_temp.event('c.created'),
                pg_temp.event('c.' || verb.other_event), pg_temp.event('c.' || verb.event)),
                user_created, user_updated),
            verb.to_status);
    END LOOP;
END $do$;

-- The trigger: state machine, stamps, the actor of the same settings.
CREATE FUNCTION contact_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stamp timestamptz;
    actor text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- nobody writes audit columns; mostly nobody tries
        IF (NEW.created_at, NEW.created_by, NEW.updated_at, NEW.updated_by, NEW.activated_at,
            NEW.activated_by, NEW.blocked_at, NEW.blocked_by, NEW.deleted_at, NEW.deleted_by)
           IS DISTINCT FROM
           (OLD.created_at, OLD.created_by, OLD.updated_at, OLD.updated_by, OLD.activated_at,
            OLD.activated_by, OLD.blocked_at, OLD.blocked_by, OLD.deleted_at, OLD.deleted_by)
        THEN
            NEW.created_at := OLD.created_at;
            NEW.created_by := OLD.created_by;
            NEW.updated_at := OLD.updated_at;
            NEW.updated_by := OLD.updated_by;
            NEW.activated_at := OLD.activated_at;
            NEW.activated_by := OLD.activated_by;
            NEW.blocked_at := OLD.blocked_at;
            NEW.blocked_by := OLD.blocked_by;
            NEW.deleted_at := OLD.deleted_at;
            NEW.deleted_by := OLD.deleted_by;
        END IF;
        IF NEW.status = OLD.status AND NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;

    stamp := clock_timestamp();
    actor := coalesce(nullif(current_setting('contact_block.actor', true), ''),
                      nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub',
                      nullif(current_setting('role'), 'none'), session_user);

    IF TG_OP = 'INSERT' THEN
        NEW.created_at := stamp;
        NEW.created_by := actor;
        NEW.updated_at := NULL;
        NEW.updated_by := NULL;
        NEW.activated_at := NULL;
        NEW.activated_by := NULL;
        NEW.blocked_at := NULL;
        NEW.blocked_by := NULL;
        NEW.deleted_at := NULL;
        NEW.deleted_by := NULL;
    ELSE
        NEW.updated_at := stamp;
        NEW.updated_by := actor;
        IF NEW.status = OLD.status THEN
            RETURN NEW;
        END IF;
    END IF;

    CASE NEW.status
        WHEN 'Blocked' THEN
            IF TG_OP = 'UPDATE' AND OLD.status <> 'Active' THEN
                RAISE 'the contact''s status does not allow this' USING ERRCODE = 'PT409';
            END IF;
            NEW.blocked_at := stamp;
            NEW.blocked_by := actor;
        WHEN 'Active' THEN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.status NOT IN ('New', 'Blocked') THEN
                    RAISE 'the contact''s status does not allow this' USING ERRCODE = 'PT409';
                END IF;
                NEW.blocked_reason := NULL;
            END IF;
            NEW.activated_at := stamp;
            NEW.activated_by := actor;
        WHEN 'Deleted' THEN
            IF TG_OP = 'UPDATE' AND OLD.status NOT IN ('Active', 'Blocked') THEN
                RAISE 'the contact''s status does not allow this' USING ERRCODE = 'PT409';
            END IF;
            NEW.deleted_at := stamp;
            NEW.deleted_by := actor;
        ELSE
            IF TG_OP = 'UPDATE' THEN
                RAISE 'the contact''s status does not allow this' USING ERRCODE = 'PT409';
            END IF;
    END CASE;
    RETURN NEW;
END $$;
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts
    FOR EACH ROW EXECUTE FUNCTION contact_audit();
