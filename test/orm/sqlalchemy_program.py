# A program on SQLAlchemy, with psycopg2: bigint ids and actors, updated_at NOT
# NULL as the version of an object.
# test/perl/Orm.pm says how it is called and what it prints.

import json
import os
import sys
from contextlib import contextmanager
from datetime import datetime, timezone

from sqlalchemy import BigInteger, Column, DateTime, FetchedValue, Identity, String, create_engine, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base, declarative_mixin
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.orm.session import make_transient_to_detached

Base = declarative_base()
Other = declarative_base()
DATABASE = URL.create(
    'postgresql+psycopg2', username=os.environ['PGUSER'], database=os.environ['PGDATABASE'],
    query={'host': os.environ['PGHOST'], 'port': os.environ['PGPORT']})
# one connection in the pool, and another session
ENGINE = create_engine(DATABASE, pool_size=1, max_overflow=0)
ENGINE_OTHER = create_engine(DATABASE, pool_size=1, max_overflow=0)


@declarative_mixin
class Columns:
    __tablename__ = 'contacts'
    # the trigger's columns are read back after a write
    __mapper_args__ = {'eager_defaults': True}
    id = Column(BigInteger, Identity(), primary_key=True)
    email = Column(String(200), nullable=False)
    name = Column(String)
    status = Column(String, nullable=False, default='Active')
    blocked_reason = Column(String)
    user_id = Column(BigInteger)
    created_at = Column(DateTime(timezone=True), FetchedValue(), nullable=False)
    created_by = Column(BigInteger, FetchedValue())
    updated_at = Column(DateTime(timezone=True), FetchedValue(), FetchedValue(for_update=True), nullable=False)
    updated_by = Column(BigInteger, FetchedValue(), FetchedValue(for_update=True))
    activated_at = Column(DateTime(timezone=True))
    activated_by = Column(BigInteger)
    blocked_at = Column(DateTime(timezone=True))
    blocked_by = Column(BigInteger)
    deleted_at = Column(DateTime(timezone=True))
    deleted_by = Column(BigInteger)


class Contact(Columns, Base):
    __table_args__ = {'schema': 'crm'}


class VersionedContact(Columns, Other):
    __table_args__ = {'schema': 'crm'}


# WHERE id = ... AND updated_at = ..., with the value of the trigger
VersionedContact.__mapper__.version_id_col = VersionedContact.__table__.c.updated_at
VersionedContact.__mapper__.version_id_generator = False


def saw(fact, **what):
    print(json.dumps({fact: what}, default=str), flush=True)


def query(session, sql, **values):
    return session.execute(text(sql), values).scalar()


def call(session, function, *values):
    # an id goes as text: there is no contact_block(bigint)
    names = ['value%d' % i for i in range(len(values))]
    sql = 'SELECT crm.%s(%s)' % (function, ', '.join(':' + name for name in names))
    return query(session, sql, **{name: str(value) for name, value in zip(names, values)})


@contextmanager
def acting(actor, plain_unblock=None, engine=ENGINE):
    with Session(engine, expire_on_commit=False) as session, session.begin():
        query(session, "SELECT set_config('contact_block.actor', :actor, true)", actor=str(actor))
        if plain_unblock:
            query(session, "SELECT set_config('contact_block.plain_unblock', :mode, true)", mode=plain_unblock)
        yield session


def error_of(work, id=None):
    try:
        work()
    except DBAPIError as error:
        diag = error.orig.diag
        detail = diag.message_detail
        return {
            'class': type(error).__name__, 'sqlstate': error.orig.pgcode,
            'message': diag.message_primary, 'hint': diag.message_hint,
            'detail': detail.replace(str(id), 'ID') if detail and id else detail,
        }
    return None


def read(id):
    with Session(ENGINE) as session:
        return session.get(Contact, id)


def create(name, actor, **values):
    with acting(actor) as session:
        contact = Contact(email=name.lower() + '@example.org', name=name, **values)
        session.add(contact)
        session.flush()
        return session.get(Contact, contact.id, populate_existing=True)


# An object of an earlier session: what it has is compared with the row, and
# what differs is written.
def merge(contact, actor, plain_unblock=None):
    with acting(actor, plain_unblock) as session:
        session.merge(contact)


def by_another_session(function, guard, *values):
    with acting(guard, engine=ENGINE_OTHER) as session:
        return call(session, function, *values)


