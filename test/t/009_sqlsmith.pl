# sqlsmith makes random statements of the functions, tables and operators that it
# finds in the catalogs, here mostly ours: no crash, no internal error of our code.
#
# CONTACT_BLOCK_SEED=n makes other queries, CONTACT_BLOCK_LONG=1 ten times as many.

use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'sqlsmith is not installed (Debian: sqlsmith)' if system('sqlsmith --version >/dev/null 2>&1') != 0;

my $seed = $ENV{CONTACT_BLOCK_SEED} // 1;
my $queries = $ENV{CONTACT_BLOCK_LONG} ? 60000 : 6000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', qq{
autovacuum = off
track_functions = all
log_error_verbosity = verbose
log_min_messages = error
log_statement = none
max_stack_depth = 1MB
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE smith LOGIN;
	CREATE SCHEMA smith AUTHORIZATION smith;
	CREATE EXTENSION contact_block SCHEMA smith;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA smith TO smith;
	SET SESSION AUTHORIZATION smith;
	SET search_path = smith;
	SELECT contact_block_setup();
	-- whatever it takes for an id is one
	INSERT INTO accounts SELECT i, 'Client', 'Active', i, i FROM generate_series(1, 4) AS i;
	INSERT INTO categories SELECT i, i, i, i FROM generate_series(1, 4) AS i;
	INSERT INTO users SELECT i, i, 'Active', i, i, i, i, i, i, i, i, now(), 1, now(), 1, now(), 2 FROM generate_series(1, 5) AS i;
	INSERT INTO account_users SELECT u.id, a.id FROM users AS u, accounts AS a;
	INSERT INTO contacts (id, email, name, user_id, status, blocked_reason)
		SELECT i, i, i, i % 5 + 1, CASE i WHEN 19 THEN 'New' WHEN 20 THEN 'Deleted' WHEN 1 THEN 'Active' ELSE 'Blocked' END, i
		FROM generate_series(1, 20) AS i;
	INSERT INTO contact_opt_outs SELECT c.id, n.id FROM contacts AS c, categories AS n;
	-- it takes the types that it deals with from columns, so there has to be a document
	CREATE VIEW documents AS SELECT id, contact_document(id) AS document FROM contacts;
	RESET SESSION AUTHORIZATION;

	-- what it takes for pg_proc: of all functions of PostgreSQL it would hardly come to ours
	CREATE SCHEMA shadow;
	GRANT USAGE ON SCHEMA shadow TO smith;
	CREATE VIEW shadow.pg_proc AS
		SELECT * FROM pg_catalog.pg_proc
		WHERE pronamespace = 'smith'::regnamespace AND proname NOT LIKE 'contact%setup' -- they would take most of the time
			OR oid = ANY ('{upper(text), md5(text), jsonb_pretty(jsonb), "jsonb_object_field(jsonb, text)", "jsonb_object_field_text(jsonb, text)"}'::regprocedure[]);
	GRANT SELECT ON shadow.pg_proc TO smith;
	ALTER ROLE smith SET search_path = shadow, pg_catalog});

# It rolls back each of them, and goes on when the server is back after a crash.
command_ok([ 'sqlsmith', '--target=' . $node->connstr('postgres') . ' user=smith', "--seed=$seed", "--max-queries=$queries", '--exclude-catalog' ],
	"seed $seed: $queries statements");
my $log = slurp_file($node->logfile);
is(join('', $log =~ /^.*(?:TRAP:|PANIC:|was terminated by signal).*\n(?:.*DETAIL: .*\n)?(?:\t.*\n)*/mg), '', 'no crash');

my $calls = $node->safe_psql('postgres', q{
	SELECT funcname, sum(calls) FROM pg_stat_user_functions WHERE funcname NOT LIKE 'contact%setup' GROUP BY 1 ORDER BY 1});
note("calls that returned:\n$calls");
is($calls =~ s/\|[1-9]\d*$//mgr, join("\n", qw(contact_audit contact_block contact_delete contact_document contact_unblock)),
	'each function was called and returned');

# An internal error is ours when our code raised it, or its statement calls us.
my $sources = join '|', map { m{(\w+\.c)$} } glob "$FindBin::RealBin/../../src/*.c";
my %ours = (0 => '', 1 => '');
$ours{ /LOCATION:  \w+, (?:$sources):|smith\.contact_\w+\(/ ? 1 : 0 } .= $_ for grep { /ERROR:  (?:XX|58)/ } split /^(?=\d{4}-[^\n]*(?:ERROR|LOG): )/m, $log;
is($ours{1}, '', 'no internal error of ours');
note("those of PostgreSQL:\n$ours{0}");

done_testing();
