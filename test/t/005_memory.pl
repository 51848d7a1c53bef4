# The memory of a backend does not grow with the number of calls: after a warm-up,
# thousands of calls of each verb and of each error path take less than a byte each,
# and nothing that is allocated is as small as that.  (PostgreSQL's own statistics
# may take some bytes more, once.)  Nor do its open files and its locks, and nothing
# is warned of, as PostgreSQL does of a snapshot, a pin or a reference that is left.
# First as statements of their own, then within one statement.
#
# CONTACT_BLOCK_LONG=1 makes it 50 times as many, which is more than a million calls.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 50000 : 1000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# no invalidation messages from elsewhere
$node->append_conf('postgresql.conf', "autovacuum = off\nlog_statement = none\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO accounts VALUES ('a', 'Client', 'Active', 'Account', NULL);
	INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, culture_code, current_account_id)
	VALUES ('u', 'u@example.org', 'Active', 'User', 'User', 'User', '+1', 'en', 'a');
	INSERT INTO account_users VALUES ('u', 'a');
	INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL);
	INSERT INTO contacts (id, email, user_id, status) VALUES
		('c', 'c@example.org', 'u', 'Active'), ('new', 'new@example.org', NULL, 'New'),
		('blocked', 'blocked@example.org', NULL, 'Blocked'), ('closed', 'closed', NULL, 'Active');
	UPDATE contacts SET blocked_reason = 'one' WHERE status = 'Blocked';
	INSERT INTO contact_opt_outs VALUES ('c', 'n', clock_timestamp());
	CREATE ROLE regress_clerk;
	CREATE ROLE regress_stranger;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_clerk, regress_stranger;
	GRANT SELECT (id, status, email), UPDATE (status, blocked_reason) ON contacts TO regress_clerk;
	ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
	CREATE POLICY seen ON contacts FOR SELECT USING (true);
	CREATE POLICY changed ON contacts FOR UPDATE USING (email <> 'closed')});

# one round: each statement, the SQLSTATE that it fails with, and the number of rounds
# after which it is run again if not in each (a DDL takes its time)
my @statements = (
	[q{SELECT contact_block('c')}],
	[q{SELECT contact_block('c')}],
	[q{SELECT contact_block('c', 'one')}],
	[q{SELECT contact_block('c', 'one')}],
	[q{SELECT contact_block('c', 'two')}],
	[q{SELECT contact_document('c')}],
	[q{SELECT contact_unblock('c')}],
	[q{SELECT contact_unblock('c')}],
	[q{INSERT INTO contacts (id, email) VALUES ('d', 'd@example.org')}],
	[q{SELECT contact_delete('d')}],
	[q{SELECT contact_delete('d')}],
	[ q{SELECT contact_block('d')}, 'PT409' ],
	[ q{UPDATE contacts SET status = 'Active' WHERE id = 'd'}, 'PT409' ],
	[q{DELETE FROM contacts WHERE id = 'd'}],
	[ q{SELECT contact_delete('new')}, 'PT409' ],
	[ q{SELECT contact_block(NULL)}, '22004' ],
	[ q{SELECT contact_document('')}, '22023' ],
	[ q{SELECT contact_block('nobody')}, 'PT404' ],
	[ q{SELECT contact_document('nobody')}, 'PT404' ],
	[q{SET request.jwt.claims = '["u"]'}],
	[ q{SELECT contact_block('c')}, '22023' ],
	[q{SET request.jwt.claims = '{"sub": "u", "groups": ["x"]}'}],
	[q{SELECT contact_block('c')}],
	[q{SET request.jwt.claims = ''}],
	[q{SET ROLE regress_clerk}],
	[q{SELECT contact_unblock('c')}],
	[ q{SELECT contact_block('closed')}, '42501' ],
	[q{SET ROLE regress_stranger}],
	[ q{SELECT contact_document('c')}, '42501' ],
	[q{RESET ROLE}],
	[ q{BEGIN}, undef, 20 ],
	[ q{ALTER TABLE contacts DISABLE TRIGGER USER}, undef, 20 ],
	[ q{SELECT contact_block('c')}, '55000', 20 ],
	[ q{ROLLBACK}, undef, 20 ],
	[q{SELECT contact_audit()}, '39P01' ]);

# \gexec leaves out a null
my $round = join ', ', map {
	my ($sql, undef, $every) = @$_;
	"CASE WHEN i % @{[ $every // 1 ]} = 0 THEN \$q\$$sql\$q\$ END"
} @statements;
my $measure = q{
	SELECT sum(used_bytes), (SELECT count(*) FROM pg_ls_dir('/proc/self/fd')),
		(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid())
	FROM pg_backend_memory_contexts};

# Runs the rounds, with the memory, files and locks before and after on standard output.
sub run_rounds
{
	my ($warm_up, $number) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', qq{
\\set VERBOSITY sqlstate
\\o /dev/null
$measure;
SELECT $round FROM generate_series(1, $warm_up) AS i
\\gexec
$measure;
\\o
$measure;
\\o /dev/null
SELECT $round FROM generate_series(1, $number) AS i
\\gexec
\\o
$measure;
}, on_error_stop => 0);
	return ($stdout, $stderr);
}

