# lock_timeout, statement_timeout and pg_cancel_backend at random moments under
# load: every call is done and acknowledged, or fails with their SQLSTATE and has
# changed nothing, and the session goes on.  Each round ends with
# pg_terminate_backend for every client.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds of each.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Workload;

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 2;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
my $load = Workload->new($node);

# One round: disturbs the clients by a statement until enough of their calls have
# failed with the SQLSTATE.
sub round
{
	my ($name, $sqlstate, $sql, $prelude) = @_;
	$load->start($prelude);
	$load->wait_for(1);
	$load->disturb($sqlstate, 50, sub { $node->safe_psql('postgres', $sql) });
	$load->wait_for(10);
	$load->stop;
	$load->check($name);
}

# whoever waits for this one's locks runs into the timeouts
my $lock = q{
	BEGIN;
	SELECT count(*) FROM (SELECT FROM contacts FOR UPDATE) AS locked;
	SELECT pg_sleep(0.2);
	COMMIT};

my $cancel = q{
	DO $$
	BEGIN
		FOR i IN 1 .. 100 LOOP
			PERFORM pg_cancel_backend(pid)
			FROM (SELECT pid FROM pg_stat_get_activity(NULL)
				WHERE application_name = 'workload' ORDER BY random() LIMIT 1) AS client;
			PERFORM pg_sleep(random() * 0.002);
		END LOOP;
	END $$};

for my $number (1 .. $rounds)
{
	# each client has its own patience
	for my $setting ([ 'lock_timeout', '55P03' ], [ 'statement_timeout', '57014' ])
	{
		my ($name, $sqlstate) = @$setting;
		round("$name, round $number", $sqlstate, $lock, sub { return "SET $name = " . 25 * $_[0] . ";\n" });
	}
	round("pg_cancel_backend, round $number", '57014', $cancel);
}

done_testing();
