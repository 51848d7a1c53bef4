# contact_events as an outbox: a relay that reads by the recipe of doc/operate.md,
# to the letter, misses none of what 8 writers do with random delays, savepoints
# and rollbacks, and repeats none, though it is killed and started again and
# again; also what is open or prepared elsewhere holds it back; and it goes on
# after a restore into another cluster.
#
# CONTACT_BLOCK_LONG=1 makes it 20,000 events instead of 3,000.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use Document qw(block);

my $events = $ENV{CONTACT_BLOCK_LONG} ? 20_000 : 3_000;
my $writers = 8;
my $seed = $ENV{CONTACT_BLOCK_SEED} // time;
srand($seed);
note("seed $seed");

my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/new.sql", block('doc/operate.md', 'what is new for the relay'));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nmax_prepared_transactions = 5\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	SELECT contact_history_setup();
	INSERT INTO contacts (id, email)
	SELECT writer || '-' || contact, 'c@example.org' FROM generate_series(0, 8) AS writer, generate_series(1, 20) AS contact});

# The receiver is a database of its own, in a server of its own.
my $receiver = PostgreSQL::Test::Cluster->new('receiver');
$receiver->init;
$receiver->start;
$receiver->safe_psql('postgres', q{
	CREATE TABLE received (n bigserial, txid xid8, seq bigint, event text);
	CREATE TABLE position (txid xid8, seq bigint);
	INSERT INTO position VALUES ('0', 0)});

# What the relay does, over and over: all of it in one transaction of the receiver,
# which begins by locking the pair.
sub relay_script
{
	my ($server, $rounds) = @_;
	my $source = $server->connstr('postgres');
	return <<~"END" x $rounds;
		BEGIN;
		SELECT txid, seq FROM position FOR UPDATE \\gset
		\\set events `psql -XAtq -v ON_ERROR_STOP=1 -v txid=:'txid' -v seq=:'seq' -d "$source" -f $dir/new.sql`
		INSERT INTO received (txid, seq, event)
		SELECT split_part(event, '|', 1)::xid8, split_part(event, '|', 2)::bigint, event
		FROM regexp_split_to_table(:'events', '\\n') WITH ORDINALITY AS e (event, n) WHERE event <> '' ORDER BY n;
		UPDATE position SET (txid, seq) = (SELECT txid, seq FROM received ORDER BY n DESC LIMIT 1)
		WHERE EXISTS (SELECT FROM received);
		COMMIT;
		SELECT pg_sleep(0.005) \\g /dev/null
		END
}

my @relays;
sub start_relay
{
	my ($server) = @_;
	my $script = "$dir/relay" . scalar(@relays);
	append_to_file($script, relay_script($server, 2000));
	push @relays, IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $receiver->connstr('postgres'), '-f', $script ],
		'>', '/dev/null', '2>', "$script.err");
}

# Reads until there is nothing new.
sub relay_rest
{
	my ($server) = @_;
	$receiver->safe_psql('postgres', relay_script($server, 1 + $events / 1000));
}

# Writers: transactions that change some contacts of their own and one that all
# share, with savepoints, delays between, and a rollback now and then.
sub transaction
{
	my ($writer) = @_;
	my $change = sub {
		return sprintf(q{UPDATE contacts SET status = CASE status WHEN 'Active' THEN 'Blocked' ELSE 'Active' END WHERE id = '%s-%d';} . "\n",
			@_);
	};
	my $delay = sub { return rand() < 0.3 ? sprintf("SELECT pg_sleep(%f) \\g /dev/null\n", rand(0.02)) : '' };
	my $own = sub { return $change->($writer, 1 + int(rand(20))) };
	my $sql = "BEGIN;\n" . $delay->() . $own->() . $delay->();
	$sql .= "SAVEPOINT s;\n" . $own->() . $delay->() . (rand() < 0.5 ? "ROLLBACK TO s;\n" : '') . $own->() if rand() < 0.4;
	$sql .= $delay->() . $change->(0, 1 + int(rand(20))) if rand() < 0.3;
	return $sql . $delay->() . (rand() < 0.1 ? "ROLLBACK;\n" : "COMMIT;\n");
}

my @writers;
for my $writer (1 .. $writers)
{
	append_to_file("$dir/writer$writer",
		"SET contact_block.plain_unblock = allow;\n" . join '', map { transaction($writer) } 1 .. $events / 1.6 / $writers);
	push @writers, IPC::Run::start(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$dir/writer$writer" ],
		'>', '/dev/null', '2>', "$dir/writer$writer.err");
}

