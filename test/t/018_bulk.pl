# Calls for thousands of contacts: beside each other, in any order, beside calls for
# one and plain statements there is no deadlock and no error, only contacts that the
# answer says were held, and every change is stamped once.  Cancelled at any time a
# call has changed nothing.  Its memory is bounded and given back.
#
# CONTACT_BLOCK_LONG=1 makes it ten times as many calls, and 1,000,000 contacts in
# one call instead of 100,000.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = $ENV{CONTACT_BLOCK_LONG} || 0;
my $calls = $long ? 20 : 2;    # of each client
my $cancels = $long ? 100 : 10;
my $many = $long ? 1_000_000 : 100_000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# waits are long here, and each is looked at for a deadlock once
$node->append_conf('postgresql.conf', qq{
autovacuum = off
deadlock_timeout = 100ms
log_statement = none
shared_buffers = 32MB
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO contacts (id, email) SELECT 'c' || i, 'c@example.org' FROM generate_series(1, 12000) AS i;
	CREATE TABLE answers (call text, code text, changed boolean, n bigint);
	CREATE FUNCTION ids(n int) RETURNS text[] LANGUAGE sql AS
	$$SELECT array_agg('c' || i) FROM (SELECT i FROM generate_series(1, 12000) AS i ORDER BY random() LIMIT n) AS i$$;
	ALTER DATABASE postgres SET contact_block.plain_unblock = 'allow'});

# The plan, from the library that has it.

SKIP:
{
	my ($rc) = $node->psql('postgres', q{LOAD 'auto_explain'});
	skip 'auto_explain is not installed', 4 if $rc != 0;
	my $show = q{
		LOAD 'auto_explain';
		SET auto_explain.log_min_duration = 0;
		SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_format = text;
		SET client_min_messages = log};
	my $calls = q{
		SELECT count(*) FROM contacts_block(ids(10000));
		SELECT count(*) FROM contacts_block(ids(2), 'spam');
		SELECT count(*) FROM contacts_unblock(ids(100));
		SELECT count(*) FROM contacts_block('{c1,c2,c3}')};

	# The nodes below each statement of contacts that is not a scan of ours.
	my $scans = sub {
		my ($prelude) = @_;
		my ($rc, $stdout, $stderr) = $node->psql('postgres', "BEGIN; $prelude; $show; $calls; ROLLBACK");
		my @plans = grep { /contacts (?:SET .*)?WHERE id \S* ANY/ } split /^(?=\S*:? ?LOG:)/m, $stderr;
		my %nodes = map { ($_ => 1) } map { /^\s*(?:->  )?(\w[\w ]*?Scan\b[\w ]*?) (?:using|on) /mg } @plans;
		my $by_ids = grep { /Index Cond: \(\w+ = ANY \(/ } @plans;
		return join(', ', sort keys %nodes) . ($by_ids == @plans && @plans > 4 ? ' by ids' : " by ids in $by_ids of " . @plans);
	};
	is($scans->('SELECT'), 'Index Scan by ids', 'the statements go by index');
	is($scans->('ANALYZE contacts'), 'Index Scan by ids', 'when the table has been looked at');
	is($scans->(q{DELETE FROM contacts WHERE id > 'c2'; ANALYZE contacts}), 'Index Scan by ids', 'when it is small');
	is($scans->(q{
		CREATE TABLE parted (LIKE contacts INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
		CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		INSERT INTO parted SELECT * FROM contacts;
		DROP TABLE contacts CASCADE;
		ALTER TABLE parted RENAME TO contacts;
		SELECT contact_block_setup();
		ANALYZE contacts}), 'Index Scan by ids', 'with partitions');
}

# Many at once.

# Each script notes what its call has said, in the transaction of the call.
my $dir = PostgreSQL::Test::Utils::tempdir;
my %scripts = (
	block => q{contacts_block(ids(10000))},
	reason => q{contacts_block(ids(10000), :client_id::text)},
	unblock => q{contacts_unblock(ids(10000))});
my $note = sub { "INSERT INTO answers SELECT '$_[0]', code, changed, count(*) FROM $_[1] GROUP BY code, changed;\n" };
append_to_file("$dir/$_", $note->($_, $scripts{$_})) for keys %scripts;
append_to_file("$dir/one_block", "\\set id random(1, 12000)\nSELECT contact_block('c' || :id, :client_id::text);\n" x 20);
append_to_file("$dir/one_unblock", "\\set id random(1, 12000)\nSELECT contact_unblock('c' || :id);\n" x 20);
append_to_file("$dir/plain", "\\set id random(1, 12000)\n" . q{
WITH u AS (UPDATE contacts SET status = CASE status WHEN 'Active' THEN 'Blocked' ELSE 'Active' END WHERE id = 'c' || :id RETURNING 1)
INSERT INTO answers SELECT 'plain', '00000', true, count(*) FROM u;
} x 20);

# Runs the scripts, and returns how many rows the bulk calls said that they changed, and
# how many have been changed.
my $changes = q{SELECT coalesce(sum(n) FILTER (WHERE changed), 0) FROM answers};
my $updates = q{SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'contacts'};

sub run_clients
{
	my ($name, @scripts) = @_;
	my $changes_before = $node->safe_psql('postgres', $changes);
	my $updates_before = $node->safe_psql('postgres', $updates);
	my $held_before = $node->safe_psql('postgres', q{SELECT coalesce(sum(n), 0) FROM answers WHERE code = '55P03'});
	command_checks_all(
		[ 'pgbench', '-n', '-c', 8, '-t', $calls, '--max-tries=1', (map { ('-f', "$dir/$_") } @scripts), '-d', $node->connstr('postgres') ],
		0, [qr/number of transactions actually processed: (\d+)\/\1/], [qr/\A(?!.*(?:ERROR|aborted))/s], "$name: no error");
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});
	is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT code, ' ') FROM answers WHERE code NOT IN ('00000', '55P03')}), '',
		"$name: every contact was changed, was that already or was held");
	note("$name: "
		. ($node->safe_psql('postgres', q{SELECT coalesce(sum(n), 0) FROM answers WHERE code = '55P03'}) - $held_before)
		. ' were held');
	return ($node->safe_psql('postgres', $changes) - $changes_before, $node->safe_psql('postgres', $updates) - $updates_before);
}

