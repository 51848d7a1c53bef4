# A program on Active Record, with ruby-pg: a lower-case enum for the status,
# varchar ids, and the timestamps of Rails: without time zone, NOT NULL.
# test/perl/Orm.pm says how it is called and what it prints.

require 'active_record'
require 'json'
require 'securerandom'
require 'time'

DATABASE = {
  adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], database: ENV['PGDATABASE'],
  username: ENV['PGUSER'], schema_search_path: 'crm', pool: 1
}.freeze
ActiveRecord::Base.establish_connection(DATABASE)

# another session, whose times are not in UTC as those of Rails
class Other < ActiveRecord::Base
  self.abstract_class = true
  establish_connection(DATABASE.merge(variables: { timezone: 'Asia/Kolkata' }))
end

class Contact < ActiveRecord::Base
  enum status: { active: 'active', blocked: 'blocked', deleted: 'deleted' }
  # every column is written; Rails' default is what the program has changed
  self.partial_writes = false
  before_create { self.id ||= SecureRandom.alphanumeric(12) }
end

class PartialContact < ActiveRecord::Base
  self.table_name = 'contacts'
  self.partial_writes = true
end

def create_table
  connection = ActiveRecord::Base.connection
  connection.execute("CREATE TYPE contact_status AS ENUM ('active', 'blocked', 'deleted')")
  connection.create_table(:contacts, id: :string) do |t|
    t.string :email, null: false
    t.string :name
    t.column :status, :contact_status, null: false, default: 'active'
    t.string :blocked_reason
    t.string :user_id
    t.timestamps
    %i[activated_at blocked_at deleted_at].each { |name| t.datetime name, precision: 3 }
    %i[created_by updated_by activated_by blocked_by deleted_by].each { |name| t.string name }
  end
  connection.execute(<<~SQL)
    CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW
      EXECUTE FUNCTION contact_audit('Active=active', 'Blocked=blocked', 'Deleted=deleted')
  SQL
end

def saw(fact, what)
  puts JSON.generate(fact => what)
  $stdout.flush
end

def query(sql, *values, of: Contact)
  of.connection.uncached { of.connection.select_value(of.sanitize_sql([sql, *values])) }
end

def call(function, *values, of: Contact)
  JSON.parse(query("SELECT #{function}(#{(['?'] * values.size).join(', ')})", *values, of: of))
end

def acting(actor, plain_unblock = nil, of: Contact)
  of.transaction do
    query("SELECT set_config('contact_block.actor', ?, true)", actor, of: of)
    query("SELECT set_config('contact_block.plain_unblock', ?, true)", plain_unblock, of: of) if plain_unblock
    yield
  end
end

def error_of(id = nil)
  yield
  nil
rescue ActiveRecord::StatementInvalid => e
  field = ->(code) { e.cause.result.error_field(code) }
  detail = field.(PG::Result::PG_DIAG_MESSAGE_DETAIL)
  { class: e.class.name, sqlstate: field.(PG::Result::PG_DIAG_SQLSTATE),
    message: field.(PG::Result::PG_DIAG_MESSAGE_PRIMARY), hint: field.(PG::Result::PG_DIAG_MESSAGE_HINT),
    detail: id && detail ? detail.sub(id, 'ID') : detail }
end

def create(name, actor, values = {})
  acting(actor) { Contact.create!(email: "#{name.downcase}@example.org", name: name, **values) }.reload
end

def save(contact, actor, plain_unblock = nil)
  acting(actor, plain_unblock) { contact.save! }
end

def by_another_session(function, guard, *values)
  acting(guard, of: Other) { call(function, *values, of: Other) }
end

def one_contact(clerk, guard)
  ada = create('Ada', clerk)
  document = call('contact_document', ada.id)
  saw('create', status: ada.status, email: ada.email, created_by: ada.created_by, activated_by: ada.activated_by,
                document: document['status'], by: document['audit']['created']['by']['name'])

  document = by_another_session('contact_block', guard, ada.id, 'fraud')
  blocked_at = Contact.find(ada.id).blocked_at
  saw('time', same: blocked_at == Time.iso8601(document['audit']['blocked']['at']) ? 1 : 0,
              now: (Time.now - blocked_at).abs < 600 ? 1 : 0)
  ada.name = 'Ada, stale'
  error = error_of(ada.id) { save(ada, clerk) }
  now = Contact.find(ada.id)
  saw('stale_save', error: error, status: now.status, reason: now.blocked_reason, name: now.name)

  ada.name = 'Ada, kept'
  save(ada, clerk, 'keep')
  now = Contact.find(ada.id)
  saw('keep_save', status: now.status, reason: now.blocked_reason, name: now.name,
                   updated_by: now.updated_by, blocked_by: now.blocked_by)

  ada.name = 'Ada, allowed'
  save(ada, clerk, 'allow')
  now = Contact.find(ada.id)
  saw('allow_save', status: now.status, reason: now.blocked_reason, name: now.name, activated_by: now.activated_by)

  partial = PartialContact.find(ada.id)
  by_another_session('contact_block', guard, ada.id, 'fraud')
  partial.name = 'Ada, in part'
  save(partial, clerk)
  now = Contact.find(ada.id)
  saw('changes_only', status: now.status, reason: now.blocked_reason, name: now.name)
end

