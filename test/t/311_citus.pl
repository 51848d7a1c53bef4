# doc/sharding/citus, to the letter, on a coordinator and two workers: the calls do
# and answer what they do in a plain database beside it, no stamp is lost or made on
# the way to the shards and between them, and nobody acts under a connection's name.
# Needs Citus, which Debian does not have.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(blocks);

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $library = `$pg_config --pkglibdir`);
plan skip_all => "Citus is not installed ($library/citus.so)" unless -e "$library/citus.so";

my $documents = "$FindBin::RealBin/../../doc";
my ($install, $call, $send_along) = map { $_->[1] } grep { $_->[0] eq 'sql' } blocks('doc/sharding/citus/README.md');

my ($coordinator, $worker1, $worker2) = map {
	my $node = PostgreSQL::Test::Cluster->new($_);
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', <<~END);
		shared_preload_libraries = 'citus'
		citus.node_conninfo = 'sslmode=prefer'
		citus.local_hostname = '${\ $node->host }'
		citus.enable_statistics_collection = off
		citus.shard_count = 4
		lc_messages = 'C'
		log_statement = none
		END
	$node->start;
	# minor versions that have it let in no plugin for logical decoding unnamed
	if ($node->safe_psql('postgres', "SELECT current_setting('output_plugin_libraries', true) IS NOT NULL") eq 't')
	{
		$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, citus'");
		$node->reload;
	}
	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->safe_psql('app', 'CREATE EXTENSION citus');
	$node;
} qw(coordinator worker1 worker2);

sub app
{
	my ($sql) = @_;
	return $coordinator->safe_psql('app', $sql);
}

sub run_file
{
	my ($database, $file, @options) = @_;
	command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', @options, '-d', $coordinator->connstr($database),
			'-f', "$documents/$file" ], "$file in $database");
}

# The same contacts in both databases; with a history in both.
my $contacts = $install . q{
	SET search_path = notifications, pg_catalog;
	SELECT contact_block_setup();
	SELECT contact_history_setup();
	SET contact_block.actor = 'USR-0';
	INSERT INTO accounts (id, type, status, name) VALUES ('ACC-1', 'Client', 'Active', 'One');
	INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id)
	VALUES ('USR-7', 'u@example.org', 'Active', 'User', 'User', 'User', 'ACC-1');
	INSERT INTO account_users VALUES ('USR-7', 'ACC-1');
	INSERT INTO categories (id, short_description) VALUES ('CAT-1', 'one'), ('CAT-2', 'two');
	INSERT INTO contacts (id, email, user_id) SELECT i, i || '@example.org', 'USR-7' FROM generate_series(1, 500) AS i;
	INSERT INTO contacts (id, email, status) VALUES
		('CTT-1', 'c@example.org', 'Active'), ('CTT-2', 'c@example.org', 'Active'), ('CTT-3', 'c@example.org', 'Active'),
		('CTT-4', 'c@example.org', 'Active'), ('new', 'n@example.org', 'New'), (E'o''dd\\\\ \n"id" é', 'o@example.org', 'Active');
	INSERT INTO contact_opt_outs SELECT i, 'CAT-' || c FROM generate_series(1, 20) AS i, generate_series(1, 2) AS c;
	SELECT count(*) FROM contacts_block('{101,102,103}', 'before');
	UPDATE contacts SET status = 'Deleted' WHERE id = '103'};
# A line for each table: another one when any of its rows is.
my $checksums = join(' UNION ALL ', map {
	"SELECT '$_ ' || coalesce(md5(string_agg(md5(r::text), '' ORDER BY r::text)), 'none') FROM notifications.$_ AS r"
} qw(accounts users account_users categories contacts contact_opt_outs contact_events));

$coordinator->safe_psql('postgres', 'CREATE DATABASE plain');
$coordinator->safe_psql('plain', "$contacts; ALTER DATABASE plain SET contact_block.require_actor = on");
app("SELECT citus_set_coordinator_host('${\ $coordinator->host }', ${\ $coordinator->port })");
app("SELECT citus_add_node('${\ $worker1->host }', ${\ $worker1->port })");
app($contacts);

