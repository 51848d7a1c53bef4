# Two shards become four by the files of doc/sharding/plproxy, while 8 clients
# block and unblock: every acknowledged call is there, no document is different,
# no event of the history lost.  Before that the reference data, after it a router
# that is restarted, and PgBouncer in front of the shards.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(block);
use Shards qw(new_server try_file run_file set_up_shard at as_operator start_pgbouncer stop_pgbouncer);
use Workload;

my $disagree = block('doc/operate.md', 'contacts that disagree with their history');

# Old shards and new ones share a server each, the publisher the router's.
my $router = new_server('router');
my $old = new_server('old');
my $new = new_server('new');
my @shards = ([ $old, 'shard0' ], [ $old, 'shard1' ], [ $new, 'shard2' ], [ $new, 'shard3' ]);
set_up_shard(@{ $shards[0] }, 0, 127);
set_up_shard(@{ $shards[1] }, 128, 255);
run_file($router, 'postgres', 'router.sql', shard0 => at(@{ $shards[0] }), shard1 => at(@{ $shards[1] }));

sub on_shards
{
	my ($sql, @which) = @_;
	return map { $_->[0]->safe_psql($_->[1], $sql) } @shards[@which];
}
on_shards('SELECT crm.contact_history_setup()', 0, 1);

$router->safe_psql('postgres', 'CREATE DATABASE reference');
$router->safe_psql('reference', q{
	CREATE SCHEMA crm;
	CREATE EXTENSION contact_block SCHEMA crm;
	SELECT crm.contact_block_setup();
	INSERT INTO crm.categories (id, name, short_description) VALUES ('CAT-1', 'News', 'What is new')});
run_file($router, 'reference', 'publisher.sql', shards => '0,1,2,3');

sub subscribe
{
	my (@which) = @_;
	foreach my $i (@which)
	{
		run_file(@{ $shards[$i] }, 'subscriber.sql', shard => $i, publisher => at($router, 'reference') . ' user=contact_replica');
		$shards[$i][0]->poll_query_until($shards[$i][1],
			q{SELECT count(*) = 4 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel}) or die 'the copy does not end';
	}
	return;
}
subscribe(0, 1);

# A contact whose user has not arrived
my $insert = q{INSERT INTO crm.contacts (id, email, user_id) VALUES ('late', 'l@example.com', 'USR-1')};
my $home = $router->safe_psql('postgres', q{SELECT shard FROM contact_proxy.shards WHERE contact_proxy.bucket('late') BETWEEN first_bucket AND last_bucket});
my ($server, $database) = @{ $shards[$home] };
my (undef, undef, $stderr) = $server->psql($database, "\\set VERBOSITY sqlstate\n$insert");
like($stderr, qr/23503/, 'a contact whose user has not arrived cannot be inserted');
$router->safe_psql('reference', q{INSERT INTO crm.users (id, email, status, name, first_name, last_name)
	SELECT 'USR-' || i, 'u@example.com', 'Active', 'User ' || i, 'First', 'Last' FROM generate_series(1, 3) AS i});
my $behind = block('doc/sharding.md', 'how far each shard is behind') =~ s/;\n\z//r;
# those that are not there yet are not waited for
$router->poll_query_until('reference', "SELECT count(*) FILTER (WHERE active AND bytes = 0) = 2 FROM ($behind) AS b") or die 'the users do not arrive';
$server->safe_psql($database, $insert);
# and a user that is deleted while contacts refer to it
$router->safe_psql('reference', q{DELETE FROM crm.users WHERE id = 'USR-1'});
$server->poll_query_until($database, 'SELECT count(*) = 2 FROM crm.users') or die 'the deletion does not arrive';
my $call = q{SET ROLE contact_operator; SET contact_block.actor = 'USR-1'; SELECT crm.contact_block('late')};
my $late = $router->safe_psql('postgres', $call);
like($late, qr/"userId": "USR-1"/, 'a contact whose user was deleted can be blocked');
unlike($late, qr/"user": /, 'and has no user in its document');
my $orphans = block('doc/sharding.md', 'contacts whose user is gone');
is(join("\n", grep { $_ ne '' } on_shards($orphans, 0, 1)), 'late|USR-1', 'the query of the documentation finds it');
$server->safe_psql($database, q{SET contact_block.actor = 'USR-2';} . block('doc/sharding.md', 'let them go'));
is(join('', on_shards($orphans, 0, 1)), '', 'and its UPDATE ends that');

