# Who is recorded, and whether an actor is required, is the administrator's to
# say: contact_block.trust_actor and contact_block.require_actor cannot be
# changed by an ordinary role, neither way and for nobody who uses the connection
# after it; not from the connection string, which hides the administrator's value
# until the library is loaded, not by any SET or RESET, and not by a setting that
# is kept for the next session.  Nor can another claim be named by these SETs.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $denied = qr/permission denied to set parameter "contact_block\.(?:trust_actor|require_actor|actor_claim)"/;

# in trusting nobody has said anything; postgres and joe's own database are not;
# requiring is, as it says, and requires an actor
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
	CREATE DATABASE requiring TEMPLATE postgres;
	CREATE DATABASE joes TEMPLATE postgres OWNER joe;
	ALTER DATABASE requiring SET contact_block.trust_actor = on;
	ALTER DATABASE requiring SET contact_block.require_actor = on;
	ALTER DATABASE postgres SET contact_block.trust_actor = off;
	ALTER DATABASE joes SET contact_block.trust_actor = off;
	ALTER DATABASE joes SET contact_block.actor_claim = 'email'});

my $write = q{INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), 'c@example.org') RETURNING created_by;};

# What joe's session prints, and its messages; it ends with the first error
# unless it is to go on.
sub session
{
	my ($database, $sql, $options, $go_on) = @_;
	local $ENV{PGOPTIONS} = $options // '';
	my ($rc, $stdout, $stderr) = $node->psql($database, $sql,
		extra_params => [ '-U', 'joe' ], on_error_stop => !$go_on);
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

# The same the other way round, and for those who come after joe in a connection
# that a pooler keeps: whatever he says, before the library is loaded, together
# with what loads it, or afterwards, in a transaction of any end.  The next client
# says who acts, and then does not.
my $next = qq{
	BEGIN;
	SET LOCAL contact_block.actor = 'next';
	$write
	COMMIT;
	$write
	\\echo :SQLSTATE
};
my %expected = (
	trusting => "next\njoe\n00000\n",
	requiring => "next\n22023\n",
	postgres => "joe\njoe\n00000\n");

# Of joe's sessions, each [database, what he says there]: those after which the
# next clients are not recorded as they should be, with what they got.  He says
# it in a new session, and once more when the library is loaded; that time the
# next client comes after what poolers send.
sub failed
{
	my ($expected, $options, @sessions) = @_;
	my $sql = join '', map {
		my ($database, $said) = @$_;
		"\\c $database\n" . join '', map { "$said\n$_\n\\echo next client\n$next\n\\echo end\n" } '', 'DISCARD ALL;'
	} @sessions;
	my ($stdout) = session('postgres', $sql, $options, 1);
	my @recorded = map { s/\A.*^next client\n//msr } split /^end$/m, $stdout;
	my @failed;
	is(@recorded, 2 * @sessions, 'every session came to its end');
	foreach my $session (@sessions)
	{
		my ($database, $said) = @$session;
		foreach my $time ('first', 'again')
		{
			my $recorded = shift @recorded;
			push @failed, "$database: $time: $said\n$recorded" if $recorded ne $$expected{$database};
		}
	}
	return join "\n", @failed;
}

my @ways = map { my $value = $_; map { s/VALUE/$value/gr }
	  'SET NAME = VALUE;',
	  'SET LOCAL NAME = VALUE;',
	  'SET NAME = VALUE; RESET NAME;',
	  'SET LOCAL NAME = VALUE; RESET ALL;',
	  'SET NAME = VALUE; DISCARD ALL;',
	  'ALTER ROLE joe SET NAME = VALUE;' } 'on', 'off';
push @ways, "SET NAME = '';", 'SET NAME TO DEFAULT;', "SELECT set_config('NAME', NULL, true);",
	'RESET NAME;', 'RESET NAME; DISCARD ALL;', 'RESET ALL;', 'DISCARD ALL;', 'ALTER ROLE joe RESET NAME;';
foreach my $way (@ways)
{
	# both settings in one session, each as if it were alone
	my $said = join ' ', map { $way =~ s/NAME/contact_block.$_/gr } 'trust_actor', 'require_actor';
	my @said = ($said, "$said $write");
	# DISCARD ALL works in no transaction
	push @said, "BEGIN; $said $write COMMIT;", "BEGIN; $said ROLLBACK;", "BEGIN; $said $write ROLLBACK;",
		"BEGIN; SAVEPOINT s; $said $write ROLLBACK TO s; COMMIT;"
	  if $way !~ /DISCARD/;
	is(failed(\%expected, '', map { my $sql = $_; map { [ $_, $sql ] } sort keys %expected } @said),
		'', "the next client, after $way");
}

# The connection string is the whole session's: the safe value takes the place of
# what was asked for, whatever the session says then.
my %login = map { $_ => $expected{postgres} } keys %expected;
my %required = (%expected, trusting => $expected{requiring});
foreach my $guard ([ 'trust_actor', \%login ], [ 'require_actor', \%required ])
{
	my ($name, $safe) = @$guard;
	foreach my $value ('on', 'off', '')
	{
		my @sessions;
		foreach my $sql ('', "SET contact_block.$name = on;", "BEGIN; SET LOCAL contact_block.$name = off; ROLLBACK;",
			"RESET contact_block.$name;", 'DISCARD ALL;')
		{
			push @sessions, map { [ $_, $sql ] } sort keys %expected;
		}
		is(failed($safe, "-c contact_block.$name=$value", @sessions), '', "asked for: $name=$value");
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
$node->safe_psql('postgres', 'ALTER DATABASE trusting SET contact_block.trust_actor = neither');
is(recorded('trusting', ''), 'joe', 'one that makes no sense: the login');
$node->safe_psql('postgres', 'ALTER DATABASE trusting RESET contact_block.trust_actor');
is(recorded('trusting', ''), 'forged', 'until it is gone');
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
my @resets = map { [ $_, 'SET contact_block.trust_actor = on; RESET contact_block.trust_actor; RESET contact_block.require_actor;' ] }
  sort keys %expected;
is(failed(\%expected, '', @resets), '', 'and for the next client');
is(failed(\%login, '-c contact_block.trust_actor=on', @resets), '', 'and when it is asked for');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'contact_block'");
$node->restart;
is(recorded('postgres', ''), 'joe', 'off in a preloaded server');
is(recorded('trusting', ''), 'forged', 'on in a preloaded server');
is(failed(\%expected, '', @resets), '', 'and for the next client');
like((session('postgres', $write, "-c contact_block.$_=on"))[1], $denied, "which does not let in who asks for $_")
  foreach 'trust_actor', 'require_actor';

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

# Where the connection string hides that, the file does not make up for it when it
# is read again.
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION pg_reload_conf() TO joe');
my $reload = "SELECT pg_conf_load_time() AS loaded \\gset\nSELECT pg_reload_conf();\n"
  . "SELECT pg_sleep(0.02) WHERE pg_conf_load_time() = :'loaded' \\g /dev/null\n" x 500
  . "SELECT pg_conf_load_time() > :'loaded';";
is((session('postgres', "SET contact_block.actor = 'forged'; $write $reload $write", '-c contact_block.trust_actor=on'))[0],
	"joe\nt\nt\njoe", 'and when the file is read again');

done_testing();