my ($said, $done) = run_clients('many beside many', qw(block reason unblock));
cmp_ok($said, '>', 10000, 'much was changed');
is($done, $said, 'as often as the answers say');
($said, $done) = run_clients('many beside plain statements', qw(block reason unblock plain));
is($done, $said, 'as often as the answers say');

# With the history every change has its event: one after the other they make sense,
# and no two have a stamp in common.
$node->safe_psql('postgres', 'SELECT contact_history_setup()');
my $events_before = $node->safe_psql('postgres', $changes);
run_clients('many beside one and plain statements', qw(block unblock one_block one_unblock plain));
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (
		SELECT *, lag(status) OVER w AS was, lag(at) OVER w AS was_at FROM contact_events WINDOW w AS (PARTITION BY contact_id ORDER BY at)) AS e
	WHERE was <> old_status OR was_at >= at OR status = old_status AND status <> 'Blocked'}), '0', 'every change follows the one before it');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM contacts AS c JOIN
		(SELECT DISTINCT ON (contact_id) * FROM contact_events ORDER BY contact_id, at DESC) AS e ON e.contact_id = c.id
	WHERE (c.status, c.updated_at, c.updated_by) IS DISTINCT FROM (e.status, e.at, e.by)
		OR c.status = 'Blocked' AND e.old_status = 'Active' AND c.blocked_at <> e.at}), '0', 'the last one is what the contact says');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM contact_events'), '>=',
	$node->safe_psql('postgres', $changes) - $events_before, 'all are there');
