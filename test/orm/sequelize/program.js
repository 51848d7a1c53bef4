// A program on Sequelize, with node-postgres: a table of another schema with
// names of its own, soft deletes ("paranoid"); the view crm.contacts is over it.
// test/perl/Orm.pm says how it is called and what it prints.
'use strict';
const { Sequelize, DataTypes, QueryTypes } = require('sequelize');

function connect() {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  return new Sequelize(PGDATABASE, PGUSER, '', {
    dialect: 'postgres', host: PGHOST, port: Number(PGPORT), logging: false, pool: { max: 1 },
  });
}

const mine = connect();
const other = connect(); // another session

const Person = mine.define('person', {
  id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true, field: 'person_id' },
  email: { type: DataTypes.STRING, allowNull: false, field: 'mail' },
  name: { type: DataTypes.STRING, field: 'full_name' },
  status: { type: DataTypes.STRING(20), allowNull: false, defaultValue: 'active', field: 'state' },
  reason: { type: DataTypes.STRING, field: 'suspendedFor' },
  userId: { type: DataTypes.INTEGER, field: 'owner' },
  createdBy: DataTypes.TEXT,
  updatedBy: DataTypes.TEXT,
  activatedAt: DataTypes.DATE,
  activatedBy: DataTypes.TEXT,
  blockedAt: { type: DataTypes.DATE, field: 'suspendedAt' },
  blockedBy: { type: DataTypes.TEXT, field: 'suspendedBy' },
  deletedBy: DataTypes.TEXT,
}, { schema: 'app', tableName: 'people', timestamps: true, paranoid: true });
const EVERYTHING = Object.keys(Person.rawAttributes);

async function createTable() {
  await mine.createSchema('app');
  await mine.sync();
  await mine.query(`
    CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON app.people FOR EACH ROW
      EXECUTE FUNCTION crm.contact_audit('id=person_id', 'status=state', 'blocked_reason=suspendedFor',
        'created_at=createdAt', 'created_by=createdBy', 'updated_at=updatedAt', 'updated_by=updatedBy',
        'activated_at=activatedAt', 'activated_by=activatedBy', 'blocked_at=suspendedAt', 'blocked_by=suspendedBy',
        'deleted_at=deletedAt', 'deleted_by=deletedBy', 'Active=active', 'Blocked=suspended', 'Deleted=gone');
    CREATE VIEW crm.contacts AS SELECT person_id AS id, mail AS email, full_name AS name, state AS status,
        "suspendedFor" AS blocked_reason, owner AS user_id, "createdAt" AS created_at, "createdBy" AS created_by,
        "updatedAt" AS updated_at, "updatedBy" AS updated_by, "activatedAt" AS activated_at,
        "activatedBy" AS activated_by, "suspendedAt" AS blocked_at, "suspendedBy" AS blocked_by,
        "deletedAt" AS deleted_at, "deletedBy" AS deleted_by
      FROM app.people`);
}

function saw(fact, what) {
  console.log(JSON.stringify({ [fact]: what }));
}

async function query(sequelize, transaction, sql, ...bind) {
  const [row] = await sequelize.query(sql, { bind, transaction, type: QueryTypes.SELECT });
  return Object.values(row)[0];
}

function call(sequelize, transaction, name, ...values) {
  return query(sequelize, transaction, `SELECT crm.${name}(${values.map((_, i) => `$${i + 1}`)})`, ...values);
}

function acting(who, plainUnblock, work, sequelize = mine) {
  return sequelize.transaction(async (transaction) => {
    await query(sequelize, transaction, "SELECT set_config('contact_block.actor', $1, true)", who);
    if (plainUnblock) {
      await query(sequelize, transaction, "SELECT set_config('contact_block.plain_unblock', $1, true)", plainUnblock);
    }
    return work(transaction);
  });
}

async function errorOf(work, id) {
  try {
    await work();
    return null;
  } catch (error) {
    const { code, detail, hint, message } = error.original;
    return {
      class: error.name, sqlstate: code, message,
      detail: detail === undefined ? null : detail.replace(`"${id}"`, '"ID"'), hint: hint === undefined ? null : hint,
    };
  }
}

// the deleted ones, too
const read = (id, transaction) => Person.findByPk(id, { paranoid: false, transaction });

