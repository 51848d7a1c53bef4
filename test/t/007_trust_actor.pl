# contact_block.trust_actor = off cannot be got rid of: not from the connection
# string, which hides the administrator's value until the library is loaded, not
# by any SET, and not by a setting that is kept for the next session.  Nor can
# another claim be named by these SETs.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $denied = qr/permission denied to set parameter "contact_block\.(?:trust_actor|actor_claim)"/;

# in trusting nobody has said anything; postgres and joe's own database are not
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	CREATE ROLE other;
	CREATE ROLE joe LOGIN CREATEROLE IN ROLE other;
	SET SESSION AUTHORIZATION joe;
	CREATE ROLE joes;
	RESET SESSION AUTHORIZATION;
	GRANT INSERT, SELECT ON contacts TO joe, other;
	CREATE FUNCTION joes() RETURNS text LANGUAGE sql AS 'SELECT 1';
	ALTER FUNCTION joes() OWNER TO joe;
	CREATE FUNCTION definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS
		'INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), $$d@example.org$$) RETURNING created_by';
	CREATE DATABASE trusting TEMPLATE postgres;
	CREATE DATABASE joes TEMPLATE postgres OWNER joe;
	ALTER DATABASE postgres SET contact_block.trust_actor = off;
	ALTER DATABASE joes SET contact_block.trust_actor = off;
	ALTER DATABASE joes SET contact_block.actor_claim = 'email'});

my $write = q{INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), 'c@example.org') RETURNING created_by;};

# What joe's session prints, and its messages.
sub session
{
	my ($database, $sql, $options) = @_;
	local $ENV{PGOPTIONS} = $options // '';
	my ($rc, $stdout, $stderr) = $node->psql($database, $sql, extra_params => [ '-U', 'joe' ]);
	return ($stdout, $stderr);
}

# Who is recorded when joe says that he is somebody else.
sub recorded
{
	my ($database, $options) = @_;
	return (session($database, qq{
			SET client_min_messages = error;
			SET contact_block.actor = 'forged';
			$write}, $options))[0];
}

is(recorded('postgres', ''), 'joe', 'off: the login');
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'joe', 'off, and on asked for: the login');
is(recorded('postgres', '-c contact_block.trust_actor=off'), 'joe', 'off, and off asked for: the login');
is(recorded('postgres', '--contact-block.Trust-Actor='), 'joe', 'off, and nothing asked for: the login');
is(recorded('trusting', ''), 'forged', 'on: the setting');
is(recorded('trusting', '-c contact_block.trust_actor=on'), 'joe', 'on, and asked for: the login');

# Before the library is loaded everything can be said, and does not count then:
# whichever way it is said, and whatever is rolled back or reset afterwards.
foreach my $sql (
	"SET contact_block.trust_actor = on; $write",
	"SELECT set_config('contact_block.trust_actor', 'on', false) IS NULL; $write",
	"BEGIN; SET LOCAL contact_block.trust_actor = on; $write COMMIT; $write",
	"BEGIN; SET contact_block.trust_actor = on; SAVEPOINT s; SET LOCAL contact_block.trust_actor = off; $write ROLLBACK TO s; $write COMMIT; $write",
	"BEGIN; SAVEPOINT s; SET contact_block.trust_actor = on; $write ROLLBACK TO s; $write ROLLBACK; $write",
	"BEGIN; SET contact_block.trust_actor = on; ROLLBACK; $write",
	"SET contact_block.trust_actor = on; $write RESET ALL; SET contact_block.actor = 'forged'; $write",
	"SET contact_block.trust_actor = on; $write DISCARD ALL; SET contact_block.actor = 'forged'; $write",
	"$write RESET ALL; SET contact_block.actor = 'forged'; $write",
	'SET contact_block.trust_actor = on; SELECT definer()',
	"SET ROLE other; $write",
	qq{RESET contact_block.actor; SET request.jwt.claims = '{"sub": "forged"}'; $write},
	"RESET contact_block.actor; SET request.jwt.claims = '[]'; $write")
{
	foreach my $options ('', '-c contact_block.trust_actor=on')
	{
		my ($stdout) = session('postgres', "SET contact_block.actor = 'forged'; $sql", $options);
		like($stdout, qr/\A(?:f\n)?joe(?:\njoe)*\z/, "off: $options $sql");
	}
}
my $claims = q{SET request.jwt.claims = '{"sub": "forged", "email": "right"}';};
$node->safe_psql('trusting', q{ALTER DATABASE trusting SET contact_block.actor_claim = 'email'});
foreach my $sql (
	"SET contact_block.actor_claim = 'sub'; $write",
	"BEGIN; SET LOCAL contact_block.actor_claim = 'sub'; $write COMMIT;")
{
	my ($stdout, $stderr) = session('trusting', "$claims $sql");
	is($stdout, 'right', "the administrator's claim: $sql");
	like($stderr, $denied, 'with a warning');
}
$node->safe_psql('trusting', q{ALTER DATABASE trusting RESET contact_block.actor_claim});