# To the shards, on one worker at first; the other one joins later.
my $before = app($checksums);
run_file('app', "sharding/citus/$_.sql") for qw(setup history functions grants);
is(app($checksums), $before, 'no row is another one after it was distributed');
app("SELECT citus_add_node('${\ $worker2->host }', ${\ $worker2->port }); SELECT replicate_reference_tables()");
run_file('app', 'sharding/citus/grants.sql');
run_file('plain', 'gateway/roles.sql');
$coordinator->safe_psql('plain', q{
	CREATE FUNCTION api.contacts_delete(ids text[]) RETURNS TABLE (id text, code text, status text, changed boolean)
	BEGIN ATOMIC SELECT one.id, one.code, one.status, one.changed FROM notifications.contacts_delete(ids) AS one; END;
	GRANT EXECUTE ON FUNCTION notifications.contacts_delete(text[]) TO contact_operator});

my $shards = "SELECT count(*) FROM citus_shards WHERE table_name = 'notifications.contacts'::regclass";

# Are both triggers in force on every shard?  Returns how many shards each node has.
sub placed
{
	is( app(q{
		SELECT count(*) FROM run_command_on_shards('notifications.contacts', $$
			SELECT count(*) FROM pg_trigger WHERE tgrelid = '%s'::regclass AND tgenabled = 'O' AND
				tgfoid IN ('notifications.contact_audit'::regproc, 'notifications.contact_record'::regproc)$$)
		WHERE success AND result = '2'}),
		app($shards), 'both triggers are on every shard');
	return join(' ', map { app("$shards AND nodeport = " . $_->port) } ($worker1, $worker2, $coordinator));
}