# A request of Rails reads the same thing from the database once.
def query_cache(clerk)
  carl = create('Carl', clerk)
  seen = Contact.cache do
    Contact.find(carl.id)
    Contact.connection.select_value(Contact.sanitize_sql(['SELECT contact_block(?)', carl.id]))
    cached = Contact.find(carl.id).status
    Contact.connection.clear_query_cache
    [cached, Contact.find(carl.id).status]
  end
  saw('query_cache', status: seen)
end

def imports(clerk, guard)
  ids = (1..1000).map { |i| "import-#{i}" }
  upsert = lambda do |mode, name|
    rows = ids.map { |id| { id: id, email: 'import@example.org', name: name, status: 'active', deleted_at: nil } }
    acting(clerk, mode) { Contact.upsert_all(rows) }
  end
  upsert.('error', 'old')
  ids.each_slice(100) { |slice| by_another_session('contact_block', guard, slice.first, 'bounced') }
  %w[error keep allow].each do |mode|
    error = error_of { upsert.(mode, mode) }
    imported = Contact.where(email: 'import@example.org')
    saw("import_#{mode}", sqlstate: error && error[:sqlstate], blocked: imported.blocked.count,
                          reasons: imported.where(blocked_reason: 'bounced').count,
                          active: imported.active.count, renamed: imported.where(name: mode).count)
  end
end

def deletion(contact)
  now = Contact.find(contact.id)
  { status: now.status, deleted: now.deleted_at ? 1 : 0 }
end

def soft_delete(clerk, guard)
  dan = create('Dan', clerk)
  error = error_of { acting(clerk) { dan.update_columns(deleted_at: Time.now) } }
  saw('soft_delete', error: error, **deletion(dan))

  error = error_of { create('Born', clerk, id: 'born', deleted_at: Time.now) }
  saw('born_deleted', error: error, found: Contact.where(id: 'born').count)

  by_another_session('contact_delete', guard, dan.id)
  error = error_of { acting(clerk) { Contact.find(dan.id).update_columns(deleted_at: nil) } }
  saw('restore', error: error, **deletion(dan))

  dan = Contact.find(dan.id)
  dan.assign_attributes(name: 'Dan, kept', status: 'active', deleted_at: nil)
  error = error_of(dan.id) { save(dan, clerk) }
  saw('revive', error: error, **deletion(dan))

  save(dan, clerk, 'keep')
  saw('keep_deleted', **deletion(dan), name: Contact.find(dan.id).name)
  saw('block_deleted', error: error_of(dan.id) { call('contact_block', dan.id) })
end

def version(clerk, guard)
  vera = create('Vera', clerk)
  save(Contact.find(vera.id), guard)
  now = Contact.find(vera.id)
  saw('idle_save', same: now.updated_at == vera.updated_at ? 1 : 0, updated_by: now.updated_by)

  token = Time.iso8601(call('contact_document', vera.id)['audit']['updated']['at'])
  matched = %w[first second].map do |name|
    acting(clerk) { Contact.where(id: vera.id, updated_at: token).update_all(name: name) }
  end
  saw('version', same: token == vera.updated_at ? 1 : 0, matched: matched)
end

def transactions(clerk, guard)
  tom = create('Tom', clerk)
  inside = found = nil
  acting(clerk) do
    call('contact_block', tom.id)
    inside = tom.reload.status
    found = Contact.blocked.where(id: tom.id).count
    raise ActiveRecord::Rollback
  end
  saw('transaction', inside: inside, found_by_status: found, after_rollback: tom.reload.status)

  # what was set in a savepoint goes with it, the actor too
  rolled_back = nil
  acting(guard) do
    Contact.transaction(requires_new: true) do
      query("SELECT set_config('contact_block.actor', ?, true)", clerk)
      call('contact_block', tom.id, 'mistake')
      raise ActiveRecord::Rollback
    end
    rolled_back = tom.reload.status
    call('contact_block', tom.id)
  end
  tom.reload
  saw('savepoint', rolled_back: rolled_back, status: tom.status, reason: tom.blocked_reason, by: tom.blocked_by)

  sven = create('Sven', clerk)
  by_another_session('contact_block', guard, sven.id)
  other = create('Other', clerk)
  error = nil
  acting(clerk) do
    error = error_of { Contact.transaction(requires_new: true) { sven.update!(name: 'Sven, stale') } }
    call('contact_block', other.id)
  end
  saw('error_in_savepoint', sqlstate: error[:sqlstate], status: other.reload.status, name: sven.reload.name)
end

def pool(clerk, guard)
  backends = []
  paul = create('Paul', clerk)
  by = [clerk, guard, ''].map do |actor|
    acting(actor) do
      backends << query('SELECT pg_backend_pid()')
      Contact.where(id: paul.id).update_all(name: "by #{actor}")
    end
    ActiveRecord::Base.clear_active_connections!
    paul.reload.updated_by
  end
  saw('pool', connections: backends.uniq.size, by: by)
end

def unknown
  ids = ['nobody', "'; DROP TABLE contacts; --", 'x' * 1000]
  saw('unknown', errors: ids.map { |id| error_of { call('contact_block', id) } })
end

if ARGV[0] == 'create'
  create_table
else
  clerk, guard = ARGV[1..]
  one_contact(clerk, guard)
  query_cache(clerk)
  imports(clerk, guard)
  soft_delete(clerk, guard)
  version(clerk, guard)
  transactions(clerk, guard)
  pool(clerk, guard)
  unknown
end