# Kept settings are refused as such, in a session that knows them and in one
# that does not, also to the owner of the database and of the function.
foreach my $sql (
	'ALTER ROLE joe SET contact_block.trust_actor = on',
	'ALTER ROLE joe SET contact_block.actor_claim = sub',
	'ALTER ROLE joes SET contact_block.trust_actor = on',
	'ALTER ROLE joe IN DATABASE joes SET contact_block.trust_actor = on',
	'ALTER DATABASE joes SET contact_block.trust_actor = on',
	'ALTER DATABASE joes SET contact_block.actor_claim = sub',
	'ALTER DATABASE joes RESET contact_block.trust_actor',
	'ALTER DATABASE joes RESET contact_block.actor_claim',
	q{CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET contact_block.trust_actor = on AS 'SELECT 1'},
	q{CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET contact_block.actor_claim = sub AS 'SELECT 1'},
	'ALTER FUNCTION joes() SET contact_block.trust_actor = on',
	'ALTER FUNCTION joes() SET contact_block.actor_claim = sub',
	'ALTER FUNCTION joes() SET contact_block.trust_actor FROM CURRENT',
	'ALTER SYSTEM SET contact_block.trust_actor = on')
{
	like((session('joes', $sql))[1], $denied, "refused: $sql");
	like((session('joes', "SET contact_block.trust_actor = on; SET contact_block.actor_claim = 'sub'; $sql"))[1],
		$denied, 'and when it is set');
	like((session('joes', "$write $sql"))[1], $denied, 'and when the library is loaded');
}
foreach my $sql ('ALTER ROLE joe RESET ALL', 'ALTER ROLE joe IN DATABASE joes RESET ALL', 'ALTER DATABASE joes RESET ALL')
{
	session('joes', $sql);
	session('joes', "$write $sql");
}
is(recorded('joes', ''), 'joe', 'nothing of this counts in the next session');
is( $node->safe_psql('postgres', q{
	SELECT string_agg(array_to_string(setconfig, ' '), ' ') FROM pg_db_role_setting
		WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'joes') OR setrole <> 0}),
	'contact_block.trust_actor=off contact_block.actor_claim=email', "all that is kept is the administrator's");
is((session('joes', 'SELECT joes()'))[0], '1', 'and the function is as it was');

# The administrator's word: for a role, for both, and as a grant.
$node->safe_psql('postgres', 'ALTER ROLE joe SET contact_block.trust_actor = off');
is(recorded('trusting', ''), 'joe', 'off for the role');
is(recorded('trusting', '-c contact_block.trust_actor=on'), 'joe', 'off for the role, and on asked for');
$node->safe_psql('postgres', 'ALTER ROLE joe IN DATABASE postgres SET contact_block.trust_actor = on');
is(recorded('postgres', ''), 'forged', 'on for the role in the database');
$node->safe_psql('postgres', 'ALTER ROLE joe IN DATABASE postgres RESET ALL; ALTER ROLE joe RESET ALL');
$node->safe_psql('postgres', 'GRANT SET ON PARAMETER contact_block.trust_actor TO joe');
is(recorded('postgres', ''), 'joe', 'off, and may be set: the login');
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'forged', 'and on when it is asked for');
is((session('postgres', "SET contact_block.actor = 'forged'; SET contact_block.trust_actor = on; $write"))[0],
	'forged', 'before the library is loaded');
