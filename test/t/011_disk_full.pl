# Disk full under load.  Without room in the table's tablespace a call fails with
# 53100, and works again when there is some.  Without room for WAL the server
# breaks down, and has every acknowledged call when it is started with more.
#
# The small disks are tmpfs in a mount namespace of this test's own, where it runs
# itself again; they are gone with the last process in it.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds.

use strict;
use warnings FATAL => 'all';

use Cwd qw(getcwd);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use Test::More;
use Time::HiRes qw(usleep);

my $disks;

# root of a user namespace may mount, but may not run a server: hence a second one
# within, where the user is who they were.  Before the modules turn the output round.
BEGIN
{
	$disks = getcwd() . '/tmp_check/disks';
	if (!$ENV{CONTACT_BLOCK_DISKS})
	{
		my @in_namespace = (
			qw(unshare --user --map-root-user --mount sh -ec),
			'for disk in "$0/wal" "$0/table"; do mkdir -p "$disk"; mount -t tmpfs -o size=128m,mode=777 tmpfs "$disk"; done; exec "$@"',
			$disks, 'unshare', '--user', "--map-user=$>", '--map-group=' . ($) + 0));
		my $output;
		IPC::Run::run([ @in_namespace, 'true' ], '>&', \$output)
		  or plan skip_all => 'cannot mount a small disk in a namespace: ' . ($output =~ s/\n.*//sr);
		$ENV{CONTACT_BLOCK_DISKS} = 1;
		exec @in_namespace, $^X, (map { "-I$_" } @INC), $0;
	}
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Workload qw(start_again);

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 2;

sub fill
{
	my ($disk) = @_;
	open my $file, '>', "$disks/$disk/filler" or die "$disks/$disk/filler: $!";
	1 while syswrite($file, "\0" x 65536);
	die "$disks/$disk/filler: $!" unless $!{ENOSPC};
}

sub make_room
{
	my ($disk) = @_;
	unlink "$disks/$disk/filler" or die "$disks/$disk/filler: $!";
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ "--waldir=$disks/wal/pg_wal", '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', q{
log_statement = none
autovacuum = off
max_wal_size = 4MB
min_wal_size = 2MB
});
$node->start;
# reasons that are stored on pages of their own
my $load = Workload->new($node, reason => 2500);
$node->safe_psql('postgres', qq{CREATE TABLESPACE small LOCATION '$disks/table'});
$node->safe_psql('postgres', q{
	ALTER TABLE contacts ALTER blocked_reason SET STORAGE EXTERNAL, SET TABLESPACE small});

# What was there before takes no room: else a fast machine fills the small disk by itself.
sub start_load
{
	$node->safe_psql('postgres', 'VACUUM FULL contacts');
	$load->start;
}

for my $round (1 .. $rounds)
{
	start_load();
	$load->wait_for(1 + int(rand(20)));
	fill('table');
	$load->disturb('53100', 20, sub { usleep(10_000) });
	make_room('table');
	$load->wait_for(10);
	$load->stop;
	$load->check("tablespace, round $round");

	start_load();
	$load->wait_for(1 + int(rand(20)));
	# so that old WAL makes no room for new
	$node->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('keep', true)});
	fill('wal');
	$load->finish;
	like(slurp_file($node->logfile), qr/PANIC: .*No space left on device/, "WAL, round $round: the server broke down");
	$node->rotate_logfile;
	make_room('wal');
	start_again($node);
	$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('keep')});
	$load->check("WAL, round $round");
}

done_testing();
