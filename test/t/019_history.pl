# The history and the contacts never disagree: by the query that doc/operate.md
# has for operators, after kill -9 and the promotion of a standby under load,
# after dump and restore, and on a logical subscriber, at any time.  And every
# block of that document does what stands there.
#
# CONTACT_BLOCK_LONG=1 makes it 20 kills.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(block run_document);
use Workload qw(start_again);

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 2;
my $disagree = block('doc/operate.md', 'contacts that disagree with their history');
my $dir = PostgreSQL::Test::Utils::tempdir;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "restart_after_crash = on\nlog_statement = none\nsynchronous_commit = on\nlc_messages = 'C'\n");
$node->start;

my ($document) = run_document($node, 'doc/operate.md');

# the query sees what is wrong
sub disagreeing
{
	my ($harm) = @_;
	my $query = $disagree =~ s/;\n\z//r;
	return $node->safe_psql($document, "SET search_path = crm;\nBEGIN;\n$harm;\nSELECT id FROM ($query) AS d;\nROLLBACK");
}
is(disagreeing('SELECT'), '', 'the history of the document is consistent');
my $silently = 'SET LOCAL session_replication_role = replica; ';
is(disagreeing($silently . $_->[0]), $_->[1], "not after $_->[0]")
  foreach [ q{UPDATE contacts SET status = 'Active' WHERE id = 'NTU-3'}, 'NTU-3' ],
  [ q{UPDATE contacts SET blocked_reason = NULL WHERE id = 'NTU-3'}, 'NTU-3' ],
  [ q{UPDATE contacts SET blocked_by = NULL WHERE id = 'NTU-3'}, 'NTU-3' ],
  [ q{UPDATE contacts SET activated_at = activated_at + '1 us' WHERE id = 'NTU-2'}, 'NTU-2' ],
  [ q{INSERT INTO contacts (id, email, created_at, activated_at) VALUES ('x', 'x', now(), now())}, 'x' ],
  [ q{DELETE FROM contact_events WHERE contact_id = 'NTU-3'}, 'NTU-3' ],
  [ q{DELETE FROM contact_events WHERE contact_id = 'NTU-3' AND status = 'Blocked'}, 'NTU-3' ];

# Events and contacts agree, also in the details that only these clients have:
# every call has a number of its own.
sub agree
{
	my ($server, $name, $database) = @_;
	$database //= 'postgres';
	is($server->safe_psql($database, $disagree), '', "$name: events and contacts agree");
	is($server->safe_psql($database, q{
			SELECT contact_id, by, count(*) FROM contact_events GROUP BY 1, 2 HAVING count(*) > 1}),
		'', "$name: no call has two events");
	is($server->safe_psql($database, q{
			SELECT id FROM contacts JOIN (SELECT DISTINCT ON (contact_id) * FROM contact_events ORDER BY contact_id, at DESC) AS e
				ON contact_id = id WHERE (at, by) IS DISTINCT FROM (updated_at, updated_by)}),
		'', "$name: the last change has one");
}

# kill -9 under load
my $load = Workload->new($node);
$node->safe_psql('postgres', 'SELECT contact_history_setup()');
for my $round (1 .. $rounds)
{
	$load->start;
	$load->wait_for(20 + int(rand(100)));
	$node->kill9;
	$load->finish;
	start_again($node);
	$load->check("kill -9, round $round");
	agree($node, "kill -9, round $round");
}

# A subscriber with both tables in the publication, set up like the publisher: at any time.
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION contact_block; SELECT contact_block_setup(); SELECT contact_history_setup()');
$node->safe_psql('postgres', 'CREATE PUBLICATION history FOR TABLE contacts, contact_events');
my $connection = $node->connstr('postgres');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION history CONNECTION \$\$$connection\$\$ PUBLICATION history");
$subscriber->poll_query_until('postgres',
	q{SELECT count(*) = 2 AND bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel})
  or die 'timed out while the tables were copied';
$load->start;
my @disagreed;
for (1 .. 10)
{
	$load->wait_for(10);
	push @disagreed, $subscriber->safe_psql('postgres', $disagree);
}
$load->stop;
$load->check('subscriber');
is(join('', @disagreed), '', 'subscriber: events and contacts agree while changes are applied');
my $all = 'SELECT * FROM contact_events ORDER BY txid, seq';
$node->wait_for_catchup('history');
is($subscriber->safe_psql('postgres', $all), $node->safe_psql('postgres', $all), 'subscriber: the same events, none lost or repeated');
agree($subscriber, 'subscriber');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION history');
# promoted, the sequence of the numbers starts anew
$subscriber->safe_psql('postgres', q{
	SET contact_block.actor = '1000000';
	SELECT contact_block(id), contact_unblock(id) FROM contacts WHERE status = 'Active' AND id LIKE '1-%';
	UPDATE contact_events SET by = seq WHERE by = '1000000' AND old_status = 'Active';
	SET session_replication_role = replica;
	UPDATE contacts SET blocked_by = (SELECT by FROM contact_events WHERE contact_id = id AND at = blocked_at)
		WHERE updated_by = '1000000'});
is($subscriber->safe_psql('postgres', $disagree), '', 'promoted subscriber: events and contacts agree');

# A synchronous standby is promoted after the primary's immediate shutdown.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
$node->reload;
$load->start;
$node->poll_query_until('postgres',
	q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'workload' AND wait_event = 'SyncRep'})
  or die 'timed out while waiting for commits that wait';
$load->wait_for(20 + int(rand(100)));
$node->stop('immediate');
$load->finish;
$standby->promote;
$node->clean_node;
$node = $load->{node} = $standby;
$load->check('promoted standby');
agree($node, 'promoted standby');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names});
$node->reload;

# dump and restore: whole, and the data only into what is set up
my $events = $node->safe_psql('postgres', $all);
$node->safe_psql('postgres', 'CREATE DATABASE whole');
$node->safe_psql('postgres', 'CREATE DATABASE data');
$node->safe_psql('data', 'CREATE EXTENSION contact_block; SELECT contact_block_setup(); SELECT contact_history_setup()');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/whole", 'postgres' ], 'pg_dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'whole', "$dir/whole" ], 'pg_restore');
$node->command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data", 'postgres' ],
	'pg_dump --data-only --disable-triggers');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'data', '-f', "$dir/data" ], 'loading it');
for my $database ('whole', 'data')
{
	is($node->safe_psql($database, $all), $events, "$database: the same events");
	agree($node, $database, $database);
	is($node->safe_psql($database, q{
			SET contact_block.actor = '1000000';
			INSERT INTO contacts (id, email) VALUES ('new', 'new@example.org');
			SELECT count(*), bool_and(seq > (SELECT max(seq) FROM contact_events WHERE by <> '1000000'))
			FROM contact_events WHERE by = '1000000'}),
		'1|t', "$database: and the next one");
}

done_testing();