# What a caller gets: the rows, or SQLSTATE, message, DETAIL and HINT of an error,
# with "T" for the times.
sub outcome
{
	my ($database, $sql, %options) = @_;
	my $actor = exists $options{settings} ? $options{settings} : "SET contact_block.actor = 'USR-7'";
	my ($rc, $stdout, $stderr) = $coordinator->psql($database,
		"SET ROLE contact_operator;\n\\set VERBOSITY verbose\n$actor;\n$sql", on_error_stop => 1);
	my $outcome = $rc == 0 ? $stdout :
	  join("\n", map { s/^psql:\S+ //r } grep { /ERROR:|^DETAIL:|^HINT:/ } split /\n/, $stderr);
	return $outcome =~ s/\d{4}-\d\d-\d\dT[\d:.]+Z/T/gr;
}

# Both databases, the same; returns what they say.
sub same
{
	my ($sql, %options) = @_;
	my $plain = outcome('plain', $sql, %options);
	is(outcome('app', $sql, %options), $plain, $sql =~ s/\s+/ /gr . ($options{settings} ? " ($options{settings})" : ''));
	return $plain;
}

# Every node has contacts from now on, the coordinator, too.
my ($first, undef, $third) = split /\n/, app("SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'notifications.contacts'::regclass ORDER BY shardid");
sub move
{
	my ($shard, $from, $to, $mode) = @_;
	app("SELECT citus_move_shard_placement($shard, '${\ $from->host }', ${\ $from->port }, '${\ $to->host }', ${\ $to->port }, '$mode')");
}
$before = app($checksums);
is(placed(), '4 0 0', 'one worker has all shards');
move($first, $worker1, $worker2, 'force_logical');
app("SELECT citus_set_node_property('${\ $coordinator->host }', ${\ $coordinator->port }, 'shouldhaveshards', true)");
move($third, $worker1, $coordinator, 'block_writes');
is(placed(), '2 1 1', 'two are moved');
is(app($checksums), $before, 'no row is another one after it was moved');
my $nodeport = q{(SELECT nodeport FROM citus_shards WHERE shardid = get_shard_id_for_distribution_column('notifications.contacts', id))};
is(app("SELECT count(DISTINCT $nodeport) FROM notifications.contacts WHERE id ~ '^[123]?[0-7]\$'"),
	3, 'and the contacts of the calls below are on all of them');

# Every verb, and every error
like(same("SELECT api.contact_block('1', 'spam')"), qr/"blockedReason": "spam"/, 'blocked');
like(outcome('app', "SELECT api.contact_document('1') -> 'audit' -> 'blocked'"), qr/"id": "USR-7", "icon": null, "name": "User"/, 'by the actor');
same("SELECT api.contact_block('$_->[0]', $_->[1])")
  for [ 1, "'spam'" ], [ 1, "'ham'" ], [ 1, "NULL" ], [ 1, "''" ], [ 2, 'NULL' ], [ 3, "''" ], [ 4, "'o''dd\\ \n'" ], [ 5, "'x'" ];
same("SELECT api.contact_block('6')");
same("SELECT api.contact_unblock('$_')") for 1, 2, 2;
same("SELECT api.contact_delete('$_')") for 2, 3, 3;
like(same("SELECT api.contact_block('3')"), qr/PT409: .*\nDETAIL:  Contact "3" is Deleted\./, 'a conflict');
for my $verb (qw(block unblock delete document))
{
	same("SELECT api.contact_$verb('new')");
	like(same("SELECT api.contact_$verb('nobody')"), qr/PT404: /, 'nobody is not there');
	like(same("SELECT api.contact_$verb(NULL)"), qr/22004: /, 'null is no id');
	like(same("SELECT api.contact_$verb('')"), qr/22023: /, 'nor is an empty one');
	same("SELECT api.contact_$verb(E'o''dd\\\\ \\n\"id\" é')");
}

# Many
same("SELECT * FROM api.contacts_block('{12,11,10,nobody,NULL,\"\",new,10,12}', 'many')") for 1, 2;
same("SELECT * FROM api.contacts_block('{12,13}')");
same("SELECT * FROM api.contacts_unblock('{13,12,3}')");
same("SELECT * FROM api.contacts_delete('{12,2,14}')");
same("SELECT * FROM api.contacts_block('{}')");
same("SELECT * FROM api.contacts_$_(NULL)") for qw(block unblock delete);
same("SELECT count(*), count(*) FILTER (WHERE changed) FROM api.contacts_block((SELECT array_agg(i::text) FROM generate_series(300, 80, -1) AS i), 'lots')");

# Who acts, and how it is told
my %actors = (
	"SET contact_block.actor = 'USR-8'" => 'USR-8',
	q{SET request.jwt.claims = '{"sub": "USR-9"}'} => 'USR-9',
	q{SET contact_block.actor = 'USR-8'; SET request.jwt.claims = '{"sub": "USR-9"}'} => 'USR-8');
my $id = 400;
for my $settings (sort keys %actors)
{
	$id++;
	is(same("SELECT api.contact_block('$id') #>> '{audit,blocked,by,id}'", settings => $settings), $actors{$settings}, $actors{$settings});
}
like(same("SELECT api.contact_block('410')", settings => $_), qr/22023: /, 'no actor')
  for '', q{SET request.jwt.claims = '{"role": "contact_operator"}'}, 'SET request.jwt.claims = 1', q{SET request.jwt.claims = '{"sub": []}'};
same("SELECT api.contact_document('410') ->> 'status'", settings => '');
# nor does the actor of a call stay, where it went, for what follows in its transaction
my $far = app("SELECT id FROM notifications.contacts WHERE id BETWEEN '431' AND '439' AND $nodeport <> ${\ $coordinator->port } LIMIT 1");
like(outcome('app', "BEGIN; SELECT api.contact_block('$far'); UPDATE notifications.contacts SET status = 'Deleted' WHERE id = '$far'; COMMIT"),
	qr/22023: no actor is set/, 'plain SQL brings no actor');
like(same($call, settings => ''), qr/"bounced".*\nCTT-2\|00000\|Blocked\|t\nCTT-3\|00000\|Blocked\|t$/, 'the calls of the README');
same("$send_along; SELECT deleted_by FROM notifications.contacts WHERE id = 'CTT-4'", settings => '');

# whatever the settings of the session, and however often it calls
same("SET plan_cache_mode = force_generic_plan; SET search_path = pg_temp;
	SELECT count(api.contact_block(i::text, 'often')) FROM generate_series(411, 430) AS i");

# Rights, as those of whoever calls
sub in_both { $coordinator->safe_psql($_, $_[0]) for qw(app plain) }
in_both('REVOKE SELECT (email, user_id) ON notifications.contacts FROM contact_operator');
like(same("SELECT api.contact_document('1')"), qr/"omitted": \["email"/, 'what may not be read is left out');
in_both('REVOKE UPDATE (blocked_reason, status) ON notifications.contacts FROM contact_operator');
like(same("SELECT api.contact_block('20')"), qr/42501: permission denied/, 'nor may it be written');
in_both('GRANT SELECT (email, user_id), UPDATE (blocked_reason, status) ON notifications.contacts TO contact_operator;
	ALTER TABLE notifications.contacts ENABLE ROW LEVEL SECURITY;
	CREATE POLICY read ON notifications.contacts FOR SELECT USING (id <> \'21\');
	CREATE POLICY write ON notifications.contacts FOR UPDATE
	USING (id <> current_setting(\'request.jwt.claims\', true)::jsonb ->> \'not\')');
my $claims = q{SET request.jwt.claims = '{"sub": "USR-7", "not": "22"}'};
like(same("SELECT api.contact_block('$_->[0]')", settings => $claims), $_->[1], "row security on $_->[0]")
  for [ 21, qr/PT404/ ], [ 22, qr/42501/ ], [ 23, qr/"Blocked"/ ];
same("SELECT * FROM api.contacts_block('{21,22,24}')", settings => $claims);
in_both('ALTER TABLE notifications.contacts DISABLE ROW LEVEL SECURITY');
like(outcome('app', "SELECT notifications.contact_on_shard('1', 'contact_unblock', '', 'USR-1', '') IS NULL", settings => 'RESET ROLE; SET ROLE pg_monitor'),
	qr/42501: permission denied/, 'nobody else may call');

# One transaction, whatever the nodes
for my $end (qw(ROLLBACK COMMIT))
{
	same("BEGIN; SELECT api.contact_block(i::text) ->> 'status' FROM generate_series(30, 37) AS i; $end;
		SELECT string_agg(api.contact_document(i::text) ->> 'status', ',' ORDER BY i) FROM generate_series(30, 37) AS i");
}
same("BEGIN; SET TRANSACTION READ ONLY; SELECT api.contact_document('1') ->> 'id'; COMMIT");
like(same("BEGIN; SET TRANSACTION READ ONLY; SELECT api.contact_block('38')"), qr/25006: /, 'read only');

# The history is the same
my $history = 'SELECT contact_id, by, old_status, status, reason FROM notifications.contact_events ORDER BY contact_id COLLATE "C", at';
is(app($history), $coordinator->safe_psql('plain', $history), 'the history is the same');

# Calls while a shard moves: each one is done, once.
my $script = PostgreSQL::Test::Utils::tempdir . '/calls.sql';
append_to_file($script, "SET contact_block.actor = 'USR-7';\n" . join('', map { "SELECT api.contact_block('$_', 'moved');\n" } 301 .. 400));
my ($out, $err) = ('', '');
my $calls = IPC::Run::start([ 'psql', '-XAtq', '-d', $coordinator->connstr('app'), '-f', $script ], '>', \$out, '2>', \$err);
move($first, $worker2, $worker1, 'force_logical');
$calls->finish;
is($err, '', 'no call fails while a shard moves');
is(placed(), '3 0 1', 'it is moved');
is(app("SELECT count(*), count(DISTINCT contact_id) FROM notifications.contact_events WHERE reason = 'moved'"), '100|100',
	'and every call is done, and once');

# Split
$before = app($checksums);
app("SELECT citus_split_shard_by_split_points(shardid, ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text],
		(SELECT array_agg(nodeid ORDER BY nodeid) FROM pg_dist_node WHERE groupid > 0), '$_->[1]')
	FROM pg_dist_shard WHERE shardid = $_->[0]") for [ $first, 'block_writes' ], [ $third, 'force_logical' ];
is(app($shards), 6, 'two shards are split');
placed();
is(app($checksums), $before, 'no row is another one after that');
is(outcome('app', "SELECT count(*) FILTER (WHERE changed), count(*) FILTER (WHERE code = '00000' AND NOT changed)
	FROM api.contacts_block((SELECT array_agg(i::text) FROM generate_series(301, 500) AS i))"), '77|123', 'and the calls work');

# A call that finds no trigger where the row is says so.
my $local = "BEGIN; SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL contact_block.actor = 'USR-8';";
like(outcome('app', "$local SELECT notifications.contact_block('$far', 'x')"),
	qr/55000: contact_block is not set up\nDETAIL:  The audit trigger is there and in force, but did not fire in this session\.\nHINT:  .*shard/,
	'the functions of one machine, on the coordinator');
app(q{SELECT run_command_on_shards('notifications.contacts', 'ALTER TABLE %s DISABLE TRIGGER USER')});
like(outcome('app', "SELECT api.contact_unblock('301')"), qr/55000: .*\nDETAIL:  .* did not fire in this session/, 'shards without the trigger');
is(app("SELECT status FROM notifications.contacts WHERE id = '301'"), 'Blocked', 'and nothing has changed');

done_testing();
