# A dump, restored in full or as data only, keeps every audit value to the
# microsecond, every document byte for byte, and the grants on the functions;
# in a schema whose name needs quoting.

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
		'SELECT to_jsonb(c), contact_document(id) FROM contacts AS c ORDER BY id');
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

done_testing();