async function create(name, clerk, values) {
  const person = await acting(clerk, null, (transaction) => Person.create(
    { email: `${name.toLowerCase()}@example.org`, name, ...values }, { transaction }));
  return read(person.id);
}

const save = (person, who, plainUnblock, options = { fields: EVERYTHING }) => acting(
  who, plainUnblock, (transaction) => person.save({ ...options, transaction }));

const byAnotherSession = (name, guard, ...values) => acting(
  guard, null, (transaction) => call(other, transaction, name, ...values), other);

async function oneContact(clerk, guard) {
  const ada = await create('Ada', clerk);
  const document = await call(mine, null, 'contact_document', ada.id);
  saw('create', {
    status: ada.status, email: ada.email, created_by: ada.createdBy, activated_by: ada.activatedBy,
    document: document.status, by: document.audit.created.by.name,
  });

  await byAnotherSession('contact_block', guard, ada.id, 'fraud');
  ada.name = 'Ada, stale';
  const error = await errorOf(() => save(ada, clerk), ada.id);
  let now = await read(ada.id);
  saw('stale_save', { error, status: now.status, reason: now.reason, name: now.name });

  ada.name = 'Ada, kept';
  await save(ada, clerk, 'keep');
  now = await read(ada.id);
  saw('keep_save', {
    status: now.status, reason: now.reason, name: now.name, updated_by: now.updatedBy, blocked_by: now.blockedBy,
  });

  ada.name = 'Ada, allowed';
  await save(ada, clerk, 'allow');
  now = await read(ada.id);
  saw('allow_save', { status: now.status, reason: now.reason, name: now.name, activated_by: now.activatedBy });

  // Sequelize's default: what the program has changed
  await byAnotherSession('contact_block', guard, ada.id, 'fraud');
  now.name = 'Ada, in part';
  await save(now, clerk, null, {});
  now = await read(ada.id);
  saw('changes_only', { status: now.status, reason: now.reason, name: now.name });
}

async function imports(clerk, guard) {
  const ids = Array.from({ length: 1000 }, (_, i) => 10001 + i);
  const upsert = (mode, name) => acting(clerk, mode, (transaction) => Person.bulkCreate(
    ids.map((id) => ({ id, email: 'import@example.org', name, status: 'active' })),
    { updateOnDuplicate: ['name', 'status'], transaction }));

  await upsert('error', 'old');
  for (let i = 0; i < 1000; i += 100) {
    await byAnotherSession('contact_block', guard, ids[i], 'bounced');
  }
  for (const mode of ['error', 'keep', 'allow']) {
    const error = await errorOf(() => upsert(mode, mode));
    const count = (where) => Person.count({ where: { email: 'import@example.org', ...where } });
    saw(`import_${mode}`, {
      sqlstate: error && error.sqlstate, blocked: await count({ status: 'suspended' }),
      reasons: await count({ reason: 'bounced' }), active: await count({ status: 'active' }),
      renamed: await count({ name: mode }),
    });
  }
}

async function deletion(id) {
  const now = await read(id);
  return { status: now.status, deleted: now.deletedAt ? 1 : 0 };
}

async function softDelete(clerk, guard) {
  let dan = await create('Dan', clerk);
  let error = await errorOf(() => acting(clerk, null, (transaction) => dan.destroy({ transaction })));
  saw('soft_delete', { error, ...await deletion(dan.id) });

  error = await errorOf(() => create('Born', clerk, { id: 9999, deletedAt: new Date() }));
  saw('born_deleted', { error, found: await read(9999) ? 1 : 0 });

  await byAnotherSession('contact_delete', guard, dan.id);
  // as one that Sequelize has deleted
  saw('hidden', { found: await Person.findByPk(dan.id) ? 1 : 0 });
  dan = await read(dan.id);
  error = await errorOf(() => acting(clerk, null, (transaction) => dan.restore({ transaction })));
  saw('restore', { error, ...await deletion(dan.id) });

  dan = await read(dan.id);
  Object.assign(dan, { name: 'Dan, kept', status: 'active', deletedAt: null });
  error = await errorOf(() => save(dan, clerk), dan.id);
  saw('revive', { error, ...await deletion(dan.id) });

  await save(dan, clerk, 'keep');
  saw('keep_deleted', { ...await deletion(dan.id), name: (await read(dan.id)).name });
  error = await errorOf(() => call(mine, null, 'contact_block', dan.id), dan.id);
  saw('block_deleted', { error });
}

