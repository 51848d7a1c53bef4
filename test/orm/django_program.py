# A program on Django, with psycopg2: uuid ids and actors, updated_at NOT NULL.
# test/perl/Orm.pm says how it is called and what it prints.

import json
import os
import sys
import uuid
from contextlib import contextmanager

import django
from django.conf import settings
from django.db import DatabaseError, connections, models, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

DATABASE = {
    'ENGINE': 'django.db.backends.postgresql',
    'HOST': os.environ['PGHOST'],
    'PORT': os.environ['PGPORT'],
    'NAME': os.environ['PGDATABASE'],
    'USER': os.environ['PGUSER'],
    'CONN_MAX_AGE': None,       # a connection is kept
    'OPTIONS': {'options': '-c search_path=crm'},
}
# "other" is another session
settings.configure(DATABASES={'default': DATABASE, 'other': DATABASE}, USE_TZ=True, TIME_ZONE='Asia/Kolkata')
django.setup()


class Contact(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(max_length=200)
    name = models.CharField(max_length=100, null=True)
    status = models.CharField(max_length=10, default='Active')
    blocked_reason = models.CharField(max_length=100, null=True)
    user_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.UUIDField(null=True)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.UUIDField(null=True)
    activated_at = models.DateTimeField(null=True)
    activated_by = models.UUIDField(null=True)
    blocked_at = models.DateTimeField(null=True)
    blocked_by = models.UUIDField(null=True)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.UUIDField(null=True)

    class Meta:
        app_label = 'crm'
        db_table = 'contacts'


def saw(fact, **what):
    print(json.dumps({fact: what}, default=str), flush=True)


def query(sql, *values, using='default'):
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0]


def call(function, *values, using='default'):
    # an id goes as text: there is no contact_block(uuid)
    values = [value if value is None else str(value) for value in values]
    document = query('SELECT %s(%s)' % (function, ', '.join(['%s'] * len(values))), *values, using=using)
    return json.loads(document)


@contextmanager
def acting(actor, plain_unblock=None, using='default'):
    with transaction.atomic(using=using):
        query("SELECT set_config('contact_block.actor', %s, true)", str(actor), using=using)
        if plain_unblock:
            query("SELECT set_config('contact_block.plain_unblock', %s, true)", plain_unblock, using=using)
        yield


def error_of(work, id=None):
    try:
        work()
    except DatabaseError as error:
        diag = error.__cause__.diag
        detail = diag.message_detail
        return {
            'class': type(error).__name__, 'sqlstate': error.__cause__.pgcode,
            'message': diag.message_primary, 'hint': diag.message_hint,
            'detail': detail.replace(str(id), 'ID') if detail and id else detail,
        }
    return None


def save(contact, actor, plain_unblock=None, **options):
    with acting(actor, plain_unblock):
        contact.save(**options)


def create(name, actor, **values):
    contact = Contact(email=name.lower() + '@example.org', name=name, **values)
    save(contact, actor)
    return Contact.objects.get(pk=contact.pk)


def by_another_session(function, guard, *values):
    with acting(guard, using='other'):
        return call(function, *values, using='other')


def one_contact(clerk, guard):
    ada = create('Ada', clerk)
    document = call('contact_document', ada.pk)
    saw('create', status=ada.status, email=ada.email, created_by=ada.created_by,
        activated_by=ada.activated_by, document=document['status'], by=document['audit']['created']['by']['name'])

    by_another_session('contact_block', guard, ada.pk, 'fraud')
    ada.name = 'Ada, stale'
    error = error_of(lambda: save(ada, clerk), ada.pk)
    now = Contact.objects.get(pk=ada.pk)
    saw('stale_save', error=error, status=now.status, reason=now.blocked_reason, name=now.name)

    ada.name = 'Ada, kept'
    save(ada, clerk, 'keep')
    now = Contact.objects.get(pk=ada.pk)
    saw('keep_save', status=now.status, reason=now.blocked_reason, name=now.name,
        updated_by=now.updated_by, blocked_by=now.blocked_by)

    ada.name = 'Ada, allowed'
    save(ada, clerk, 'allow')
    now = Contact.objects.get(pk=ada.pk)
    saw('allow_save', status=now.status, reason=now.blocked_reason, name=now.name, activated_by=now.activated_by)


def imports(clerk, guard):
    ids = [uuid.uuid4() for _ in range(1000)]
    with acting(clerk):
        Contact.objects.bulk_create(Contact(pk=id, email='import@example.org', name='old') for id in ids)
    for id in ids[::100]:
        by_another_session('contact_block', guard, id, 'bounced')
    for mode in 'error', 'keep', 'allow':
        rows = [Contact(pk=id, name=mode, status='Active') for id in ids]

        def work(plain_unblock=mode):
            with acting(clerk, plain_unblock):
                Contact.objects.bulk_update(rows, ['name', 'status'])

        # a session that has not loaded the library yet
        connections['default'].close()
        error = error_of(work)
        imported = Contact.objects.filter(email='import@example.org')
        saw('import_' + mode, sqlstate=error and error['sqlstate'],
            blocked=imported.filter(status='Blocked').count(),
            reasons=imported.filter(blocked_reason='bounced').count(),
            active=imported.filter(status='Active').count(),
            renamed=imported.filter(name=mode).count())
        if mode == 'keep':
            saw('after_keep', sqlstate=error_of(lambda: work(None))['sqlstate'])


