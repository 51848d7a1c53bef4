# A dump, restored in full or as data only, keeps every audit value to the
# microsecond, every document byte for byte, and the grants on the functions;
# in a schema whose name needs quoting, and with contacts as a view.  A dump of
# one schema does so if it is told of the extension.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $schema = '"Help Desk"';
my $dir = PostgreSQL::Test::Utils::tempdir;

sub query
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, "SET search_path = $schema;\n$sql");
}

# All columns of every contact, the times with their microseconds, and every document.
sub contacts
{
	my ($database) = @_;
	return query($database,
		'SELECT to_jsonb(c), contact_document(id::text) FROM contacts AS c ORDER BY id');
}

# Who may execute which function, and whether the trigger is there and enabled.
sub rights
{
	my ($database) = @_;
	return query($database, q{
		SELECT proname, pronargs, r.name, has_function_privilege(r.name, p.oid, 'EXECUTE')
		FROM pg_proc AS p, (VALUES ('regress_clerk'), ('public')) AS r(name)
		WHERE proname LIKE 'contact%' ORDER BY 1, 2, 3;
		SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal});
}

$node->safe_psql('postgres', 'CREATE ROLE regress_clerk; CREATE DATABASE source');
$node->safe_psql('source', "CREATE SCHEMA $schema; CREATE EXTENSION contact_block SCHEMA $schema");
query('source', q{
	SELECT contact_block_setup();
	INSERT INTO accounts VALUES ('a1', 'Client', 'Active', 'Account', NULL), ('a2', 'Vendor', 'Enabled', 'Other', 'i');
	INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, current_account_id, created_at, created_by)
	VALUES ('u1', 'u@example.org', 'Active', 'User One', 'User', 'One', '+1', 'a1', clock_timestamp(), 'u1');
	INSERT INTO account_users VALUES ('u1', 'a1'), ('u1', 'a2');
	INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL), ('o', NULL, 'Other', 'i');
	SET contact_block.actor = 'u1';
	INSERT INTO contacts (id, email, status, user_id)
	SELECT i, i || '@example.org', CASE i % 5 WHEN 4 THEN 'New' ELSE 'Active' END, CASE i % 2 WHEN 0 THEN 'u1' END
	FROM generate_series(1, 100) AS i;
	INSERT INTO contact_opt_outs SELECT id, 'n', clock_timestamp() FROM contacts WHERE id LIKE '%7';
	SET contact_block.actor = 'somebody';
	SELECT contact_block(id, 'because ' || id) FROM contacts WHERE id::int % 5 IN (1, 2, 3);
	SELECT contact_unblock(id) FROM contacts WHERE id::int % 5 = 2;
	SELECT contact_delete(id) FROM contacts WHERE id::int % 5 = 3;
	SET session_replication_role = replica;
	UPDATE contacts SET blocked_at = blocked_at + interval '1 microsecond' WHERE id LIKE '%1';
	GRANT EXECUTE ON FUNCTION contact_block(text), contact_document(text) TO regress_clerk;
	GRANT SELECT ON ALL TABLES IN SCHEMA "Help Desk" TO regress_clerk;
	GRANT USAGE ON SCHEMA "Help Desk" TO regress_clerk;
	GRANT UPDATE (status, blocked_reason) ON contacts TO regress_clerk});

my $contacts = contacts('source');
my $rights = rights('source');
is(query('source', q{
		SELECT string_agg(DISTINCT status, ',' ORDER BY status),
			bool_or(blocked_at <> date_trunc('milliseconds', blocked_at))
		FROM contacts}),
	'Active,Blocked,Deleted,New|t', 'there are contacts in every status, older ones with microseconds');

# in full
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/full", 'source' ], 'pg_dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'restored', "$dir/full" ], 'pg_restore');
is(contacts('restored'), $contacts, 'a restored dump has the same contacts and documents');
is(rights('restored'), $rights, 'and the same grants and trigger');

# one schema, as doc/operate.md says it
for my $extension ([], [ '-e', 'contact_block' ])
{
	my $database = @$extension ? 'schema' : 'schema_only';
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok([ 'pg_dump', '-n', $schema, @$extension, '-f', "$dir/$database", 'source' ], "pg_dump -n @$extension");
	my ($out, $err) = run_command([ 'psql', '-X', '-q', '-d', $node->connstr($database), '-f', "$dir/$database" ]);
	if (@$extension)
	{
		is($err, '', 'with -e contact_block it is restored without an error');
		is(contacts($database), $contacts, 'and has the same contacts and documents');
		is(rights($database), $rights, 'and the same grants and trigger');
	}
	else
	{
		like($err, qr/ERROR:  function .*\.contact_audit\(\) does not exist/, 'without it there is an error');
		is( query($database, q{
				UPDATE contacts SET status = 'Active', blocked_by = 'forged' WHERE id = '1';
				SELECT count(*), bool_or(blocked_by = 'forged') FROM contacts;
				SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}),
			"100|t\n0", 'and the contacts are there without their guard');
	}
}