my ($stdout, $stderr) = run_rounds(100, $rounds);
my ($before, $files_before, $locks_before, $after, $files_after, $locks_after) = split /[|\n]/, $stdout;
note("from $before to $after bytes, from $files_before to $files_after files");
cmp_ok($after - $before, '<', $rounds, "the memory does not grow in $rounds rounds");
# there may be one for a relation's new fork, once
cmp_ok($files_after - $files_before, '<', 10, 'no file is left open');
is($locks_after, $locks_before, 'no lock is left');

my (%expected, %errors);
$expected{ $_->[1] } += ($rounds + 100) / ($_->[2] // 1) for grep { $_->[1] } @statements;
$errors{$_}++ for $stderr =~ /(?:ERROR|WARNING):\s+(\w+)/g;
is_deeply(\%errors, \%expected, 'every round had its errors and nothing else');

# Within one statement, where nothing is tidied up at the end of each call: calls
# without a change (many changes of one row in one transaction take memory of
# PostgreSQL's own), and the trigger over many rows.
$node->safe_psql('postgres', qq{
	CREATE FUNCTION memory() RETURNS numeric LANGUAGE sql VOLATILE AS
	'SELECT sum(used_bytes) FROM pg_backend_memory_contexts';
	INSERT INTO contacts (id, email) SELECT 'many-' || i, 'm\@example.org' FROM generate_series(1, 10 * $rounds) AS i});
cmp_ok($node->safe_psql('postgres', qq{
		DO \$\$
		DECLARE
			memory_before numeric := 0;
			growth numeric;
		BEGIN
			FOR i IN 1 .. $rounds + 100 LOOP
				PERFORM contact_block('blocked'), contact_block('blocked', 'one'), contact_document('c');
				BEGIN
					PERFORM contact_block('nobody');
					RAISE 'no error';
				EXCEPTION WHEN SQLSTATE 'PT404' THEN
				END;
				BEGIN
					PERFORM contact_delete('new');
					RAISE 'no error';
				EXCEPTION WHEN SQLSTATE 'PT409' THEN
				END;
				-- the first measurement costs memory itself
				IF i IN (50, 100, $rounds + 100) THEN
					growth := memory() - memory_before;
					memory_before := memory_before + growth;
				END IF;
			END LOOP;
			PERFORM set_config('test.growth', growth::text, false);
		END \$\$;
		SELECT current_setting('test.growth')}),
	'<', $rounds, 'the memory does not grow within one statement of many calls');

# PostgreSQL itself takes some bytes for each row that it fires a trigger for; a table
# with a key and a trigger of PostgreSQL's own tells how many.
$node->safe_psql('postgres', q{
	CREATE TABLE others AS SELECT id, name FROM contacts;
	ALTER TABLE others ADD PRIMARY KEY (id);
	CREATE TRIGGER others BEFORE UPDATE ON others
	FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()});

sub growth_of_update
{
	my ($table) = @_;
	return $node->safe_psql('postgres', qq{
		UPDATE $table SET name = CASE WHEN id IN ('many-1', 'many-$rounds', 'many-${rounds}0') THEN memory()::text ELSE '1' END
		WHERE id LIKE 'many-%';
		SELECT b.name::numeric - a.name::numeric FROM $table AS a, $table AS b
		WHERE a.id = 'many-$rounds' AND b.id = 'many-${rounds}0'});
}

cmp_ok(growth_of_update('contacts') - growth_of_update('others'),
	'<', $rounds, 'the memory does not grow while one statement changes many rows');

# The plans that a session keeps are bounded: hundreds of roles that may read
# different columns, each of which has plans of its own, take no more than some
# do.
$node->safe_psql('postgres', q{
	DO $$
	DECLARE
		names text[] := '{email,name,user_id,blocked_reason,created_at,created_by,updated_at,updated_by,activated_at}';
	BEGIN
		FOR i IN 0 .. 511 LOOP
			EXECUTE format('CREATE ROLE regress_reader_%s', i);
			EXECUTE format('GRANT SELECT (%s), UPDATE (status, blocked_reason) ON contacts TO regress_reader_%s',
				(SELECT string_agg(name, ', ') FROM unnest('{id,status}' || names) WITH ORDINALITY AS a (name, n)
				WHERE n < 3 OR i & (1 << (n::int - 3)) > 0), i);
			EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_reader_%s', i);
		END LOOP;
	END $$;
	ALTER TABLE contacts DISABLE ROW LEVEL SECURITY});
my $total = $node->safe_psql('postgres', join(";\n",
		(map { my $role = $_;
			"SET ROLE regress_reader_$role", map { "DO 'BEGIN PERFORM $_; END'" }
				q{contact_block(''blocked'', ''one'')}, q{contact_unblock(''blocked'')},
				q{contact_block(''blocked'')}, q{contact_document(''blocked'')} } 0 .. 511),
		'RESET ROLE', 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts'));
note("$total bytes after the calls of 512 roles");
cmp_ok($total, '<', 12 * 1024 * 1024, 'the plans of many roles take a bounded memory');

done_testing();