is($node->safe_psql('postgres', q{SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'}), '0', 'no deadlock');
unlike(slurp_file($node->logfile), qr/deadlock detected|could not serialize|ERROR: ++(?!relation|could not access file)/, 'no error in the log');

# Cancelled.

# At random, and no later than such a call takes.
$node->safe_psql('postgres', q{
	DROP TRIGGER zzz_contact_record ON contacts;
	DROP TABLE contact_events;
	VACUUM FULL contacts});
my $psql = $node->background_psql('postgres', on_error_stop => 0);
$psql->query('\set VERBOSITY sqlstate');
my $setup = q{SELECT count(*) FROM contacts_unblock((SELECT array_agg(id) FROM contacts))};
$node->safe_psql('postgres', $setup);
my $took = $node->safe_psql('postgres', q{
	SELECT clock_timestamp() AS start \gset
	SELECT count(*) AS all FROM contacts_block((SELECT array_agg(id) FROM contacts), 'timed') \gset
	SELECT ceil(1000 * extract(epoch FROM clock_timestamp() - :'start'))::int});
my ($cancelled, @half) = (0);
for my $n (1 .. $cancels)
{
	$node->safe_psql('postgres', $setup);
	my $timeout = 1 + int rand($took);
	$psql->query(qq{
		SET contact_block.actor = 'cancel-$n';
		SET statement_timeout = $timeout;
		SELECT count(*) FROM contacts_block((SELECT array_agg(id) FROM contacts), 'cancel-$n');
		RESET statement_timeout});
	my $changed = $node->safe_psql('postgres', qq{
		SELECT concat_ws(' ', count(*) FILTER (WHERE status = 'Blocked'), count(*) FILTER (WHERE blocked_reason = 'cancel-$n'),
			count(*) FILTER (WHERE updated_by = 'cancel-$n'), count(*) FILTER (WHERE blocked_by = 'cancel-$n' AND blocked_at = updated_at)) FROM contacts});
	push @half, "$timeout ms of $took: $changed" if $changed ne '0 0 0 0' && $changed ne '12000 12000 12000 12000';
	$cancelled++ if $changed eq '0 0 0 0';
}
note("$cancelled of $cancels were cancelled");
is("@half", '', 'a call that is cancelled has changed nothing, another all');
cmp_ok($cancelled, '>', 0, 'some were cancelled');
like($psql->query(q{SELECT code FROM contacts_block('{c1}')}), qr/00000/, 'the session goes on');
$psql->quit;

# Memory.

$node->safe_psql('postgres', qq{
	INSERT INTO contacts (id, email) SELECT 'm' || i, 'm\@example.org' FROM generate_series(1, $many) AS i});
my $memory = q{
	SELECT sum(used_bytes) FROM pg_backend_memory_contexts;
	SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'VmHWM:\s+(\d+) kB')};
my $answer = $node->safe_psql('postgres', qq{
	CREATE TEMP TABLE given AS SELECT array_agg('m' || i ORDER BY random()) AS ids FROM generate_series(1, $many) AS i;
	\\o /dev/null
	SELECT count(*) FROM contacts_block('{c1,c2}', 'x'), contacts_unblock('{c1,c2,n}'), contacts_block('{c1,c2}') AS again;
	$memory;
	\\o
	$memory;
	SELECT count(*) FROM given, contacts_block(ids) WHERE changed;
	$memory;
	SELECT count(*) FROM given, contacts_block(ids) WHERE NOT changed AND code = '00000';
	$memory});
my ($before, $peak_before, $changed, $after, $peak, $retried, $after_retry, $peak_of_retry) = split /\n/, $answer;
is($changed, $many, "$many contacts in one call");
is($retried, $many, 'again');
note("from $before to $after and $after_retry bytes; at most $peak_before kB before, $peak kB in the first call, $peak_of_retry kB in both");
cmp_ok($after - $before, '<', $many, 'the memory is given back');
cmp_ok($after_retry - $after, '<', $many, 'again');
cmp_ok($peak - $peak_before, '<', 50_000 + $many, 'the memory is bounded: at most 1 kB for each');

done_testing();
