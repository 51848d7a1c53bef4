# The memory of a backend does not grow: after a warm-up, thousands of calls of each
# verb and of each error path leave it as large as it was.  First as statements of
# their own, then within one statement.
#
# CONTACT_BLOCK_LONG=1 makes it 25 times as many.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 50000 : 2000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# no invalidation messages from elsewhere
$node->append_conf('postgresql.conf', "autovacuum = off\n");
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
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_clerk;
	GRANT SELECT (id, status, email), UPDATE (status, blocked_reason) ON contacts TO regress_clerk;
	ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
	CREATE POLICY seen ON contacts FOR SELECT USING (true);
	CREATE POLICY changed ON contacts FOR UPDATE USING (email <> 'closed')});

# one round: each statement, and the SQLSTATE that it fails with
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
	[q{RESET ROLE}],
	[q{SELECT contact_audit()}, '39P01' ]);

my $round = join ', ', map { my $sql = $_->[0]; "\$q\$$sql\$q\$" } @statements;
my $measure = q{SELECT sum(total_bytes), sum(used_bytes) FROM pg_backend_memory_contexts};

# Runs the rounds, with the memory before and after on standard output.
sub run_rounds
{
	my ($warm_up, $number) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', qq{
\\set VERBOSITY sqlstate
\\o /dev/null
$measure;
SELECT $round FROM generate_series(1, $warm_up)
\\gexec
$measure;
\\o
$measure;
\\o /dev/null
SELECT $round FROM generate_series(1, $number)
\\gexec
\\o
$measure;
}, on_error_stop => 0);
	return ($stdout, $stderr);
}

my ($stdout, $stderr) = run_rounds(100, $rounds);
my ($before, $after) = split /\n/, $stdout;
is($after, $before, "the memory is the same after $rounds rounds");

my (%expected, %errors);
$expected{$_}++ for map { ($_->[1]) x ($rounds + 100) } grep { $_->[1] } @statements;
$errors{$_}++ for $stderr =~ /ERROR:\s+(\w+)/g;
is_deeply(\%errors, \%expected, 'every round had its errors');

# Within one statement, where nothing is tidied up at the end of each call: calls
# without a change (many changes of one row in one transaction take memory of
# PostgreSQL's own), and the trigger over many rows.
$node->safe_psql('postgres', qq{
	CREATE FUNCTION memory() RETURNS text LANGUAGE sql VOLATILE AS
	'SELECT concat(sum(total_bytes), sum(used_bytes)) FROM pg_backend_memory_contexts';
	INSERT INTO contacts (id, email) SELECT 'many-' || i, 'm\@example.org' FROM generate_series(1, 10 * $rounds) AS i});
is($node->safe_psql('postgres', qq{
		DO \$\$
		DECLARE
			memory_before text;
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
				IF i IN (50, 100) THEN
					memory_before := memory();
				END IF;
			END LOOP;
			PERFORM set_config('test.same', (memory() = memory_before)::text, false);
		END \$\$;
		SELECT current_setting('test.same')}),
	'true', 'the memory does not grow within one statement of many calls');
is($node->safe_psql('postgres', qq{
		UPDATE contacts SET name = CASE WHEN id IN ('many-1', 'many-$rounds', 'many-${rounds}0') THEN memory() ELSE 'Name' END
		WHERE id LIKE 'many-%';
		SELECT count(DISTINCT name), count(*) FROM contacts WHERE id IN ('many-$rounds', 'many-${rounds}0')}),
	'1|2', 'the memory does not grow while one statement changes many rows');

done_testing();