# the data only, into a database that is set up
$node->safe_psql('postgres', 'CREATE DATABASE data');
$node->safe_psql('data', "CREATE SCHEMA $schema; CREATE EXTENSION contact_block SCHEMA $schema");
query('data', 'SELECT contact_block_setup()');
my $trigger = "contacts|zzz_contact_audit|O";
like(rights('data'), qr/\Q$trigger\E/, 'the trigger is enabled before the data is loaded');
$node->command_ok(
	[ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data", 'source' ],
	'pg_dump --data-only --disable-triggers');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'data', '-f', "$dir/data" ],
	'loading it');
is(contacts('data'), $contacts, 'the loaded data has the same contacts and documents');
like(rights('data'), qr/\Q$trigger\E/, 'the trigger is enabled again');

# and life goes on
for my $database ('restored', 'data')
{
	my $role = $database eq 'restored' ? 'SET ROLE regress_clerk;' : '';
	is(query($database, qq{
			$role
			SET contact_block.actor = 'u1';
			SELECT d ->> 'status', d -> 'audit' -> 'blocked' -> 'by' ->> 'name'
			FROM contact_block('5') AS d}),
		'Blocked|User One', "a contact is blocked in $database");
}

# contacts as a view over a table of other names, types and words, the trigger on that table
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(adopted adopted_restored adopted_data);
$node->safe_psql('adopted', "CREATE SCHEMA $schema; CREATE EXTENSION contact_block SCHEMA $schema");
query('adopted', q{
	CREATE SCHEMA app;
	CREATE TYPE app.state AS ENUM ('active', 'blocked', 'deleted');
	CREATE TABLE app."Person" (person_id uuid PRIMARY KEY, mail text NOT NULL, "State" app.state NOT NULL DEFAULT 'active',
		why text, created timestamptz NOT NULL, created_by text, updated_at timestamp NOT NULL, updated_by text,
		activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text, deleted_at timestamptz, deleted_by text) WITH (fillfactor = 40);
	INSERT INTO app."Person" (person_id, mail, created, updated_at)
	VALUES ('00000000-0000-0000-0000-000000000000', 'old@example.org', '1999-12-31 23:59:59.999999Z', '1999-12-31 23:59:59.999999');
	CREATE VIEW contacts AS SELECT person_id AS id, mail AS email, NULL AS name, "State" AS status, why AS blocked_reason, NULL AS user_id,
		created AS created_at, created_by, updated_at, updated_by, activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by
	FROM app."Person";
	SELECT contact_block_setup();
	SET contact_block.actor = 'somebody';
	INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL);
	INSERT INTO contacts (id, email) SELECT ('00000000-0000-0000-0000-0000000000' || i)::uuid, i FROM generate_series(10, 49) AS i;
	INSERT INTO contact_opt_outs SELECT id, 'n', clock_timestamp() FROM contacts;
	SELECT contact_block(id::text, 'because ' || email) FROM contacts WHERE email <> '30';
	SELECT contact_unblock(id::text) FROM contacts WHERE email > '30';
	SELECT contact_delete(id::text) FROM contacts WHERE email > '40';
	GRANT EXECUTE ON FUNCTION contact_block(text), contact_document(text) TO regress_clerk;
	GRANT USAGE ON SCHEMA "Help Desk" TO regress_clerk;
	GRANT SELECT ON ALL TABLES IN SCHEMA "Help Desk" TO regress_clerk;
	GRANT UPDATE (status, blocked_reason) ON contacts TO regress_clerk});
$contacts = contacts('adopted');
$rights = rights('adopted');
is(query('adopted', q{SELECT string_agg(DISTINCT status::text, ',' ORDER BY status::text) FROM contacts}),
	'active,blocked,deleted', 'there are contacts in every status');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/adopted", 'adopted' ], 'pg_dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'adopted_restored', "$dir/adopted" ], 'pg_restore');
is(contacts('adopted_restored'), $contacts, 'a restored dump has the same contacts and documents');
is(rights('adopted_restored'), $rights, 'and the same grants and trigger');

$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--schema-only', '-d', 'adopted_data', "$dir/adopted" ],
	'the definitions only');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--data-only', '--disable-triggers', '-d', 'adopted_data', "$dir/adopted" ],
	'then the data only');
is(contacts('adopted_data'), $contacts, 'they have the same contacts and documents');
is(rights('adopted_data'), $rights, 'and the same grants and trigger');

for my $database ('adopted_restored', 'adopted_data')
{
	is(query($database, q{
			SELECT contact_block_setup();
			SET ROLE regress_clerk;
			SET contact_block.actor = 'u1';
			SELECT d ->> 'status', d -> 'audit' -> 'blocked' -> 'by' ->> 'id'
			FROM contact_block('00000000-0000-0000-0000-000000000030') AS d}),
		"\nBlocked|u1", "a contact is blocked in $database");
}

done_testing();
