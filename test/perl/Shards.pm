# What the tests of shards share: the files of doc/sharding/plproxy applied to
# servers, and PgBouncer.

package Shards;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(find_program spew);

our @EXPORT_OK = qw(new_server try_file run_file set_up_shard at as_operator start_pgbouncer stop_pgbouncer);

my $FOLDER = "$FindBin::RealBin/../../doc/sharding/plproxy";

# A running server that can publish. Skips the whole test where PL/Proxy is
# missing.
sub new_server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "timezone = 'UTC'\nlc_messages = 'C'\nlog_statement = none\n"
		  . "max_connections = 60\nmax_replication_slots = 20\nmax_wal_senders = 20\nmax_logical_replication_workers = 12\n"
		  . "max_worker_processes = 16\nshared_buffers = 32MB\nwal_retrieve_retry_interval = 100ms\n");
	$node->start;
	plan skip_all => 'PL/Proxy is not installed (Debian: postgresql-NN-plproxy)'
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plproxy'}) eq '0';
	return $node;
}

# Where a database is, for the variables of the files.
sub at
{
	my ($node, $database) = @_;
	return sprintf 'host=%s port=%s dbname=%s', $node->host, $node->port, $database;
}

# Run a file of doc/sharding/plproxy, in its folder. Returns what it printed and
# its errors, undef for these when there are none.
sub try_file
{
	my ($node, $database, $file, %variables) = @_;
	my ($stdout, $stderr);
	my $ok = IPC::Run::run(
		[
			'psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database),
			(map { ('-v', "$_=$variables{$_}") } sort keys %variables), '-f', $file
		],
		'>', \$stdout, '2>', \$stderr, init => sub { chdir $FOLDER or die "$FOLDER: $!" });
	return ($stdout, $ok && $stderr eq '' ? undef : "$stdout$stderr");
}

sub run_file
{
	my ($node, $database, $file, %variables) = @_;
	my ($stdout, $errors) = try_file($node, $database, $file, %variables);
	ok(!defined $errors, "$database: $file runs") or diag($errors);
	return $stdout;
}

# A database that is a shard.
sub set_up_shard
{
	my ($node, $database, $first_bucket, $last_bucket) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, q{
		CREATE SCHEMA crm;
		CREATE EXTENSION contact_block SCHEMA crm;
		SELECT crm.contact_block_setup()});
	run_file($node, $database, 'shard.sql', first_bucket => $first_bucket, last_bucket => $last_bucket);
	return;
}

# Do something whose sessions are those of contact_operator.
sub as_operator
{
	my ($something) = @_;
	local $ENV{PGOPTIONS} = '-c role=contact_operator';
	return $something->();
}

my $pgbouncer;

# PgBouncer in transaction mode, with two connections for each database. Takes
# where the databases are, by name; returns the folder of its socket and its
# port, nothing where it is not installed.
sub start_pgbouncer
{
	my (%databases) = @_;
	my $program = find_program('pgbouncer') or return;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $output = '';

	spew("$folder/users", qq("contact_router" ""\n));
	spew("$folder/pgbouncer.ini", join "\n",
		'[databases]', (map { "$_ = $databases{$_}" } sort keys %databases),
		'[pgbouncer]', "unix_socket_dir = $folder", "listen_port = $port", 'auth_type = trust',
		"auth_file = $folder/users", 'pool_mode = transaction', 'default_pool_size = 2',
		'query_wait_timeout = 30', "logfile = $folder/log", "pidfile = $folder/pid", '');
	$pgbouncer = IPC::Run::start([ $program, "$folder/pgbouncer.ini" ], '<', \undef, '>&', \$output);
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	until (-S "$folder/.s.PGSQL.$port")
	{
		die "pgbouncer does not listen: $output" if time > $deadline || !$pgbouncer->pumpable;
		select undef, undef, undef, 0.1;
	}
	return ($folder, $port);
}

sub stop_pgbouncer
{
	$pgbouncer->kill_kill if $pgbouncer;
	undef $pgbouncer;
	return;
}

END
{
	my $status = $?;
	stop_pgbouncer();
	$? = $status;
}

1;