def one_contact(clerk, guard):
    ada = create('Ada', clerk)
    with Session(ENGINE) as session:
        document = call(session, 'contact_document', ada.id)
    saw('create', status=ada.status, email=ada.email, created_by=str(ada.created_by),
        activated_by=str(ada.activated_by), document=document['status'], by=document['audit']['created']['by']['name'])

    by_another_session('contact_block', guard, ada.id, 'fraud')
    ada.name = 'Ada, stale'
    error = error_of(lambda: merge(ada, clerk), ada.id)
    now = read(ada.id)
    saw('stale_save', error=error, status=now.status, reason=now.blocked_reason, name=now.name)

    ada.name = 'Ada, kept'
    merge(ada, clerk, 'keep')
    now = read(ada.id)
    saw('keep_save', status=now.status, reason=now.blocked_reason, name=now.name,
        updated_by=str(now.updated_by), blocked_by=str(now.blocked_by))

    ada.name = 'Ada, allowed'
    merge(ada, clerk, 'allow')
    now = read(ada.id)
    saw('allow_save', status=now.status, reason=now.blocked_reason, name=now.name,
        activated_by=str(now.activated_by))


# An object of this session: only what the program has changed is written.
def changes_only(clerk, guard):
    olga = create('Olga', clerk)
    with acting(clerk) as session:
        contact = session.get(Contact, olga.id)
        by_another_session('contact_block', guard, olga.id, 'fraud')
        contact.name = 'Olga, renamed'
    now = read(olga.id)
    saw('changes_only', status=now.status, reason=now.blocked_reason, name=now.name)


def imports(clerk, guard):
    ids = list(range(10001, 11001))
    rows = [{'id': id, 'email': 'import@example.org', 'name': 'old', 'status': 'Active'} for id in ids]

    def upsert(actor, mode):
        statement = insert(Contact.__table__).values(rows)
        new = statement.excluded
        with acting(actor, mode) as session:
            session.execute(statement.on_conflict_do_update(
                index_elements=['id'], set_={'name': new.name, 'status': new.status}))

    upsert(clerk, 'error')
    for id in ids[::100]:
        by_another_session('contact_block', guard, id, 'bounced')
    for mode in 'error', 'keep', 'allow':
        for row in rows:
            row['name'] = mode
        error = error_of(lambda: upsert(clerk, mode))
        with Session(ENGINE) as session:
            imported = session.query(Contact).filter_by(email='import@example.org')
            saw('import_' + mode, sqlstate=error and error['sqlstate'],
                blocked=imported.filter_by(status='Blocked').count(),
                reasons=imported.filter_by(blocked_reason='bounced').count(),
                active=imported.filter_by(status='Active').count(),
                renamed=imported.filter_by(name=mode).count())