# the relay is killed at any moment, and its successor starts at once
my $kills = 0;
while (grep { $_->pumpable } @writers)
{
	my $position = $receiver->safe_psql('postgres', 'SELECT * FROM position');
	start_relay($node);
	# it gets somewhere on a slow machine, too, and then some way more
	for (1 .. 100)
	{
		last if !grep { $_->pumpable } @writers or $position ne $receiver->safe_psql('postgres', 'SELECT * FROM position');
		usleep(50_000);
	}
	usleep(rand(300_000));
	$relays[-1]->signal('KILL');
	$relays[-1]->finish;
	$kills++;
}
$_->finish foreach @writers;
is(join('', map { slurp_file("$dir/writer$_.err") } 1 .. $writers), '', 'the writers were done');
# (what a killed relay was just reading from has nobody to write to)
is(join('', map { grep { !/Broken pipe/ } slurp_file("$dir/relay$_.err") =~ /.+/g } 0 .. $#relays), '', 'no relay failed');
my $written = $node->safe_psql('postgres', 'SELECT count(*) FROM contact_events');
my $early = $receiver->safe_psql('postgres', 'SELECT count(*) FROM received');
note("$written events, $early of them relayed before the last writer was done, $kills relays killed");
cmp_ok($written, '>=', $events * 0.8, 'there were events');
cmp_ok($early, '>', $written / 4, 'and they were relayed meanwhile');
cmp_ok($node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT seq, max(seq) OVER (ORDER BY txid, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
			FROM contact_events) AS e WHERE seq < before}),
	'>', 10, 'numbers alone would have missed some');

# as texts, which is how they came
my $all = q{SELECT concat_ws('|', txid, seq, contact_id, at, by, coalesce(old_status, ''), status, coalesce(reason, ''))
	FROM contact_events ORDER BY txid, seq};
sub relayed
{
	my ($name) = @_;
	relay_rest($node);
	is($receiver->safe_psql('postgres', 'SELECT event FROM received ORDER BY n'), $node->safe_psql('postgres', $all),
		"$name: none missed, none repeated, all in order");
}
relayed('8 writers');

# What is open holds it back, in whatever database, and it comes late.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', q{CREATE TABLE t (); BEGIN; INSERT INTO t DEFAULT VALUES; PREPARE TRANSACTION 'open'});
$node->safe_psql('postgres', q{SELECT contact_block(id) FROM contacts WHERE id IN (SELECT id FROM contacts WHERE status = 'Active' LIMIT 1)});
my $before = $receiver->safe_psql('postgres', 'SELECT count(*) FROM received');
relay_rest($node);
is($receiver->safe_psql('postgres', 'SELECT count(*) FROM received'), $before, 'a transaction that is prepared in another database holds the relay back');
$node->safe_psql('elsewhere', q{COMMIT PREPARED 'open'});
relayed('after it');
is($receiver->safe_psql('postgres', 'SELECT count(*) FROM received'), $before + 1, 'and then the event comes');

# A failover: back to before it, and everything from then on comes again.
my $back_to = $node->safe_psql('postgres', 'SELECT at FROM contact_events ORDER BY at OFFSET (SELECT count(*) / 2 FROM contact_events) LIMIT 1');
my $pair = $node->safe_psql('postgres', "\\set back_to '$back_to'\n" . block('doc/operate.md', 'where the relay goes on after a failover'));
my ($txid, $seq) = split /\|/, $pair;
is($node->safe_psql('postgres', qq{
		SELECT count(*) FILTER (WHERE (txid, seq) > ('$txid', $seq)) > 0,
			count(*) FILTER (WHERE (txid, seq) <= ('$txid', $seq)) > 0,
			count(*) FILTER (WHERE (txid, seq) <= ('$txid', $seq) AND at >= '$back_to')
		FROM contact_events}),
	't|t|0', 'after a failover everything comes from that time on');

# A restore into another cluster, where transactions are counted anew, while some
# events are not relayed yet.
my $change = q{SELECT count(contact_unblock(id)) FROM contacts WHERE status = 'Blocked' AND id LIKE '%-1';
	SELECT count(contact_block(id, 'again')) FROM contacts WHERE status = 'Active' AND id LIKE '%-2'};
$node->safe_psql('postgres', $change);
($txid, $seq) = split /\|/, $receiver->safe_psql('postgres', 'SELECT * FROM position');
my $last = $node->safe_psql('postgres', $all);
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init;
$restored->start;
$node->command_ok([ 'pg_dump', '-f', "$dir/dump", 'postgres' ], 'pg_dump');
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', "$dir/dump" ], 'restored');
$node->stop;
is($restored->safe_psql('postgres', $all), $last, 'the same events');
cmp_ok($restored->safe_psql('postgres', 'SELECT pg_current_xact_id()'), '<', $txid, 'transactions are counted anew');
my $variables = "\\set txid $txid\n\\set seq $seq\n";
$restored->safe_psql('postgres', $variables . block('doc/operate.md', 'after a restore'));
($txid, $seq) = split /\|/, $restored->safe_psql('postgres', block('doc/operate.md', 'where the relay goes on'));
$receiver->safe_psql('postgres', "UPDATE position SET (txid, seq) = ('$txid', $seq)");
# life goes on before the relay does
$restored->safe_psql('postgres', $change);
relay_rest($restored);
$restored->safe_psql('postgres', $change);
relay_rest($restored);
is($receiver->safe_psql('postgres', q{SELECT substring(event FROM '\d+\|\d+\|(.*)') COLLATE "C" FROM received ORDER BY 1}),
	$restored->safe_psql('postgres', qq{SELECT substring(event FROM '\\d+\\|\\d+\\|(.*)') COLLATE "C" FROM ($all) AS e(event) ORDER BY 1}),
	'after the restore: none missed, none repeated');
is($receiver->safe_psql('postgres', q{SELECT count(*) > 0 FROM received WHERE txid = '1'}), 't', 'also those that were not relayed before it');

done_testing();
