# DROP EXTENSION is refused as long as the audit trigger hangs on contacts; with
# CASCADE it leaves every row, and the extension can be created and set up again.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub sqlstate
{
	my ($sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
	return $stderr =~ /ERROR:\s+(\w{5})/ ? $1 : 'none';
}

sub rows
{
	return join "\n", map {
		$node->safe_psql('postgres', "SELECT to_jsonb(t) FROM $_ AS t ORDER BY 1")
	} qw(accounts users account_users categories contacts contact_opt_outs);
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO accounts VALUES ('a', 'Client', 'Active', 'Account', NULL);
	INSERT INTO users (id, email, status, name, first_name, last_name)
	VALUES ('u', 'u@example.org', 'Active', 'User', 'User', 'User');
	INSERT INTO account_users VALUES ('u', 'a');
	INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL);
	INSERT INTO contacts (id, email, user_id) VALUES ('1', '1@example.org', 'u'), ('2', '2@example.org', NULL);
	INSERT INTO contact_opt_outs VALUES ('1', 'n', clock_timestamp());
	SELECT contact_block('1', 'because')});

my $rows = rows();
my $document = $node->safe_psql('postgres', q{SELECT contact_document('1')});

is(sqlstate('DROP EXTENSION contact_block'), '2BP01', 'DROP EXTENSION is refused');
is($node->safe_psql('postgres', q{SELECT contact_document('1')}), $document, 'and changes nothing');

is(sqlstate('DROP EXTENSION contact_block CASCADE'), 'none', 'DROP EXTENSION CASCADE');
is(rows(), $rows, 'leaves every row');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contacts'::regclass AND NOT tgisinternal}),
	'0', 'and no trigger');

$node->safe_psql('postgres', 'CREATE EXTENSION contact_block');
is(sqlstate(q{SELECT contact_block('2')}), '55000', 'without set-up a block is refused');
$node->safe_psql('postgres', 'SELECT contact_block_setup()');
is(rows(), $rows, 'the set-up leaves every row');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contacts'::regclass AND NOT tgisinternal}),
	'1', 'there is one trigger');
is($node->safe_psql('postgres', q{SELECT contact_document('1')}), $document, 'the document is the same');
is($node->safe_psql('postgres', q{
		SET contact_block.actor = 'u';
		SELECT d ->> 'status', d -> 'audit' -> 'blocked' -> 'by' ->> 'name' FROM contact_block('2') AS d}),
	'Blocked|User', 'and a contact is blocked');

done_testing();
