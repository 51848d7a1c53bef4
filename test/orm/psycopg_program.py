# A program on psycopg 3 without an ORM: parameters that the server binds, with
# their types, prepared statements, pipelines, COPY and MERGE; the ids are a
# domain over integer, the statuses numbers.
# test/perl/Orm.pm says how it is called and what it prints.

import json
import sys
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.rows import namedtuple_row

CREATE = '''
CREATE DOMAIN crm.contact_number AS integer CHECK (VALUE > 0);
CREATE TABLE crm.contacts (
    id crm.contact_number PRIMARY KEY,
    email varchar(200) NOT NULL,
    name varchar(100),
    status smallint NOT NULL DEFAULT 1,
    blocked_reason varchar(100),
    user_id integer,
    created_at timestamptz(3) NOT NULL, created_by varchar(40),
    updated_at timestamptz(3), updated_by varchar(40),
    activated_at timestamptz(3), activated_by varchar(40),
    blocked_at timestamptz(3), blocked_by varchar(40),
    deleted_at timestamptz(3), deleted_by varchar(40));
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON crm.contacts FOR EACH ROW
    EXECUTE FUNCTION crm.contact_audit('New=0', 'Active=1', 'Blocked=2', 'Deleted=9');
'''
SAVE = '''
UPDATE crm.contacts SET email = %(email)s, name = %(name)s, status = %(status)s,
    blocked_reason = %(blocked_reason)s, deleted_at = %(deleted_at)s, updated_at = %(updated_at)s
WHERE id = %(id)s
'''
UPSERT = '''
INSERT INTO crm.contacts (id, email, name, status) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, status = EXCLUDED.status
'''
MERGE = '''
MERGE INTO crm.contacts AS c USING import AS i ON i.id = c.id
WHEN MATCHED THEN UPDATE SET name = i.name, status = i.status
WHEN NOT MATCHED THEN INSERT (id, email, name, status) VALUES (i.id, i.email, i.name, i.status)
'''
ACTIVE, BLOCKED = 1, 2
HIGHEST_ID = 0


def connect():
    return psycopg.connect('', autocommit=True, row_factory=namedtuple_row)


def saw(fact, **what):
    print(json.dumps({fact: what}, default=str), flush=True)


def query(connection, sql, *values):
    return connection.execute(sql, values, prepare=True).fetchone()[0]


def call(connection, function, *values):
    # an id goes as text: there is no contact_block(integer)
    return query(connection, 'SELECT crm.%s(%s)' % (function, ', '.join(['%s'] * len(values))),
                 *[str(value) for value in values])


@contextmanager
def acting(connection, actor, plain_unblock=None):
    with connection.transaction():
        query(connection, "SELECT set_config('contact_block.actor', %s, true)", actor)
        if plain_unblock:
            query(connection, "SELECT set_config('contact_block.plain_unblock', %s, true)", plain_unblock)
        yield


def error_of(work, id=None):
    try:
        work()
    except psycopg.DatabaseError as error:
        detail = error.diag.message_detail
        return {
            'class': type(error).__name__, 'sqlstate': error.sqlstate,
            'message': error.diag.message_primary, 'hint': error.diag.message_hint,
            'detail': detail.replace('"%s"' % id, '"ID"') if detail and id else detail,
        }
    return None


def read(connection, id):
    return connection.execute('SELECT * FROM crm.contacts WHERE id = %s', [id], prepare=True).fetchone()


def save(connection, contact, actor, plain_unblock=None):
    with acting(connection, actor, plain_unblock):
        connection.execute(SAVE, contact._asdict(), prepare=True)


def create(connection, name, actor, **values):
    global HIGHEST_ID
    HIGHEST_ID += 1
    values = {'id': HIGHEST_ID, 'email': name.lower() + '@example.org', 'name': name, 'status': ACTIVE, **values}
    with acting(connection, actor):
        connection.execute('INSERT INTO crm.contacts (%s) VALUES (%s)' % (
            ', '.join(values), ', '.join(['%s'] * len(values))), list(values.values()))
    return read(connection, HIGHEST_ID)


