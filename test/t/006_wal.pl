# A block writes one row version, in place, and commits, and so does one of many for
# each; a retry writes nothing at all: neither a row version nor WAL.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# nobody but the test writes WAL
$node->append_conf('postgresql.conf', q{
autovacuum = off
wal_level = minimal
max_wal_senders = 0
checkpoint_timeout = 1h
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO contacts (id, email) SELECT i, i || '@example.org' FROM generate_series(1, 10) AS i;
	SELECT contact_delete('3')});
# set all hint bits, which may be logged too
$node->safe_psql('postgres', 'VACUUM');
$node->safe_psql('postgres', 'CHECKPOINT');

# Runs statements and returns what they wrote, as pg_waldump's lines, and the positions.
sub written
{
	my ($sql) = @_;
	my $start = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	$node->safe_psql('postgres', $sql);
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	return () if $start eq $end;
	my ($stdout, $stderr) = run_command(
		[ 'pg_waldump', '-p', $node->data_dir . '/pg_wal', '-s', $start, '-e', $end ]);
	return split /\n/, $stdout;
}

my @records = written(q{SELECT contact_block('1', 'because')});
is(scalar(grep { /rmgr: Heap .*HOT_UPDATE/ } @records), 1, 'a block is one update in place');
is(scalar(grep { /rmgr: Btree/ } @records), 0, 'no index is written');
is(scalar(grep { /rmgr: Transaction .*COMMIT/ } @records), 1, 'it is committed');

@records = written(q{SELECT * FROM contacts_block('{6,4,1,nobody,5,3,6}', 'because')});
is(scalar(grep { /rmgr: Heap .*HOT_UPDATE/ } @records), 3, 'a block of many is an update in place for each that it is for');
is(scalar(grep { /rmgr: Btree/ } @records), 0, 'no index is written');
is(scalar(grep { /rmgr: Transaction .*COMMIT/ } @records), 1, 'it is committed once');

# now everything is there to be retried, and nothing is left to be tidied up
my $retries = q{
	SELECT contact_block('1');
	SELECT contact_block('1', 'because');
	SELECT contact_block('1', '');
	SELECT contact_unblock('2');
	SELECT contact_delete('3');
	SELECT contact_document('1');
	SELECT * FROM contacts_block('{6,4,1,nobody,5,3,6}');
	SELECT * FROM contacts_block('{6,4,1,nobody,5}', 'because');
	SELECT * FROM contacts_unblock('{2,3,NULL,7}');
	SELECT * FROM contacts_delete('{3,nobody}')};
my $rows = 'SELECT id, ctid, xmin, to_jsonb(c) FROM contacts AS c ORDER BY id';
$node->safe_psql('postgres', $_) for 'VACUUM', $retries, 'CHECKPOINT';
my $before = $node->safe_psql('postgres', $rows);
is(join("\n", written($retries)), '', 'retries write no WAL');
is($node->safe_psql('postgres', $rows), $before, 'nor a row version');

done_testing();
