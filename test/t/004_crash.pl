# kill -9 of the server, and of a single backend, which restarts all of them, at
# random moments under load.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds of each.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use Workload qw(start_again);

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 3;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nlog_statement = none\n");
$node->start;
my $load = Workload->new($node);

for my $round (1 .. $rounds)
{
	# let every client get through some calls, another number each time
	$load->start;
	$load->wait_for(20 + int(rand(100)));
	$node->kill9;
	$load->finish;
	start_again($node);
	$load->check("server, round $round");

	$load->start;
	$load->wait_for(20 + int(rand(100)));
	kill 9, $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE application_name = 'workload' ORDER BY random() LIMIT 1});
	$load->finish;
	# nobody can connect before the server has recovered; a psql that cannot is a
	# broken pipe to poll_query_until
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;
	while (system('pg_isready', '-q', '-d', $node->connstr('postgres')) != 0)
	{
		die 'timed out while waiting for the server' if --$tries == 0;
		usleep(100_000);
	}
	$load->check("backend, round $round");
}

done_testing();