def soft_delete(clerk, guard):
    dan = create('Dan', clerk)
    dan.deleted_at = func.now()
    error = error_of(lambda: merge(dan, clerk))
    now = read(dan.id)
    saw('soft_delete', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    error = error_of(lambda: create('Born', clerk, id=9999, deleted_at=func.now()))
    saw('born_deleted', error=error, found=int(read(9999) is not None))

    by_another_session('contact_delete', guard, dan.id)
    dan = read(dan.id)
    dan.deleted_at = None
    error = error_of(lambda: merge(dan, clerk))
    now = read(dan.id)
    saw('restore', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    dan.name = 'Dan, kept'
    dan.status = 'Active'
    error = error_of(lambda: merge(dan, clerk), dan.id)
    now = read(dan.id)
    saw('revive', error=error, status=now.status, deleted=int(now.deleted_at is not None))

    merge(dan, clerk, 'keep')
    now = read(dan.id)
    saw('keep_deleted', status=now.status, deleted=int(now.deleted_at is not None), name=now.name)
    saw('block_deleted', error=error_of(lambda: by_another_session('contact_block', guard, dan.id), dan.id))


def version(clerk, guard):
    vera = create('Vera', clerk)
    with acting(guard) as session:
        # every column
        values = {column.name: getattr(vera, column.name) for column in Contact.__table__.columns}
        session.query(Contact).filter_by(id=vera.id).update(values)
    now = read(vera.id)
    saw('idle_save', same=int(now.updated_at == vera.updated_at), updated_by=str(now.updated_by))

    with Session(ENGINE) as session:
        at = call(session, 'contact_document', vera.id)['audit']['updated']['at']
    # Python 3.11 reads the Z
    token = datetime.fromisoformat(at.replace('Z', '+00:00'))
    matched = []
    for name in 'first', 'second':
        with acting(clerk) as session:
            matched.append(session.query(Contact).filter_by(id=vera.id, updated_at=token).update({'name': name}))
    saw('version', same=int(token == vera.updated_at), matched=matched)


# SQLAlchemy's own optimistic locking, with updated_at: two saves in a row by
# one session; another one's object is out of date then, and by a block.
def own_version(clerk, guard):
    vera = create('Vera', clerk)
    saved = 0
    with acting(clerk) as session:
        contact = session.get(VersionedContact, vera.id)
        for name in 'first', 'second':
            contact.name = name
            session.flush()
            saved += 1
    by_another_session('contact_block', guard, vera.id)
    errors = []
    # the first one holds what was read before the block, the second one a token of the document
    with Session(ENGINE) as session:
        document = call(session, 'contact_document', vera.id)
    at = datetime.fromisoformat(document['audit']['updated']['at'].replace('Z', '+00:00'))
    for updated_at in contact.updated_at, at:
        stale = VersionedContact(id=vera.id, updated_at=updated_at)
        make_transient_to_detached(stale)
        try:
            with acting(clerk) as session:
                session.add(stale)
                stale.name = 'late'
            errors.append(None)
        except StaleDataError as error:
            errors.append(type(error).__name__)
    now = read(vera.id)
    saw('own_version', saved=saved, errors=errors, status=now.status, name=now.name)


def transactions(clerk, guard):
    tom = create('Tom', clerk)
    with Session(ENGINE) as session:
        query(session, "SELECT set_config('contact_block.actor', :actor, true)", actor=clerk)
        contact = session.get(Contact, tom.id)
        call(session, 'contact_block', tom.id)
        session.refresh(contact)
        inside = contact.status
        found = session.query(Contact).filter_by(id=tom.id, status='Blocked').count()
        session.rollback()
        saw('transaction', inside=inside, found_by_status=found, after_rollback=contact.status)

    # what was set in a savepoint goes with it, the actor too
    with acting(guard) as session:
        contact = session.get(Contact, tom.id)
        savepoint = session.begin_nested()
        query(session, "SELECT set_config('contact_block.actor', :actor, true)", actor=clerk)
        call(session, 'contact_block', tom.id, 'mistake')
        savepoint.rollback()
        session.refresh(contact)
        rolled_back = contact.status
        call(session, 'contact_block', tom.id)
    now = read(tom.id)
    saw('savepoint', rolled_back=rolled_back, status=now.status, reason=now.blocked_reason, by=str(now.blocked_by))

    sven = create('Sven', clerk)
    by_another_session('contact_block', guard, sven.id)
    other = create('Other', clerk)
    with acting(clerk) as session:
        def work():
            with session.begin_nested():
                sven.name = 'Sven, stale'
                session.merge(sven)
        error = error_of(work)
        call(session, 'contact_block', other.id)
    saw('error_in_savepoint', sqlstate=error['sqlstate'], status=read(other.id).status, name=read(sven.id).name)


def pool(clerk, guard):
    backends, by = set(), []
    paul = create('Paul', clerk)
    for actor in clerk, guard, '':
        def work():
            with acting(actor) as session:
                backends.add(query(session, 'SELECT pg_backend_pid()'))
                session.query(Contact).filter_by(id=paul.id).update({'name': 'by ' + actor})
        error = error_of(work)
        by.append(error or str(read(paul.id).updated_by))
    saw('pool', connections=len(backends), by=by)


def unknown(clerk):
    errors = []
    for id in ['999999', '-1', '007', '1.0', ' 1', '0x1', '9223372036854775808', 'no number']:
        with Session(ENGINE) as session:
            errors.append(error_of(lambda: call(session, 'contact_block', id)))
    saw('unknown', errors=errors)
    with Session(ENGINE) as session:
        error = error_of(lambda: query(session, 'SELECT crm.contact_block(:id)', id=1))
    saw('integer_argument', sqlstate=error['sqlstate'])
    saw('misfit', error=error_of(lambda: create('Ada', 'USR-7')))


if sys.argv[1] == 'create':
    Base.metadata.create_all(ENGINE)
else:
    CLERK, GUARD = sys.argv[2:]
    one_contact(CLERK, GUARD)
    changes_only(CLERK, GUARD)
    imports(CLERK, GUARD)
    soft_delete(CLERK, GUARD)
    version(CLERK, GUARD)
    own_version(CLERK, GUARD)
    transactions(CLERK, GUARD)
    pool(CLERK, GUARD)
    unknown(CLERK)
