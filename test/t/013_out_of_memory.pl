# Backends that run out of memory under load: a call fails with 53200 wherever that
# happens, be it the first one of its session, and works when there is enough.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use Workload;

plan skip_all => 'AddressSanitizer needs its address space' if $ENV{SANITIZE};

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 2;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# LLVM does not survive it
$node->append_conf('postgresql.conf', "log_statement = none\njit = off\n");
$node->start;

# documents of two megabytes
my $load = Workload->new($node, part => " - 'optOuts'");
$node->safe_psql('postgres', q{
	INSERT INTO categories (id, short_description) SELECT i, repeat('x', 1000) FROM generate_series(1, 2000) AS i;
	INSERT INTO contact_opt_outs SELECT contacts.id, categories.id FROM contacts, categories});

# Lets the backends have this much more memory than they have.
sub limit
{
	my ($pid, $more) = @_;
	return qq{prlimit --pid $pid --as=\$(awk '/VmSize/ {printf "%d", \$2 * 1024 + $more}' /proc/$pid/status):};
}

for my $round (1 .. $rounds)
{
	$load->start(sub {
		my ($client) = @_;
		return "LOAD 'contact_block';\nSELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n\\! "
		  . limit('$PID', int(rand(200_000 * $client))) . "\n";
	});
	$load->disturb('53200', 50, sub { usleep(10_000) });
	$node->poll_query_until('postgres', qq{
		SELECT count(*) = $load->{clients} FROM pg_stat_activity
		WHERE application_name = 'workload' AND query LIKE 'SET contact_block.actor%'})
	  or die 'timed out while waiting for the clients to begin';
	my @pids = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'workload'});
	$load->disturb('53200', 200, sub {
		system(limit($_, int(rand(10_000_000)))) for @pids;
	});
	system('prlimit', '--pid', $_, '--as=unlimited:') for @pids;
	$load->wait_for(3);
	$load->stop;
	$load->check("round $round");
	like(slurp_file($node->logfile), qr/ERROR: +out of memory\n.*DETAIL: .*\n.*CONTEXT: +SQL statement "/,
		'it happened within a call')
	  if $round == 1;
}

done_testing();
