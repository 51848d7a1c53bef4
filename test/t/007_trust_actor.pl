# contact_block.trust_actor = off cannot be got rid of from the connection
# string: what a login asks for at the start hides the administrator's value
# until the library is loaded, and is refused then.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	CREATE ROLE joe LOGIN;
	GRANT INSERT, SELECT ON contacts TO joe;
	CREATE DATABASE trusting TEMPLATE postgres;
	ALTER DATABASE postgres SET contact_block.trust_actor = off});

# Who is recorded when joe says that he is somebody else.
sub recorded
{
	my ($database, $options) = @_;
	local $ENV{PGOPTIONS} = $options;
	return $node->safe_psql($database, q{
			SET client_min_messages = error;
			SET contact_block.actor = 'forged';
			INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), 'c@example.org') RETURNING created_by},
		extra_params => [ '-U', 'joe' ]);
}

is(recorded('postgres', ''), 'joe', 'off: the login');
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'joe', 'off, and on asked for: the login');
is(recorded('postgres', '-c contact_block.trust_actor=off'), 'joe', 'off, and off asked for: the login');
is(recorded('trusting', ''), 'forged', 'on: the setting');

$node->append_conf('postgresql.conf', "session_preload_libraries = 'contact_block'");
$node->reload;
is(recorded('postgres', '-c contact_block.trust_actor=on'), 'joe', 'the same where the library is loaded at the start');
is(recorded('trusting', ''), 'forged', 'and on there');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'contact_block'");
$node->restart;
is(recorded('postgres', ''), 'joe', 'off in a preloaded server');
is(recorded('trusting', ''), 'forged', 'on in a preloaded server');

done_testing();
