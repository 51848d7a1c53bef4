# Immediate shutdown of the primary under load, promotion of its synchronous
# standby: that one has every acknowledged call.  It is the next round's primary.  In
# every other round the primary has lost the standby before.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Workload;

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 2;

my $primary = PostgreSQL::Test::Cluster->new('node_0');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "log_statement = none\nsynchronous_commit = on\n");
$primary->start;
my $load = Workload->new($primary);

# Waits until this many clients wait for the standby.
sub clients_wait
{
	my ($number) = @_;
	$primary->poll_query_until('postgres', qq{
		SELECT count(*) >= $number FROM pg_stat_activity
		WHERE application_name = 'workload' AND wait_event = 'SyncRep'})
	  or die 'timed out while waiting for commits that wait';
}

for my $round (1 .. $rounds)
{
	$primary->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new("node_$round");
	$standby->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby->start;
	$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
	$primary->reload;

	$load->start;
	# when one commit waits for the standby, all of them do from then on
	clients_wait(1);
	$load->wait_for(20 + int(rand(100)));
	if ($round % 2 == 0)
	{
		$standby->stop('immediate');
		clients_wait($load->{clients});
	}
	$primary->stop('immediate');
	$load->finish;
	$standby->start if $round % 2 == 0;
	$standby->promote;
	$primary->clean_node;
	$primary = $load->{node} = $standby;
	$load->check("round $round");
}

done_testing();
