# contact_block.plain_unblock for a role: who may set it, and what its sessions do
# from the first statement on, before and after the library is loaded.

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
	CREATE ROLE importer LOGIN;
	GRANT ALL ON contacts TO importer;
	GRANT EXECUTE ON FUNCTION contact_unblock(text) TO importer;
	INSERT INTO contacts (id, email, status) VALUES ('b', 'b@example.org', 'Blocked')});

# What the importer's session prints and the last error's SQLSTATE.
sub session
{
	my ($sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql,
		extra_params => [ '-U', 'importer', '-v', 'VERBOSITY=sqlstate' ], on_error_stop => 0);
	return $stdout . ($stderr =~ /^.*ERROR:  (\w{5})$/m ? $1 : '');
}

my $update = q{UPDATE contacts SET status = 'Active', name = 'imported' WHERE id = 'b' RETURNING status;};
my $for_role = 'ALTER ROLE importer SET contact_block.plain_unblock';

is(session($update), 'PT409', 'error by default');
is(session("$for_role = keep"), '42501', 'the role itself needs the library for a setting to keep');
is(session($update), 'PT409', 'and has got none');
is(session("$update $for_role = keep"), 'PT409', 'when it is loaded');
is(session($update), 'Blocked', 'it has it');
is(session("SET contact_block.plain_unblock = error; $update"), 'PT409', 'and may set another one for a session');
is(session("SELECT contact_unblock('b') ->> 'status'"), 'Active', 'contact_unblock works in spite of it');
$node->safe_psql('postgres', "SELECT contact_block('b'); $for_role = allow");
is(session($update), 'Active', 'set by a superuser');
$node->safe_psql('postgres', "SELECT contact_block('b')");
$node->safe_psql('postgres', "$for_role = nonsense");
is(session($update), 'PT409', 'a value that is none is the default');
is(session("SET contact_block.plain_unblock = nonsense; $update"), 'PT409', 'also before the library is loaded');

done_testing();