def by_another_session(other, function, guard, *values):
    with acting(other, guard):
        return call(other, function, *values)


def one_contact(mine, other, clerk, guard):
    ada = create(mine, 'Ada', clerk)
    document = call(mine, 'contact_document', ada.id)
    saw('create', status=ada.status, email=ada.email, created_by=ada.created_by,
        activated_by=ada.activated_by, document=document['status'], by=document['audit']['created']['by']['name'])

    by_another_session(other, 'contact_block', guard, ada.id, 'fraud')
    error = error_of(lambda: save(mine, ada._replace(name='Ada, stale'), clerk), ada.id)
    now = read(mine, ada.id)
    saw('stale_save', error=error, status=now.status, reason=now.blocked_reason, name=now.name)

    save(mine, ada._replace(name='Ada, kept'), clerk, 'keep')
    now = read(mine, ada.id)
    saw('keep_save', status=now.status, reason=now.blocked_reason, name=now.name,
        updated_by=now.updated_by, blocked_by=now.blocked_by)

    save(mine, ada._replace(name='Ada, allowed'), clerk, 'allow')
    now = read(mine, ada.id)
    saw('allow_save', status=now.status, reason=now.blocked_reason, name=now.name, activated_by=now.activated_by)


def imports(mine, other, clerk, guard):
    rows = [[id, 'import@example.org', 'old', ACTIVE] for id in range(10001, 11001)]

    def upsert(mode):
        # many statements on their way at once
        with acting(mine, clerk, mode), mine.cursor() as cursor:
            cursor.executemany(UPSERT, rows)

    def merge(mode):
        with acting(mine, clerk, mode), mine.cursor() as cursor:
            cursor.execute('CREATE TEMPORARY TABLE import (id integer, email text, name text, status smallint) ON COMMIT DROP')
            with cursor.copy('COPY import FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(MERGE)

    upsert('error')
    for how, work in ('import', upsert), ('merge', merge):
        for row in rows[::100]:
            by_another_session(other, 'contact_block', guard, row[0], 'bounced')
        for mode in 'error', 'keep', 'allow':
            for row in rows:
                row[2] = how + ' ' + mode
            error = error_of(lambda: work(mode))
            counts = mine.execute('''
                SELECT count(*) FILTER (WHERE status = 2) AS blocked,
                    count(*) FILTER (WHERE blocked_reason = 'bounced') AS reasons,
                    count(*) FILTER (WHERE status = 1) AS active,
                    count(*) FILTER (WHERE name = %s) AS renamed
                FROM crm.contacts WHERE email = 'import@example.org' ''', [how + ' ' + mode]).fetchone()
            saw(how + '_' + mode, sqlstate=error and error['sqlstate'], **counts._asdict())


def soft_delete(mine, other, clerk, guard):
    dan = create(mine, 'Dan', clerk)
    error = error_of(lambda: save(mine, dan._replace(deleted_at=datetime.now().astimezone()), clerk))
    now = read(mine, dan.id)
    saw('soft_delete', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    error = error_of(lambda: create(mine, 'Born', clerk, deleted_at=datetime.now().astimezone()))
    saw('born_deleted', error=error, found=int(read(mine, HIGHEST_ID) is not None))

    by_another_session(other, 'contact_delete', guard, dan.id)
    error = error_of(lambda: save(mine, read(mine, dan.id)._replace(deleted_at=None), clerk))
    now = read(mine, dan.id)
    saw('restore', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    # dan is as he was before
    error = error_of(lambda: save(mine, dan._replace(name='Dan, kept'), clerk), dan.id)
    now = read(mine, dan.id)
    saw('revive', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    save(mine, dan._replace(name='Dan, kept'), clerk, 'keep')
    now = read(mine, dan.id)
    saw('keep_deleted', status=now.status, deleted=int(now.deleted_at is not None), name=now.name)
    saw('block_deleted', error=error_of(lambda: call(mine, 'contact_block', dan.id), dan.id))


def version(mine, clerk, guard):
    vera = create(mine, 'Vera', clerk)
    save(mine, vera, guard)
    now = read(mine, vera.id)
    saw('idle_save', same=int(now.updated_at == vera.updated_at), updated_by=now.updated_by)

    with acting(mine, clerk):
        mine.execute("UPDATE crm.contacts SET name = 'Vera, renamed' WHERE id = %s", [vera.id])
    vera = read(mine, vera.id)
    token = call(mine, 'contact_document', vera.id)['audit']['updated']['at']
    matched = []
    for name in 'first', 'second':
        with acting(mine, clerk):
            # the document's string, as it is
            cursor = mine.execute('UPDATE crm.contacts SET name = %s WHERE id = %s AND updated_at = %s',
                                  [name, vera.id, token])
            matched.append(cursor.rowcount)
    saw('version', same=int(datetime.fromisoformat(token.replace('Z', '+00:00')) == vera.updated_at), matched=matched)


def transactions(mine, other, clerk, guard):
    tom = create(mine, 'Tom', clerk)
    with acting(mine, clerk):
        call(mine, 'contact_block', tom.id)
        inside = read(mine, tom.id).status
        found = query(mine, 'SELECT count(*) FROM crm.contacts WHERE id = %s AND status = %s', tom.id, BLOCKED)
        raise psycopg.Rollback()
    saw('transaction', inside=inside, found_by_status=found, after_rollback=read(mine, tom.id).status)

    # what was set in a savepoint goes with it, the actor too
    with acting(mine, guard):
        with acting(mine, clerk):
            call(mine, 'contact_block', tom.id, 'mistake')
            raise psycopg.Rollback()
        rolled_back = read(mine, tom.id).status
        call(mine, 'contact_block', tom.id)
    now = read(mine, tom.id)
    saw('savepoint', rolled_back=rolled_back, status=now.status, reason=now.blocked_reason, by=now.blocked_by)

    sven = create(mine, 'Sven', clerk)
    by_another_session(other, 'contact_block', guard, sven.id)
    blocked = create(mine, 'Other', clerk)
    with acting(mine, clerk):
        error = error_of(lambda: save(mine, sven._replace(name='Sven, stale'), clerk))
        call(mine, 'contact_block', blocked.id)
    saw('error_in_savepoint', sqlstate=error['sqlstate'], status=read(mine, blocked.id).status,
        name=read(mine, sven.id).name)


def pool(mine, clerk, guard):
    backends, by = set(), []
    paul = create(mine, 'Paul', clerk)
    for actor in clerk, guard, '':
        with acting(mine, actor):
            backends.add(query(mine, 'SELECT pg_backend_pid()'))
            mine.execute('UPDATE crm.contacts SET name = %s WHERE id = %s', ['by ' + actor, paul.id])
        by.append(read(mine, paul.id).updated_by)
    saw('pool', connections=len(backends), by=by)


def unknown(mine):
    ids = ['999999', '0', '-1', '007', '2147483648', 'no number']
    saw('unknown', errors=[error_of(lambda: call(mine, 'contact_block', id)) for id in ids])
    error = error_of(lambda: query(mine, 'SELECT crm.contact_block(%s)', 1))
    saw('integer_argument', sqlstate=error['sqlstate'])


def no_number(mine, clerk):
    error = error_of(lambda: create(mine, 'Nora', clerk, status=5))
    saw('no_status', error={key: error[key] for key in ('class', 'sqlstate', 'detail')})


with connect() as mine, connect() as other:
    if sys.argv[1] == 'create':
        mine.execute(CREATE)
    else:
        clerk, guard = sys.argv[2:]
        one_contact(mine, other, clerk, guard)
        imports(mine, other, clerk, guard)
        soft_delete(mine, other, clerk, guard)
        version(mine, clerk, guard)
        transactions(mine, other, clerk, guard)
        pool(mine, clerk, guard)
        unknown(mine)
        no_number(mine, clerk)