async function version(clerk, guard) {
  const vera = await create('Vera', clerk);
  // all values, as from a form
  await acting(guard, null, (transaction) => Person.update(vera.get(), { where: { id: vera.id }, transaction }));
  const now = await read(vera.id);
  saw('idle_save', { same: now.updatedAt.getTime() === vera.updatedAt.getTime() ? 1 : 0, updated_by: now.updatedBy });

  const token = new Date((await call(mine, null, 'contact_document', vera.id)).audit.updated.at);
  const matched = [];
  for (const name of ['first', 'second']) {
    const [count] = await acting(clerk, null, (transaction) => Person.update(
      { name }, { where: { id: vera.id, updatedAt: token }, transaction }));
    matched.push(count);
  }
  saw('version', { same: now.updatedAt.getTime() === token.getTime() ? 1 : 0, matched });
}

async function transactions(clerk, guard) {
  const tom = await create('Tom', clerk);
  let inside;
  let found;
  await acting(clerk, null, async (transaction) => {
    await call(mine, transaction, 'contact_block', tom.id);
    inside = (await read(tom.id, transaction)).status;
    found = await Person.count({ where: { id: tom.id, status: 'suspended' }, transaction });
    throw new Error('no');
  }).catch((error) => { if (error.message !== 'no') throw error; });
  saw('transaction', { inside, found_by_status: found, after_rollback: (await read(tom.id)).status });

  // what was set in a savepoint goes with it, the actor too
  let rolledBack;
  await acting(guard, null, async (transaction) => {
    await mine.transaction({ transaction }, async (savepoint) => {
      await query(mine, savepoint, "SELECT set_config('contact_block.actor', $1, true)", clerk);
      await call(mine, savepoint, 'contact_block', tom.id, 'mistake');
      throw new Error('no');
    }).catch((error) => { if (error.message !== 'no') throw error; });
    rolledBack = (await read(tom.id, transaction)).status;
    await call(mine, transaction, 'contact_block', tom.id);
  });
  const now = await read(tom.id);
  saw('savepoint', { rolled_back: rolledBack, status: now.status, reason: now.reason, by: now.blockedBy });

  const sven = await create('Sven', clerk);
  await byAnotherSession('contact_block', guard, sven.id);
  const last = await create('Other', clerk);
  let error;
  await acting(clerk, null, async (transaction) => {
    error = await errorOf(() => mine.transaction({ transaction }, (savepoint) => {
      sven.name = 'Sven, stale';
      return sven.save({ fields: EVERYTHING, transaction: savepoint });
    }));
    await call(mine, transaction, 'contact_block', last.id);
  });
  saw('error_in_savepoint', {
    sqlstate: error.sqlstate, status: (await read(last.id)).status, name: (await read(sven.id)).name,
  });
}

async function pool(clerk, guard) {
  const backends = new Set();
  const by = [];
  const paul = await create('Paul', clerk);
  for (const who of [clerk, guard, '']) {
    await acting(who, null, async (transaction) => {
      backends.add(await query(mine, transaction, 'SELECT pg_backend_pid()'));
      await Person.update({ name: `by ${who}` }, { where: { id: paul.id }, transaction });
    });
    by.push((await read(paul.id)).updatedBy);
  }
  saw('pool', { connections: backends.size, by });
}

async function unknown() {
  const errors = [];
  for (const id of ['999999', '-0', '1e3', '1.0', '2147483648', 'no number']) {
    errors.push(await errorOf(() => call(mine, null, 'contact_block', id)));
  }
  saw('unknown', { errors });
}

async function main([what, clerk, guard]) {
  if (what === 'create') {
    await createTable();
  } else {
    await oneContact(clerk, guard);
    await imports(clerk, guard);
    await softDelete(clerk, guard);
    await version(clerk, guard);
    await transactions(clerk, guard);
    await pool(clerk, guard);
    await unknown();
  }
  await mine.close();
  await other.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.stack, error.original && error.original.message);
  process.exit(1);
});