is((session('postgres', "SET contact_block.actor = 'forged'; $write SET contact_block.trust_actor = on; $write"))[0],
	"joe\nforged", 'and afterwards');
$node->safe_psql('postgres', 'REVOKE SET ON PARAMETER contact_block.trust_actor FROM joe');
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'joe', 'until it may not be set any more');

# Parallel workers start from what the administrator said and then get what the
# session has: neither may be refused or another value.
$node->safe_psql('joes', q{
	GRANT EXECUTE ON FUNCTION contact_document(text) TO joe;
	GRANT SELECT ON ALL TABLES IN SCHEMA public TO joe;
	INSERT INTO contacts (id, email) SELECT i, 'p@example.org' FROM generate_series(1, 100) AS i;
	CREATE FUNCTION settings(leader int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$
	BEGIN
		RETURN concat_ws(' ', CASE WHEN pg_backend_pid() <> leader THEN 'worker' END, current_setting('contact_block.actor'),
			current_setting('contact_block.actor_claim'), current_setting('contact_block.trust_actor'));
	END $$;
	ANALYZE contacts});
foreach my $options ('', '-c contact_block.trust_actor=on', '-c contact_block.trust_actor=off -c contact_block.actor=x')
{
	my ($stdout, $stderr) = session('joes', qq{
		SET client_min_messages = error;
		SET parallel_setup_cost = 0;
		SET parallel_tuple_cost = 0;
		SET min_parallel_table_scan_size = 0;
		SET parallel_leader_participation = off;
		SELECT pg_backend_pid() AS pid \\gset
		BEGIN;
		SET LOCAL contact_block.actor = 'transaction';
		SELECT count(contact_document(id)) FROM contacts WHERE email = 'p\@example.org';
		SET client_min_messages = notice;
		SELECT DISTINCT settings(:pid) FROM contacts WHERE email = 'p\@example.org';
		COMMIT}, $options);
	is($stdout, "100\nworker transaction email off", "$options: documents and settings of a worker");
	is($stderr, '', "$options: and no message");
}

$node->append_conf('postgresql.conf', "session_preload_libraries = 'contact_block'");
$node->reload;
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'joe', 'the same where the library is loaded at the start');
is(recorded('trusting', ''), 'forged', 'and on there');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'contact_block'");
$node->restart;
is(recorded('postgres', ''), 'joe', 'off in a preloaded server');
is(recorded('trusting', ''), 'forged', 'on in a preloaded server');
like((session('postgres', $write, '-c contact_block.trust_actor=on'))[1], $denied, 'which does not let in who asks for it');

$node->append_conf('postgresql.conf', 'contact_block.trust_actor = off');
$node->reload;
is(recorded('trusting', ''), 'joe', 'off in the configuration file');
$node->append_conf('postgresql.conf', "session_preload_libraries = ''\nshared_preload_libraries = ''");
$node->restart;
is(recorded('trusting', ''), 'joe', 'and where the library is not preloaded');
is(recorded('trusting', '-c contact_block.trust_actor=on'), 'joe', 'and on is asked for');
$node->append_conf('postgresql.conf', 'contact_block.trust_actor = on');
$node->reload;
is(recorded('trusting', ''), 'forged', 'on in the configuration file');
is(recorded('trusting', '-c contact_block.trust_actor=on'), 'joe', 'and asked for');
is(recorded('postgres', ''), 'joe', 'but off for the database');

done_testing();
