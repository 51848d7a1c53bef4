# doc/sharding/plproxy: a router and two shards answer as one machine does, to the
# letter, whatever is asked and whoever asks; and what is different, transactions
# and shards that are down, is as doc/sharding.md says.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(spew);
use Shards qw(new_server try_file run_file set_up_shard at start_pgbouncer stop_pgbouncer);

my $dir = PostgreSQL::Test::Utils::tempdir;

# One server has the router, a plain database with all contacts, and the
# publisher of the reference data; each shard has its own.
my $node = new_server('router');
my @shard = map { new_server("shard$_") } 0, 1;

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(plain router reference strict pooled);
foreach my $database ('plain', 'reference')
{
	$node->safe_psql($database, q{
		CREATE SCHEMA crm;
		CREATE EXTENSION contact_block SCHEMA crm;
		SELECT crm.contact_block_setup()});
}
set_up_shard($shard[$_], 'crm', 128 * $_, 128 * $_ + 127) foreach 0, 1;
my %shards = map { ("shard$_" => at($shard[$_], 'crm')) } 0, 1;
# A function of somebody else's, which must not become that of the role which may call the shards
$node->safe_psql('router', q{
	CREATE SCHEMA crm;
	CREATE FUNCTION crm.contact_block(integer) RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user'});
{
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	run_file($node, 'router', 'router.sql', %shards, password => "it's secret");
}
isnt($node->safe_psql('router', 'SELECT crm.contact_block(1); DROP FUNCTION crm.contact_block(integer)'), 'contact_proxy',
	'what was in the schema before does not run as contact_proxy');

$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
foreach my $file ('router.sql', 'shard.sql')
{
	my (undef, $errors) = try_file($node, 'latin', $file, %shards, first_bucket => 0, last_bucket => 255);
	like($errors // '', qr/the database is not in UTF8/, "$file: another encoding");
}

# The same data: reference data by replication, contacts by their buckets.
my $reference = q{
INSERT INTO crm.accounts (id, type, status, name) VALUES ('ACC-1', 'Client', 'Active', 'Account');
INSERT INTO crm.users (id, email, status, name, first_name, last_name, current_account_id)
VALUES ('USR-1', 'u@example.com', 'Active', 'Ursula', 'Ursula', 'U', 'ACC-1');
INSERT INTO crm.account_users VALUES ('USR-1', 'ACC-1');
INSERT INTO crm.categories (id, name, short_description) VALUES ('CAT-1', 'News', 'What is new');
};
$node->safe_psql($_, $reference) foreach 'plain', 'reference';
run_file($node, 'reference', 'publisher.sql', shards => '0,1');
run_file($shard[$_], 'crm', 'subscriber.sql', shard => $_, publisher => at($node, 'reference') . ' user=contact_replica')
  foreach 0, 1;

# Ids that would do harm if they were ever part of a statement, a name or a
# pattern; and statuses for all transitions.
my $hard_ids = q~VALUES ($$it's$$), ($$a"b$$), (E'a\nb'), ($$c\d$$), ('$1'), ('{}'), ('%s%'), ('ü€'), (' '), (':x'), ('}; DROP')~;
my $contacts = qq{
SET session_replication_role = replica;
INSERT INTO crm.contacts (id, email, name, status, user_id, created_at, created_by)
SELECT id, 'c' || n % 3 || '\@example.com', 'Name ' || n, status, CASE WHEN n % 2 = 0 THEN 'USR-1' END, '2026-01-01', 'USR-1'
FROM (
	SELECT 'CTT-' || i, i, (ARRAY['Active', 'Active', 'Active', 'Active', 'Active', 'New', 'Deleted'])[1 + i % 7] FROM generate_series(1, 70) AS i
	UNION ALL SELECT h, 0, 'Active' FROM ($hard_ids) AS h (h)) AS c (id, n, status)
WHERE get_byte(decode(md5(id), 'hex'), 0) BETWEEN FIRST AND LAST;
INSERT INTO crm.contact_opt_outs SELECT id, 'CAT-1', '2026-01-02' FROM crm.contacts WHERE id LIKE '%1';
};
sub contacts { return $contacts =~ s/FIRST/$_[0]/r =~ s/LAST/$_[1]/r; }

# Roles with the same rights in each: a tenant sees some contacts and changes
# fewer, a clerk may not read all of a contact, a guest reads and changes nothing.
my $roles = q{
CREATE ROLE tenant; CREATE ROLE clerk; CREATE ROLE guest; CREATE ROLE manager;
};
my $rights = q{
GRANT USAGE ON SCHEMA crm TO tenant, clerk, guest, manager;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA crm TO tenant, manager;
GRANT EXECUTE ON FUNCTION crm.contact_block(text), crm.contact_document(text), crm.contacts_block(text[], text) TO clerk, guest;
};
my $tables = q{
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO tenant, manager;
GRANT UPDATE (status, blocked_reason) ON crm.contacts TO tenant, clerk, manager;
GRANT SELECT (id, status, name, blocked_reason, created_at, created_by) ON crm.contacts TO clerk;
GRANT SELECT ON crm.contact_opt_outs TO clerk;
ALTER TABLE crm.contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON crm.contacts TO contact_operator, clerk, manager USING (true);
CREATE POLICY seen ON crm.contacts FOR SELECT TO tenant
	USING (email = nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email' OR name = 'Name 1');
CREATE POLICY changed ON crm.contacts FOR UPDATE TO tenant USING (name <> 'Name 1');
CREATE FUNCTION crm.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'PT422', MESSAGE = 'not today', DETAIL = 'Remote detail: it is ' || NEW.id, HINT = TG_ARGV[0];
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON crm.contacts FOR EACH ROW WHEN (NEW.blocked_reason = 'refused')
	EXECUTE FUNCTION crm.refuse('at once');
CREATE CONSTRAINT TRIGGER refuse_later AFTER UPDATE ON crm.contacts DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.blocked_reason = 'refused later') EXECUTE FUNCTION crm.refuse('at the end');
};
my $operator = q{
GRANT USAGE ON SCHEMA crm TO contact_operator;
GRANT EXECUTE ON FUNCTION crm.contact_block(text), crm.contact_block(text, text), crm.contact_unblock(text),
	crm.contact_document(text), crm.contacts_block(text[], text), crm.contacts_unblock(text[]) TO contact_operator;
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO contact_operator;
GRANT UPDATE (status, blocked_reason) ON crm.contacts TO contact_operator;
ALTER DATABASE plain SET contact_block.require_actor = on;
};
$node->safe_psql('router', $roles . $rights . 'CREATE ROLE nobody_there; GRANT manager TO nobody_there');
$node->safe_psql('plain', contacts(0, 255) . $operator . $rights . $tables);
foreach my $i (0, 1)
{
	$shard[$i]->poll_query_until('crm', 'SELECT count(*) = 1 FROM crm.categories') or die 'no reference data';
	$shard[$i]->poll_query_until('crm',
		q{SELECT count(*) = 4 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel}) or die 'the copy does not end';
	$shard[$i]->safe_psql('crm', contacts(128 * $i, 128 * $i + 127) . $roles . $rights . $tables
		  . 'GRANT tenant, clerk, guest, manager TO contact_router');
}

isnt($shard[0]->safe_psql('crm', 'SELECT crm.contact_block_setup(); SELECT 1'), '', 'set-up runs again on a shard');

# The calls, each as: role, settings, SQL. What psql prints of each, with
# its SQLSTATE, has to be the same on both sides, but for the time.
my @calls;

sub add
{
	my ($role, $settings, @sql) = @_;
	push @calls, map { [ $role, $settings, $_ ] } @sql;
	return;
}
my $actor = q{SET contact_block.actor = 'USR-1';};

sub claims { return "SET request.jwt.claims = '" . $_[0] =~ s/'/''/gr . "';"; }

add('contact_operator', '', "SELECT crm.contact_document(id) FROM (VALUES ('CTT-1'), ('CTT-2'), ('CTT-6'), ('CTT-7'), ('CTT-10')) AS v (id)",
	"SELECT crm.contact_document(id) FROM ($hard_ids) AS v (id)");
# null, empty, unknown
foreach my $id ('NULL', q{''}, q{'none'}, q{'%'}, q{$$it's not$$}, q{E'no\n"such"'})
{
	add('manager', $actor, "SELECT crm.contact_block($id)", "SELECT crm.contact_block($id, 'why')", "SELECT crm.contact_unblock($id)",
		"SELECT crm.contact_delete($id)", "SELECT crm.contact_document($id)", "SELECT crm.contact_block($id, NULL)");
}
# every verb, every status, retries
add('contact_operator', $actor,
	q{SELECT crm.contact_block('CTT-1')}, q{SELECT crm.contact_block('CTT-1')},
	q{SELECT crm.contact_block('CTT-1', 'why')}, q{SELECT crm.contact_block('CTT-1', '')},
	q{SELECT crm.contact_block('CTT-1', NULL)}, q{SELECT crm.contact_block('CTT-1', 'other')},
	q{SELECT crm.contact_unblock('CTT-1')}, q{SELECT crm.contact_unblock('CTT-1')},
	q{SELECT crm.contact_block('CTT-2', NULL)}, q{SELECT crm.contact_block('CTT-3', E'it''s\n"why" \\\\ ü')},
	q{SELECT crm.contact_block(reason => 'named', id => 'CTT-4')},
	q{SELECT crm.contact_block('CTT-5')}, q{SELECT crm.contact_unblock('CTT-5')},
	q{SELECT crm.contact_block('CTT-6', 'deleted')}, q{SELECT crm.contact_unblock('CTT-6')},
	q{SELECT crm.contact_delete('CTT-1')},
	"SELECT crm.contact_block(id, id) FROM ($hard_ids) AS v (id)");
add('manager', $actor, q{SELECT crm.contact_delete('CTT-8')}, q{SELECT crm.contact_delete('CTT-8')},
	q{SELECT crm.contact_delete('CTT-5')}, q{SELECT crm.contact_block('CTT-8')}, q{SELECT crm.contact_unblock('CTT-8')});
# who acts
add('contact_operator', claims('{"sub":"USR-1"}'), q{SELECT crm.contact_block('CTT-9')});
add('contact_operator', claims(q({"sub":"it's \"me\"","role":"x"})), q{SELECT crm.contact_unblock('CTT-9')});
add('contact_operator', $actor . claims('{"sub":"other"}'), q{SELECT crm.contact_block('CTT-9')});
add('contact_operator', $_, q{SELECT crm.contact_block('CTT-10')}, q{SELECT crm.contact_block('CTT-9')},
	q{SELECT crm.contact_document('CTT-9')}, q{SELECT * FROM crm.contacts_block('{CTT-10,CTT-11}')})
  foreach '', claims('{}'), claims('{"sub":{}}'), claims('[1]'), claims('nonsense'), claims('{"sub":""}'), claims('{"sub":null}');
add('contact_operator', claims('{"sub":12}'), q{SELECT crm.contact_block('CTT-11')});
# rows and columns
foreach my $id ('CTT-1', 'CTT-3', 'CTT-4', 'CTT-15', 'CTT-16')
{
	add('tenant', $actor . claims('{"email":"c0@example.com"}'), "SELECT crm.contact_block('$id')", "SELECT crm.contact_document('$id')");
	add('clerk', $actor, "SELECT crm.contact_block('$id')", "SELECT crm.contact_block('$id', 'x')", "SELECT crm.contact_document('$id')");
}
add('tenant', $actor, q{SELECT crm.contact_document('CTT-3')}, q{SELECT crm.contact_document('CTT-1')});
add('tenant', $actor . claims('{"email":"c0@example.com"}'), q{SELECT * FROM crm.contacts_block('{CTT-1,CTT-3,CTT-4,CTT-18}', 'tenant')});
add('guest', $actor, q{SELECT crm.contact_block('CTT-1')}, q{SELECT crm.contact_document('CTT-1')},
	q{SELECT * FROM crm.contacts_block('{CTT-1}')}, q{SELECT crm.contact_unblock('CTT-1')}, q{SELECT * FROM crm.contacts_unblock('{CTT-1}')});
# many
my $all = q{(SELECT array_agg('CTT-' || i ORDER BY i % 13, i) FROM generate_series(0, 75) AS i)};
add('contact_operator', $actor, "SELECT * FROM crm.contacts_block($all)", "SELECT * FROM crm.contacts_block($all, 'why')",
	"SELECT * FROM crm.contacts_unblock($all)", "SELECT * FROM crm.contacts_block($all, NULL)",
	q{SELECT * FROM crm.contacts_unblock('{CTT-17,NULL,CTT-18,"",CTT-17,nix,NULL,"it''s",CTT-17}')},
	q{SELECT * FROM crm.contacts_block('{}')}, q{SELECT * FROM crm.contacts_block(NULL)}, q{SELECT * FROM crm.contacts_unblock(NULL)},
	q{SELECT * FROM crm.contacts_block('{NULL}')}, q{SELECT * FROM crm.contacts_block('{NULL,""}', '')},
	q{SELECT * FROM crm.contacts_block('{{CTT-17,CTT-18},{CTT-19,CTT-17}}')}, q{SELECT * FROM crm.contacts_block('[3:4]={CTT-22,CTT-23}')},
	q{SELECT * FROM crm.contacts_block(ids => '{CTT-24}', reason => E'it''s\n"why"')},
	"SELECT * FROM crm.contacts_block((SELECT array_agg(id) FROM ($hard_ids) AS v (id)))",
	q{SELECT count(*) FROM crm.contacts_delete('{CTT-24}')});
add('manager', $actor, q{SELECT * FROM crm.contacts_delete('{CTT-24,CTT-25,CTT-24,nix,CTT-26}')});
# what a caller's own triggers say
add('manager', $actor, q{SELECT crm.contact_block('CTT-29', 'refused')}, q{SELECT crm.contact_block('CTT-30', 'refused later')},
	q{SELECT * FROM crm.contacts_block('{CTT-29,CTT-30}', 'refused')}, q{SELECT crm.contact_document('CTT-30')});
# only what one machine would let pass
add('manager', $actor . 'BEGIN READ ONLY;', q{SELECT crm.contact_document('CTT-31')}, "SELECT $_")
  foreach q{crm.contact_block('CTT-31')}, q{crm.contact_block(NULL)}, q{crm.contact_delete('none')},
  q{crm.contacts_block('{CTT-31}')}, q{crm.contacts_block(NULL)};

sub run_calls
{
	my ($database) = @_;
	my $script = "\\set SHOW_CONTEXT never\n\\set VERBOSITY default\n\\pset null (null)\n";
	foreach my $call (@calls)
	{
		my ($role, $settings, $sql) = @$call;
		$script .= "RESET ROLE; RESET contact_block.actor; RESET request.jwt.claims;\nSET ROLE $role; $settings\n$sql\n"
		  . "\\g\n\\echo SQLSTATE :SQLSTATE\n" . ($settings =~ /BEGIN/ ? "ROLLBACK;\n" : '') . "\\echo \@\@\n";
	}
	spew("$dir/$database.sql", $script);
	my $printed = '';
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($database) ],
		'<', "$dir/$database.sql", '>', \$printed, '2>&1');
	# but for the clock
	$printed =~ s/"at": "20\d\d-(?!01-0)[^"]*"/"at": "now"/g;
	return split /^@@\n/m, $printed;
}
my @plain = run_calls('plain');
my @routed = run_calls('router');
is(scalar @plain, scalar @calls, 'the plain database answers every call');
is(scalar @routed, scalar @calls, 'and so does the router');
my @different = grep { ($plain[$_] // '') ne ($routed[$_] // '') } 0 .. $#calls;
is(scalar @different, 0, scalar(@calls) . ' calls are answered as on one machine, to the letter');
foreach my $i (grep { defined } @different[ 0 .. 9 ])
{
	diag("@{$calls[$i]}\nplain:  $plain[$i]\nrouter: $routed[$i]");
}
my %states = map { $_ => 1 } map { /^SQLSTATE (\w+)/mg } @plain;
is_deeply([ grep { !$states{$_} } qw(22004 22023 25006 42501 PT404 PT409 PT422) ], [], 'these errors are among them');

# and the contacts are the same then, but for the clock
my $state = q{SELECT id, status, blocked_reason, created_by, updated_by, activated_by, blocked_by, deleted_by,
	updated_at IS NOT NULL, blocked_at = updated_at FROM crm.contacts ORDER BY id COLLATE "C"};
is(join("\n", sort map { split /\n/, $_->safe_psql('crm', $state) } @shard),
	join("\n", sort split /\n/, $node->safe_psql('plain', $state)), 'the same became of the contacts');
cmp_ok($_->safe_psql('crm', 'SELECT count(*) FROM crm.contacts'), '>', 20, 'both shards have contacts') foreach @shard;

# A session of psql on the router; what it printed, errors with their SQLSTATE.
sub on_router
{
	my ($sql, %options) = @_;
	my $printed = '';
	IPC::Run::run(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($options{database} // 'router') . ($options{user} ? " user=$options{user}" : '') ],
		'<', \"\\set SHOW_CONTEXT never\n\\set VERBOSITY default\n$sql\n\\g\n\\echo :SQLSTATE\n", '>', \$printed, '2>&1');
	$printed =~ s/\n00000\n\z|\n\z//;
	return $printed;
}
sub shard_of { return $node->safe_psql('router', "SELECT shard FROM contact_proxy.shards WHERE contact_proxy.bucket('$_[0]') BETWEEN first_bucket AND last_bucket"); }
sub status_of { return $shard[ shard_of($_[0]) ]->safe_psql('crm', "SELECT status FROM crm.contacts WHERE id = '$_[0]'"); }
# those that nothing is said of above, Active when they were made
my @ids = map { [ split /\n/, $shard[$_]->safe_psql('crm', q{SELECT id FROM crm.contacts WHERE email <> 'c1@example.com'
	AND id ~ '^CTT-[3-6]\d$' AND status = 'Blocked' ORDER BY id}) ] } 0, 1;
my $manager = 'SET ROLE manager;';

# Transactions: each call commits by itself, and is refused where that would tear
# a transaction apart.
my $id = $ids[0][0];
$node->safe_psql('router', 'CREATE TABLE public.log (line text); GRANT ALL ON public.log TO manager');
on_router("$manager $actor SELECT crm.contact_unblock('$id'); BEGIN; SELECT crm.contact_block('$id'); ROLLBACK");
is(status_of($id), 'Blocked', 'after ROLLBACK on the router the block stays');
is( on_router("$manager $actor BEGIN; INSERT INTO public.log VALUES ('x'); SELECT crm.contact_unblock('$id')"),
	"ERROR:  contacts cannot be changed in a transaction that has written to this database\n"
	  . "DETAIL:  The change commits on the contact's shard at once; a ROLLBACK here would not undo it.\n"
	  . "HINT:  Make the call in a transaction of its own.\n25001",
	'a call in a transaction that has written');
like(on_router("$manager $actor BEGIN; SAVEPOINT s; INSERT INTO public.log VALUES ('x'); SELECT * FROM crm.contacts_unblock('{$id}')"),
	qr/\n25001$/, 'one for many, in a savepoint');
is(status_of($id), 'Blocked', 'they have changed nothing');
like(on_router("$manager BEGIN; INSERT INTO public.log VALUES ('x'); SELECT crm.contact_document('$id')"), qr/"Blocked"/, 'reading is no change');

# Roles: nobody is more on a shard than what is granted there, whatever they are
# on the router.
is( on_router("SET ROLE nobody_there; $actor SELECT crm.contact_block('$id')"),
	"ERROR:  permission denied to act as the caller's role\nDETAIL:  On this shard contact_router may not become nobody_there.\n"
	  . "HINT:  Create that role on every shard, and grant it to the router's login.\n42501",
	'a role that is not on the shard');
like(on_router("$actor SELECT crm.contact_block('$id')"), qr/may not become .*\n42501$/s, 'a superuser of the router is nobody on a shard');
$node->safe_psql('router', q{CREATE ROLE "Odd ""role"" ü" LOGIN; GRANT manager TO "Odd ""role"" ü"});
like(on_router("$actor SELECT crm.contact_block('$id')", user => q{'Odd "role" ü'}), qr/may not become "Odd ""role"" ü"/, 'a login is a role, whatever its name');
$node->safe_psql('router', q{
	CREATE FUNCTION public.gate(id text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER RETURN crm.contact_block(id);
	ALTER FUNCTION public.gate(text) OWNER TO manager});
like(on_router("SET ROLE guest; $actor SELECT public.gate('$id')"), qr/permission denied for .*\n42501$/s, 'inside a SECURITY DEFINER function the session\'s role counts');
my @may_not = ("SELECT contact_proxy.call('$id', 'delete', NULL)",
	"SELECT contact_proxy.send(0, '$id', 'delete', '', 'x', '', 'manager')", 'SELECT contact_proxy.ping(ARRAY[0])',
	'TABLE contact_proxy.shards', 'UPDATE contact_proxy.shards SET shard = 0', 'SET ROLE contact_proxy',
	q{CREATE FUNCTION evil.f() RETURNS int LANGUAGE plproxy AS $$CLUSTER 'contacts'; RUN ON ANY; SELECT 1;$$});
$node->safe_psql('router', 'CREATE ROLE manager_login LOGIN; GRANT manager TO manager_login; CREATE SCHEMA evil AUTHORIZATION manager_login');
my $refused = on_router(join(";\n", @may_not, 'SELECT umoptions FROM pg_user_mappings'), user => 'manager_login');
is(scalar(() = $refused =~ /^ERROR:  permission denied/mg), scalar @may_not, 'no caller may use or change what is behind the functions');
unlike($refused, qr/secret/, 'or see the password');
is($shard[0]->safe_psql('crm', q{SELECT rolcanlogin, rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = 'contact_router'}),
	't|f|f|f|f|f|f', 'attributes of the router\'s login');
@may_not = ('TABLE crm.contacts', "SELECT crm.contact_block('$id')", q{UPDATE crm.contacts SET name = 'x'},
	'SET ROLE ' . $shard[0]->safe_psql('crm', 'SELECT quote_ident(current_user)'), 'SET ROLE pg_read_all_data',
	"SET ROLE manager; SELECT contact_shard.call('$id', 'read', '', '', '', 'manager')");
(undef, undef, $refused) = $shard[0]->psql('crm', join(";\n", 'SET SESSION AUTHORIZATION contact_router', @may_not), on_error_stop => 0);
is(scalar(() = $refused =~ /ERROR:  permission denied/g), scalar @may_not, 'by itself the router\'s login may do nothing, nor may others what it may');

# What stands in the catalogs: nothing is anybody's, everything is commented, and
# what runs as somebody else is what has to be
my $functions = q{
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE nspname IN ('crm', 'contact_proxy', 'contact_shard') AND proname NOT LIKE 'plproxy%%' AND NOT EXISTS (
	SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e') AND (%s) ORDER BY 1::text};
foreach my $at ([ $node, 'router' ], [ $shard[0], 'crm' ])
{
	my ($server, $database) = @$at;
	is($server->safe_psql($database, sprintf $functions, q{has_function_privilege('guest', p.oid, 'EXECUTE') AND nspname <> 'crm'}), '', "$database: no function of ours is everybody's");
	is($server->safe_psql($database, sprintf $functions, q{proname NOT IN ('refuse') AND coalesce(obj_description(p.oid, 'pg_proc') !~ '^[A-Z][^\n.]+\n\nTakes .*', true)}),
		'', "$database: each has a summary and a description");
	is($server->safe_psql($database, sprintf $functions, q{prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') AND proname <> 'refuse'
		AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)}), '', "$database: none heeds the search_path");
}
is($shard[0]->safe_psql('crm', sprintf $functions, 'prosecdef'), '', 'no function of a shard runs as somebody else');
is($node->safe_psql('router', sprintf $functions, q{prosecdef <> (nspname = 'crm') OR prosecdef <> (proowner = 'contact_proxy'::regrole)}),
	'', 'on the router exactly the functions for callers run as contact_proxy');
# whatever comes first in the search_path
$node->safe_psql('router', q{
	SET ROLE manager_login;
	CREATE FUNCTION evil.boo() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked by %', current_user; END $$;
	CREATE FUNCTION evil.md5(text) RETURNS text LANGUAGE sql AS 'SELECT evil.boo()::text';
	CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT evil.boo()::text';
	CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT evil.boo()::text';
	CREATE FUNCTION evil.between(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.boo()';
	CREATE OPERATOR evil.>= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.between);
	CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.between)});
like(on_router("$manager $actor SET search_path = evil, pg_catalog; CREATE TEMP TABLE shards (first_bucket int, last_bucket int, shard int);"
	  . "SELECT crm.contact_document('$id'); SELECT crm.contact_block('$id'); SELECT * FROM crm.contacts_block('{$id}')"),
	qr/^\{.*\n\{.*\n$id\|00000\|Blocked\|f$/, 'a search_path of the caller\'s changes nothing');

# Nothing of a call is left in the connection, whoever it was
my $left = q{SELECT concat_ws(',', current_user = session_user, current_setting('role'), current_setting('contact_block.actor', true),
	current_setting('request.jwt.claims', true))};
is($shard[0]->safe_psql('crm', qq{SET SESSION AUTHORIZATION contact_router;
	BEGIN;
	SELECT (contact_shard.call('$id', 'block', '', 'USR-9', '{"sub":"x"}', 'manager')).document ->> 'status';
	$left;
	SELECT (contact_shard.call('nix', 'block', '', 'USR-9', '{"sub":"x"}', 'manager')).error ->> 'code';
	$left;
	SELECT code FROM contact_shard.call_many('{1}', '{$id}', 'block', '', 'USR-9', '{"sub":"x"}', 'manager');
	$left}),
	join("\n", 'Blocked', 't,none,,', 'PT404', 't,none,,', '00000', 't,none,,'), 'a call leaves no setting behind, in its transaction nor after');

# Strangers: a contact on the wrong shard, and a router that is wrong about shards
my ($rc, $stdout, $stderr) = $shard[1]->psql('crm', "\\set VERBOSITY sqlstate\nINSERT INTO crm.contacts (id, email) VALUES ('$id', 'x')");
like($stderr, qr/23514/, 'a contact of another shard cannot be inserted');
($rc, $stdout, $stderr) = $shard[1]->psql('crm', "\\set VERBOSITY sqlstate\nINSERT INTO crm.contact_opt_outs (contact_id, category_id) VALUES ('$id', 'CAT-1')");
like($stderr, qr/23514/, 'nor its opt-out');
$node->safe_psql('router', 'UPDATE contact_proxy.shards SET shard = 1 - shard');
my $strange = "ERROR:  the contact belongs to another shard\nDETAIL:  Contact \"$id\" is in bucket " . $node->safe_psql('router', "SELECT contact_proxy.bucket('$id')")
  . ".\nHINT:  Compare contact_proxy.shards and the server \"contacts\" on the router with contact_shard.is_stranger() on each shard.\n55000";
is(on_router("$manager $actor SELECT $_"), $strange, "a router with a wrong table of shards: $_")
  foreach "crm.contact_document('$id')", "crm.contacts_block('{$id}')";
$node->safe_psql('router', "UPDATE contact_proxy.shards SET shard = 1 - shard; ALTER SERVER contacts OPTIONS (SET p0 '$shards{shard1}', SET p1 '$shards{shard0}')");
is(on_router("$manager $actor SELECT crm.contact_block('$id')"), $strange, 'a router with wrong addresses');
$node->safe_psql('router', "ALTER SERVER contacts OPTIONS (SET p0 '$shards{shard0}', SET p1 '$shards{shard1}'); BEGIN; DELETE FROM contact_proxy.shards WHERE shard = 0; COMMIT");
like(on_router("$manager $actor SELECT $_"), qr/^ERROR:  no shard has the contact\nDETAIL:  Contact "$id" is in bucket \d+\.\nHINT:  .*\n55000$/, "no shard has the bucket: $_")
  foreach "crm.contact_document('$id')", "crm.contacts_block('{$id}')";
isnt($node->psql('router', 'INSERT INTO contact_proxy.shards VALUES (0, 128, 0)'), 0, 'a bucket is on one shard');
$node->safe_psql('router', 'INSERT INTO contact_proxy.shards VALUES (0, 127, 0)');

# In PostgREST's place: a schema of its own, its login, its settings; and
# trust_actor = off, where the login is recorded.
run_file($node, 'strict', 'router.sql', %shards, schema => 'api', trust_actor => 'off');
$node->safe_psql('strict', 'GRANT USAGE ON SCHEMA api TO manager; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO manager');
is($node->safe_psql('strict', q{SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'api'::regnamespace}),
	'contact_block contact_block contact_delete contact_document contact_unblock contacts_block contacts_delete contacts_unblock',
	'the functions are exposed and nothing else');
$node->safe_psql('router', 'CREATE ROLE authenticator LOGIN NOINHERIT; GRANT manager, contact_operator TO authenticator');
my $postgrest = q{BEGIN; SELECT set_config('role', 'manager', true), set_config('request.jwt.claims', '{"sub":"USR-1","role":"manager"}', true) \g /dev/null
};
my $by = "-> 'audit' -> 'updated' -> 'by' ->> 'id'; COMMIT";
is(on_router("$postgrest SELECT crm.contact_unblock(id := '$id') $by", user => 'authenticator'), 'USR-1', 'the token\'s sub is recorded');
is(on_router("$postgrest SET contact_block.actor = 'forged'; SELECT api.contact_block('$id', 'reason') $by", user => 'authenticator', database => 'strict'),
	'authenticator', 'with trust_actor off the login is, whatever is said');

# Also on a shard that does not trust its own sessions
$shard[0]->safe_psql('crm', 'ALTER DATABASE crm SET contact_block.trust_actor = off');
is(on_router("$manager $actor BEGIN; SELECT crm.contact_unblock('$id') $by"), 'USR-1', 'the router\'s login is not recorded where trust_actor is off');
is(on_router("$manager SELECT crm.contact_block('$id')"), "ERROR:  no actor is set\n"
	  . "HINT:  Set contact_block.actor, or request.jwt.claims with the claim \"sub\".\n22023", 'nor where nobody says who acts');
on_router("$manager $actor SELECT crm.contact_block('$id', 'reason')");
$shard[0]->safe_psql('crm', 'ALTER DATABASE crm RESET contact_block.trust_actor');

# A shard is locked, asked to end, down: only its contacts fail.
my $far = $ids[1][0];
my $lock = $shard[1]->background_psql('crm');
$lock->query("BEGIN; SELECT id FROM crm.contacts WHERE id = '$far' FOR UPDATE");
is(on_router("$manager $actor SELECT crm.contact_block('$far', 'locked')"), "ERROR:  canceling statement due to lock timeout\n55P03", 'somebody holds the contact for too long');
$shard[1]->safe_psql('crm', q{ALTER ROLE contact_router SET lock_timeout = '1min'; ALTER ROLE contact_router SET statement_timeout = '1min'});
foreach my $call ("crm.contact_block('$far', 'ended')", "crm.contacts_block('{$far}', 'ended')")
{
	spew("$dir/waiting.sql", "\\set SHOW_CONTEXT never\n$manager $actor SELECT $call;\n\\echo :SQLSTATE\n");
	my $out = '';
	my $waiting = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('router') ], '<', "$dir/waiting.sql", '>', \$out, '2>&1');
	$shard[1]->poll_query_until('crm', q{SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE usename = 'contact_router' AND wait_event_type = 'Lock'})
	  or die 'no call waits';
	$waiting->finish;
	is($out, "ERROR:  the connection to the contact's shard was lost\nDETAIL:  It is shard 1.\n"
		  . "HINT:  Whether the call was carried out is not known. It may be repeated.\n08006\n", "a connection is lost in the middle: $call");
}
$lock->query('COMMIT');
$lock->quit;
$shard[0]->safe_psql('crm', 'REVOKE EXECUTE ON FUNCTION contact_shard.call(text, text, text, text, text, text) FROM contact_router');
is(on_router("$manager $actor SELECT crm.contact_block('$id')"), "ERROR:  permission denied for function call\n42501", 'the router\'s login lacks a right');
$shard[0]->safe_psql('crm', 'GRANT EXECUTE ON FUNCTION contact_shard.call(text, text, text, text, text, text) TO contact_router');

# What is not set up is an error also of a call for many, not a shard that is down
$shard[0]->safe_psql('crm', 'REVOKE EXECUTE ON FUNCTION contact_shard.ping(), contact_shard.call_many(integer[], text[], text, text, text, text, text) FROM contact_router');
is(on_router("SET client_min_messages = warning; $manager $actor SELECT crm.contacts_block('{$id,$far}')"), "ERROR:  permission denied for function ping\n42501", 'the same of many');
$shard[0]->safe_psql('crm', 'GRANT EXECUTE ON FUNCTION contact_shard.ping(), contact_shard.call_many(integer[], text[], text, text, text, text, text) TO contact_router');

my $session = $node->background_psql('router', on_error_stop => 0);
$session->query("$manager $actor SELECT crm.contact_document('$far'), crm.contact_document('$id')");
$shard[1]->stop('fast');
my $down = "ERROR:  could not connect to the contact's shard\nDETAIL:  It is shard 1.\nHINT:  The call was not carried out.\n08001";
is(on_router("$manager $actor SELECT crm.$_"), $down, "shard 1 is down: $_") foreach "contact_document('$far')", "contact_block('$far')";
like(on_router("$manager SET standard_conforming_strings = off; SELECT crm.contact_document('$far')"), qr/^\Q$down\E\z/m, 'whatever the caller has set')
  if $node->safe_psql('router', 'SHOW server_version_num') < 190000;
is(on_router("$manager $actor SELECT crm.contact_unblock('$id') ->> 'status'"), 'Active', 'the other one works');
is(on_router("$manager $actor SELECT * FROM crm.contacts_block('{$id,$far,nix,$id,$ids[1][1],$ids[0][1],CTT-none}', 'half')"),
	join("\n", "$id|00000|Blocked|t", "$far|08001||f", (shard_of('nix') ? 'nix|08001||f' : 'nix|PT404||f'), "$id|00000|Blocked|f", "$ids[1][1]|08001||f",
		"$ids[0][1]|00000|Blocked|t", (shard_of('CTT-none') ? 'CTT-none|08001||f' : 'CTT-none|PT404||f')),
	'of many only those fail');
like(slurp_file($node->logfile), qr/LOG:  shard 1: PL\/Proxy function contact_proxy.send\(\d+\): \[crm\] PQconnect/, 'why is in the log');
like($session->query("SELECT 'near', crm.contact_document('$id') ->> 'status'"), qr/near\|Blocked/, 'a session that was connected to both goes on');
$shard[1]->start;
# PL/Proxy looks whether a connection has ended when it was last used 2 seconds ago; else the first call finds out
$session->query("SELECT crm.contact_document('$far') ->> 'id'");
like($session->query("SELECT crm.contact_document('$far') ->> 'id'"), qr/$far/, 'and with the other shard, when it is back');
$session->quit;

done_testing();