# Contacts that the clients leave alone: their documents are known
my $here = 'NOT contact_shard.is_stranger(id)';
my $still = qq{
	SET contact_block.actor = 'USR-2';
	INSERT INTO crm.contacts (id, email, user_id, status)
	SELECT id, 's\@example.com', CASE WHEN i % 2 = 0 THEN 'USR-2' END, CASE WHEN i % 5 = 0 THEN 'New' ELSE 'Active' END
	FROM (SELECT 'still-' || i, i FROM generate_series(1, 400) AS i) AS c (id, i) WHERE $here;
	INSERT INTO crm.contact_opt_outs (contact_id, category_id) SELECT id, 'CAT-1' FROM crm.contacts WHERE id LIKE '%3';
	SELECT count(*) FROM crm.contacts_block(ARRAY(SELECT id FROM crm.contacts WHERE id LIKE 'still-%4'), 'because')};
on_shards($still, 0, 1);
my $documents = q{SELECT id, md5(crm.contact_document(id)::text) FROM crm.contacts WHERE id LIKE 'still-%'};
sub documents { return join "\n", sort map { split /\n/ } on_shards($documents, @_); }
my $before = documents(0, 1);
is(scalar(split /\n/, $before), 400, 'there are contacts to move');

# The fence is behind what was committed, also where nobody waits for that:
# whoever else would write it out is stopped.
my @writers = split /\n/, $old->safe_psql('shard0', q{SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')});
kill 'STOP', @writers;
{
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off';
	my ($last) = on_shards(q{SELECT pg_logical_emit_message(true, 'test', 'committed') \g /dev/null
		SELECT pg_current_wal_insert_lsn()}, 0);
	my ($arrived) = try_file(@{ $shards[0] }, 'fence.sql', first_bucket => 0, last_bucket => 127, seconds => 0);
	my ($is_written) = on_shards("SELECT pg_current_wal_flush_lsn() >= '$last'", 0);
	kill 'CONT', @writers;
	is($arrived, "f\n", 'without a subscription nothing arrives');
	is($is_written, 't', 'what was committed before the fence is written out');
}

# The clients: the relation contacts that they look at is made of documents.
my $load = as_operator(sub {
	return Workload->new($router, pause => 1, load => sub {
		my ($ids) = @_;
		local $ENV{PGOPTIONS} = '';
		on_shards("INSERT INTO crm.contacts (id, email) SELECT id, 'c\@example.org' FROM ($ids) AS ids WHERE $here", 0, 1);
		$router->safe_psql('postgres', qq{
			CREATE VIEW crm.contacts AS
			SELECT id, crm.contact_document(id) -> 'audit' -> 'updated' -> 'by' ->> 'id' AS updated_by FROM ($ids) AS ids;
			GRANT SELECT ON crm.contacts TO contact_operator;
			ALTER DATABASE postgres SET search_path = crm;
			ALTER DATABASE postgres SET client_min_messages = warning});
	});
});
sub check { my ($name) = @_; return as_operator(sub { $load->check($name) }); }
sub wait_for { my ($n) = @_; return as_operator(sub { $load->wait_for($n) }); }

as_operator(sub { $load->start });
wait_for(3);

# One shard after the other gives half of its buckets away.
foreach my $from (0, 1)
{
	my $to = $from + 2;
	my ($first, $middle, $last) = (128 * $from, 128 * $from + 64, 128 * $from + 127);
	my %move = (old => at(@{ $shards[$from] }), old_shard => $from, new_shard => $to,
		first_bucket => $first, middle_bucket => $middle, last_bucket => $last);

	set_up_shard(@{ $shards[$to] }, $middle, $last);
	subscribe($to);
	run_file(@{ $shards[$from] }, 'move_source.sql', first_bucket => $middle, last_bucket => $last);
	my %source = (source => at(@{ $shards[$from] }) . ' user=contact_replica', shard => $to);
	my (undef, $no_history) = try_file(@{ $shards[$to] }, 'move_target.sql', %source);
	like($no_history // '', qr/relation "crm.contact_events" does not exist/, 'a new shard cannot forget the history');
	on_shards('SELECT crm.contact_history_setup()', $to);
	run_file(@{ $shards[$to] }, 'move_target.sql', %source);
	$shards[$to][0]->poll_query_until($shards[$to][1], q{
		SELECT count(*) = 3 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel
		JOIN pg_subscription ON pg_subscription.oid = srsubid WHERE subname = 'contact_move'}) or die 'the contacts are not copied';
	$router->safe_psql('postgres', "ALTER SERVER contacts OPTIONS (ADD p$to '" . at(@{ $shards[$to] }) . "')");

	if ($from == 0)
	{
		# those that would lose contacts, or leave them to nobody
		foreach my $wrong ([ old_shard => 1 ], [ first_bucket => 32 ], [ middle_bucket => 32 ], [ middle_bucket => 96 ], [ old => at(@{ $shards[1] }) ],
			[ old => at($old, 'nowhere') ])
		{
			my (undef, $errors) = try_file($router, 'postgres', 'cut_over.sql', %move, @$wrong);
			like($errors // '', qr/these buckets do not move from this shard/, "a cut-over with the wrong $wrong->[0]");
		}
		# of three shards number 3 is number 0 for PL/Proxy
		foreach my $wrong (0, 1, 3)
		{
			my (undef, $errors) = try_file($router, 'postgres', 'cut_over.sql', %move, new_shard => $wrong);
			like($errors // '', qr/the new shard does not take these buckets/, "one to shard $wrong");
		}
		is($router->safe_psql('postgres', 'SELECT * FROM contact_proxy.shards ORDER BY 1'), "0|127|0\n128|255|1", 'they change nothing on the router');
		is(join(' ', on_shards('SELECT count(*) FROM crm.contacts WHERE contact_shard.is_stranger(id)', 0, 1, $to)), '0 0 0', 'nor on the shards');
		wait_for(1);
		# one that cannot succeed
		on_shards('ALTER SUBSCRIPTION contact_move DISABLE', $to);
		wait_for(1);
		my (undef, $errors) = try_file($router, 'postgres', 'cut_over.sql', %move, seconds => 1);
		like($errors // '', qr/the buckets have not arrived on the new shard/, 'a cut-over that cannot succeed says so');
		is($router->safe_psql('postgres', 'SELECT * FROM contact_proxy.shards ORDER BY 1'), "0|127|0\n128|255|1", 'and changes nothing');
		wait_for(1);
		on_shards('ALTER SUBSCRIPTION contact_move ENABLE', $to);
	}
	run_file($router, 'postgres', 'cut_over.sql', %move);
	wait_for(2);
	if ($from == 0)
	{
		my (undef, $errors) = try_file(@{ $shards[$from] }, 'clean_up.sql');
		like($errors // '', qr/the subscription contact_move is still there/, 'nothing is removed while the subscription is there');
	}
	on_shards('DROP SUBSCRIPTION contact_move', $to);
	run_file(@{ $shards[$from] }, 'clean_up.sql');
	wait_for(2);
}
$load->stop;
check('growing');
is(documents(0 .. 3), $before, 'no document is different, none is there twice');
is($router->safe_psql('postgres', 'SELECT * FROM contact_proxy.shards ORDER BY 1'),
	"0|63|0\n64|127|2\n128|191|1\n192|255|3", 'the table of shards');
my @counts = on_shards(q{SELECT count(*), count(*) FILTER (WHERE contact_shard.is_stranger(id)) FROM crm.contacts}, 0 .. 3);
is(scalar(grep { /^[1-9]\d+\|0$/ } @counts), 4, 'each shard has contacts, and only its own') or diag("@counts");
is(join('', on_shards("SET search_path = crm; $disagree", 0 .. 3)), '', 'events and contacts agree');
is(join('', on_shards(q{SELECT contact_id, by FROM crm.contact_events WHERE contact_id NOT LIKE 'still%' AND by <> '0' GROUP BY 1, 2 HAVING count(*) > 1}, 0 .. 3)),
	'', 'no call has two events');
is(join('', on_shards(q{SELECT conname FROM pg_constraint WHERE NOT convalidated}, 0 .. 3)), '', 'every constraint is validated');

is(join(' ', on_shards(q{SELECT string_agg(DISTINCT (seq / 1000000000000000)::text, ',') FROM crm.contact_events}, 0 .. 3)), '0 0 0,2 0,3',
	'numbers tell which events came along');

# The router is restarted.
as_operator(sub { $load->start });
wait_for(3);
$router->stop('immediate');
$load->finish;
$router->start;
check('the router restarted');

# PgBouncer in front of the shards: 8 clients share two connections to each.
SKIP:
{
	my ($folder, $port) = start_pgbouncer(map { ("shard$_" => at(@{ $shards[$_] })) } 0 .. 3)
	  or skip 'pgbouncer is not installed (Debian: pgbouncer)', 4;
	$router->safe_psql('postgres', 'ALTER SERVER contacts OPTIONS ('
		  . join(', ', map { "SET p$_ 'host=$folder port=$port dbname=shard$_'" } 0 .. 3) . ')');
	as_operator(sub { $load->start });
	wait_for(20);
	is(join(' ', map { $_ <= 2 ? 'few' : $_ } on_shards(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'contact_router' AND datname = current_database()}, 0 .. 3)),
		'few few few few', 'the clients share two connections to each shard');
	$load->stop;
	check('PgBouncer');
	my $left = q{SELECT concat_ws(',', current_user, current_setting('role'), current_setting('contact_block.actor', true), current_setting('request.jwt.claims', true))};
	is((run_command([ 'psql', '-X', '-At', '-d', "host=$folder port=$port dbname=shard0 user=contact_router", '-c', $left ]))[0],
		'contact_router,none,,', 'no call has left anything behind in them');
	stop_pgbouncer();
}

done_testing();
