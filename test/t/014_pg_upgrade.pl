# pg_upgrade from an older PostgreSQL keeps every document byte for byte, every
# row to the microsecond, rights, settings, trigger and the extension itself;
# and life goes on.  As with PostgreSQL's own test, the environment variable
# oldinstall names the older installation (the folder above its bin), which has
# to have the extension, too.

use strict;
use warnings FATAL => 'all';

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'oldinstall does not name an older PostgreSQL'
  unless $ENV{oldinstall};

my $old = PostgreSQL::Test::Cluster->new('old',
	install_path => Cwd::abs_path($ENV{oldinstall}));
my $new = PostgreSQL::Test::Cluster->new('new');
my $database = 'help desk';

# 18 turns the checksums on by itself; here they have to be the same
$_->init(extra => [ '--data-checksums', '--no-locale', '--encoding=UTF8' ])
  foreach $old, $new;
$old->start;
note 'from ' . $old->pg_version . ' to ' . $new->pg_version;

sub query
{
	my ($node, $sql) = @_;
	return $node->safe_psql($database, "SET search_path = crm;\n$sql");
}

# Everything that has to be the same afterwards, by what it is.
my %state = (
	'documents' => q{SELECT contact_document(id) FROM contacts ORDER BY id},
	'rows' => q{SELECT to_jsonb(c) FROM contacts AS c ORDER BY id;
		SELECT to_jsonb(u) FROM users AS u;
		SELECT to_jsonb(o) FROM contact_opt_outs AS o ORDER BY contact_id, category_id},
	'events' => q{SELECT * FROM contact_events ORDER BY txid, seq},
	'rights' => q{
		SELECT p.oid::regprocedure, rolname, has_function_privilege(r.oid, p.oid, 'EXECUTE')
		FROM pg_proc AS p, pg_roles AS r
		WHERE proname LIKE 'contact%' AND rolname LIKE 'regress%' ORDER BY p.oid::regprocedure::text, 2;
		SELECT attrelid::regclass, attname, has_column_privilege('regress_clerk', attrelid, attnum, 'SELECT'),
			has_column_privilege('regress_clerk', attrelid, attnum, 'UPDATE')
		FROM pg_attribute WHERE attrelid::regclass::text IN ('contacts', 'users') AND attnum > 0 ORDER BY 1, attnum;
		SELECT has_parameter_privilege('regress_clerk', 'contact_block.actor_claim', 'SET'),
			has_parameter_privilege('regress_other', 'contact_block.actor_claim', 'SET')},
	'settings' => q{
		SELECT datname, rolname, setconfig FROM pg_db_role_setting
			LEFT JOIN pg_database AS d ON d.oid = setdatabase LEFT JOIN pg_roles AS r ON r.oid = setrole
		ORDER BY 1, 2;
		SHOW contact_block.trust_actor},
	'trigger' => q{
		SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal},
	'tables' => q{
		SELECT relname, relkind, reloptions, pg_get_userbyid(relowner) FROM pg_class
		WHERE relnamespace = 'crm'::regnamespace ORDER BY relname;
		SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
		WHERE connamespace = 'crm'::regnamespace AND contype IN ('c', 'f', 'p') ORDER BY 1, 2},
	'extension' => q{
		SELECT extname, extversion, extnamespace::regnamespace FROM pg_extension WHERE extname = 'contact_block';
		SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'contact_block') ORDER BY 1});

$old->safe_psql('postgres', qq{
	CREATE ROLE regress_clerk;
	CREATE ROLE regress_other;
	CREATE DATABASE "$database"});
query($old, qq{
	CREATE SCHEMA crm;
	CREATE EXTENSION contact_block SCHEMA crm;
	SELECT contact_block_setup();
	SELECT contact_history_setup();
	INSERT INTO accounts VALUES ('a1', 'Client', 'Active', 'Account', NULL);
	INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, current_account_id, created_at, created_by)
	VALUES ('u1', 'u\@example.org', 'Active', 'User One', 'User', 'One', '+1', 'a1', '2024-02-29 23:59:59.999999Z', 'u1');
	INSERT INTO account_users VALUES ('u1', 'a1');
	INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL), ('o', NULL, 'Other', 'i');
	SET contact_block.actor = 'u1';
	INSERT INTO contacts (id, email, status, user_id)
	SELECT i, i || '\@example.org', CASE i % 5 WHEN 4 THEN 'New' ELSE 'Active' END, CASE i % 2 WHEN 0 THEN 'u1' END
	FROM generate_series(1, 100) AS i;
	INSERT INTO contact_opt_outs SELECT id, 'n', '1999-12-31 23:59:59.999999Z' FROM contacts WHERE id LIKE '%7';
	SET contact_block.actor = 'somebody';
	SELECT contact_block(id, 'because ' || id) FROM contacts WHERE id::int % 5 IN (1, 2, 3);
	SELECT contact_unblock(id) FROM contacts WHERE id::int % 5 = 2;
	SELECT contact_delete(id) FROM contacts WHERE id::int % 5 = 3;
	SET session_replication_role = replica;
	UPDATE contacts SET created_at = created_at + '1 us' WHERE id::int % 2 = 0;
	RESET session_replication_role;
	GRANT EXECUTE ON FUNCTION contact_block(text), contact_document(text) TO regress_clerk;
	GRANT USAGE ON SCHEMA crm TO regress_clerk;
	GRANT SELECT ON contacts, categories, contact_opt_outs TO regress_clerk;
	GRANT SELECT (id, name) ON users TO regress_clerk;
	GRANT UPDATE (status, blocked_reason) ON contacts TO regress_clerk;
	GRANT SET ON PARAMETER contact_block.actor_claim TO regress_clerk;
	ALTER DATABASE "$database" SET contact_block.trust_actor = off;
	ALTER ROLE regress_clerk SET contact_block.actor = 'clerk';
	ALTER ROLE regress_clerk IN DATABASE "$database" SET contact_block.actor_claim = 'email'});

is(query($old, q{
		SELECT string_agg(DISTINCT status, ',' ORDER BY status),
			bool_or(created_at <> date_trunc('milliseconds', created_at))
		FROM contacts}),
	'Active,Blocked,Deleted,New|t', 'there are contacts in every status, with microseconds');
my %before = map { $_ => query($old, $state{$_}) } sort keys %state;
$old->stop;

# it leaves files where it is called
chdir $PostgreSQL::Test::Utils::tmp_check or die $!;
command_ok(
	[
		'pg_upgrade', '-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');
$new->start;
is(query($new, $state{$_}), $before{$_}, "the same $_") foreach sort keys %state;

is(query($new, q{
		SET ROLE regress_clerk;
		SELECT d ->> 'status', d -> 'audit' -> 'blocked' -> 'by' ->> 'id' = session_user
		FROM contact_block('5') AS d}),
	'Blocked|t', 'a contact is blocked');
is(query($new, q{
		SELECT old_status, status, txid > max(txid) FILTER (WHERE contact_id <> '5') OVER (), seq > max(seq) FILTER (WHERE contact_id <> '5') OVER ()
		FROM contact_events ORDER BY at DESC LIMIT 1}),
	'Active|Blocked|t|t', 'its event follows the others');
my ($status, undef, $stderr) = $new->psql($database,
	q{\set VERBOSITY verbose
	UPDATE crm.contacts SET status = 'Active' WHERE id = '3'});
like($stderr, qr/PT409/, 'and a deleted one stays deleted');

done_testing();