def soft_delete(clerk, guard):
    dan = create('Dan', clerk)
    dan.deleted_at = timezone.now()
    error = error_of(lambda: save(dan, clerk, update_fields=['deleted_at']))
    now = Contact.objects.get(pk=dan.pk)
    saw('soft_delete', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    id = uuid.uuid4()
    error = error_of(lambda: create('Born', clerk, pk=id, deleted_at=timezone.now()))
    saw('born_deleted', error=error, found=Contact.objects.filter(pk=id).count())

    by_another_session('contact_delete', guard, dan.pk)
    dan.deleted_at = None
    error = error_of(lambda: save(dan, clerk, update_fields=['deleted_at']))
    now = Contact.objects.get(pk=dan.pk)
    saw('restore', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    dan.name = 'Dan, kept'
    error = error_of(lambda: save(dan, clerk), dan.pk)
    now = Contact.objects.get(pk=dan.pk)
    saw('revive', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    save(dan, clerk, 'keep')
    now = Contact.objects.get(pk=dan.pk)
    saw('keep_deleted', status=now.status, deleted=int(now.deleted_at is not None), name=now.name)
    saw('block_deleted', error=error_of(lambda: by_another_session('contact_block', guard, dan.pk), dan.pk))


def version(clerk, guard):
    vera = create('Vera', clerk)
    before = vera.updated_at
    save(vera, guard)
    vera.refresh_from_db()
    saw('idle_save', same=int(vera.updated_at == before), updated_by=vera.updated_by)

    token = parse_datetime(call('contact_document', vera.pk)['audit']['updated']['at'])
    matched = []
    for name in 'first', 'second':
        with acting(clerk):
            matched.append(Contact.objects.filter(pk=vera.pk, updated_at=token).update(name=name))
    saw('version', same=int(token == vera.updated_at), matched=matched)


def transactions(clerk, guard):
    tom = create('Tom', clerk)
    with acting(clerk):
        call('contact_block', tom.pk)
        tom.refresh_from_db()
        inside = tom.status
        found = Contact.objects.filter(pk=tom.pk, status='Blocked').count()
        transaction.set_rollback(True)
    tom.refresh_from_db()
    saw('transaction', inside=inside, found_by_status=found, after_rollback=tom.status)

    # what was set in a savepoint goes with it, the actor too
    with acting(guard):
        savepoint = transaction.savepoint()
        query("SELECT set_config('contact_block.actor', %s, true)", str(clerk))
        call('contact_block', tom.pk, 'mistake')
        transaction.savepoint_rollback(savepoint)
        tom.refresh_from_db()
        rolled_back = tom.status
        call('contact_block', tom.pk)
    tom.refresh_from_db()
    saw('savepoint', rolled_back=rolled_back, status=tom.status, reason=tom.blocked_reason, by=tom.blocked_by)

    sven = create('Sven', clerk)
    by_another_session('contact_block', guard, sven.pk)
    other = create('Other', clerk)
    with acting(clerk):
        def work():
            with transaction.atomic():
                sven.name = 'Sven, stale'
                sven.save()
        error = error_of(work)
        call('contact_block', other.pk)
    sven.refresh_from_db()
    other.refresh_from_db()
    saw('error_in_savepoint', sqlstate=error['sqlstate'], status=other.status, name=sven.name)


def pool(clerk, guard):
    backends, by = set(), []
    paul = create('Paul', clerk)
    for actor in clerk, guard, None:
        def work():
            with transaction.atomic():
                if actor:
                    query("SELECT set_config('contact_block.actor', %s, true)", actor)
                backends.add(query('SELECT pg_backend_pid()'))
                Contact.objects.filter(pk=paul.pk).update(name=str(actor))
        error = error_of(work)
        paul.refresh_from_db()
        by.append(error or paul.updated_by)
        connections['default'].close_if_unusable_or_obsolete()
    saw('pool', connections=len(backends), by=by)


def unknown(clerk):
    ada = create('Ada', clerk)
    ids = ['00000000-0000-0000-0000-00000000dead', 'no uuid', '{%s}' % ada.pk, ada.pk.hex, '1; DROP TABLE contacts']
    errors = [error_of(lambda: call('contact_block', id)) for id in ids]
    for error, id in zip(errors, ids):
        error['detail'] = error['detail'].replace(str(ada.pk), 'ID').replace(ada.pk.hex, 'HEX')
    saw('unknown', errors=errors)
    with acting(clerk):
        document = call('contact_block', str(ada.pk).upper())
    saw('spelling', status=document['status'], same=int(document['id'] == str(ada.pk)))


def misfit(clerk):
    # not as text: the error of PostgreSQL that somebody will meet once
    ada = create('Ada', clerk)
    error = error_of(lambda: query('SELECT contact_block(%s::uuid)', str(ada.pk)))
    saw('uuid_argument', sqlstate=error['sqlstate'])
    ada.name = 'Ada, changed'
    saw('misfit', error=error_of(lambda: save(ada, 'USR-7')))


if sys.argv[1] == 'create':
    with connections['default'].schema_editor() as editor:
        editor.create_model(Contact)
else:
    CLERK, GUARD = sys.argv[2:]
    one_contact(CLERK, GUARD)
    imports(CLERK, GUARD)
    soft_delete(CLERK, GUARD)
    version(CLERK, GUARD)
    transactions(CLERK, GUARD)
    pool(CLERK, GUARD)
    unknown(CLERK)
    misfit(CLERK)
