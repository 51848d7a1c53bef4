# doc/gateway/roles.sql: who may do what, and what PostgREST will expose.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(set_up_database slurp);

my $node = PostgreSQL::Test::Cluster->new('roles');
$node->init;
$node->start;
set_up_database($node);

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Run as a role; returns the document or the error's code and message.
sub call
{
	my ($role, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres',
		"SET ROLE $role;\n\\set VERBOSITY verbose\n$sql;",
		on_error_stop => 1);
	return $stdout if $rc == 0;
	return $stderr =~ /ERROR:\s+(\S+: .*)/ ? $1 : $stderr;
}

query(q{
INSERT INTO notifications.contacts (id, email) VALUES ('CTT-1', 'a@example.com');
});

# Nothing but the four verbs is exposed, under the names that clients use.
is( query(q{
SELECT format('%s(%s) %s%s', p.oid::regproc, pg_get_function_arguments(p.oid), p.provolatile, p.prosecdef)
FROM pg_proc p WHERE pronamespace = 'api'::regnamespace ORDER BY 1;
}),
	join("\n",
		'api.contact_block(id text, reason text DEFAULT NULL::text) vf',
		'api.contact_delete(id text) vf',
		'api.contact_document(id text) sf',
		'api.contact_unblock(id text) vf',
		'api.contacts_block(ids text[], reason text DEFAULT NULL::text) vf',
		'api.contacts_unblock(ids text[]) vf'),
	'the functions of schema api, none of them overloaded');
is(query("SELECT count(*) FROM pg_class WHERE relnamespace = 'api'::regnamespace"),
	0, 'no relation is in schema api');

# As OpenAPI shows it: a summary line, an empty line, a description.
is( query(q{
SELECT count(*) FROM pg_proc p
WHERE pronamespace = 'api'::regnamespace
  AND obj_description(oid, 'pg_proc') ~ '^[A-Z][^\n.]{5,60}\n\n[A-Z][^\n]+\.(\n|$)';
}),
	6, 'each function has a summary and a description');
like(query("SELECT obj_description('api'::regnamespace, 'pg_namespace')"),
	qr/^[A-Z][^\n.]{5,60}\n\n[A-Z][^\n]+\.$/, 'and so has the schema');
is( query(q{
SELECT count(DISTINCT obj_description(oid, 'pg_proc'))
FROM pg_proc p WHERE pronamespace = 'api'::regnamespace;
}),
	6, 'of its own');

# What contact_block.js tells apart by its message is what the extension says.
my $source = join '', map { slurp($_) } glob("$Gateway::SOURCE/src/*.c");
my @messages = slurp("$Gateway::SOURCE/doc/gateway/contact_block.js") =~
  /^    '\w{5} ((?:\\'|[^'])+)': \{/mg;
is(scalar @messages, 6, 'contact_block.js knows errors by their messages');
foreach my $message (@messages)
{
	$message =~ s/\\'/'/g;
	like($source, qr/errmsg\("\Q$message\E"\)/, "an error of the extension's: $message");
}

# Attributes and memberships
is( query(q{
SELECT format('%s %s%s%s%s%s%s', rolname, rolcanlogin, rolinherit, rolsuper,
              rolcreaterole, rolcreatedb, rolbypassrls)
FROM pg_roles WHERE rolname IN ('authenticator', 'web_anon', 'contact_operator') ORDER BY 1;
}),
	join("\n",
		'authenticator tfffff',
		'contact_operator ftffff',
		'web_anon ftffff'),
	'attributes of the roles');
is( query(q{
SELECT string_agg(roleid::regrole::text, ',' ORDER BY roleid::regrole::text)
FROM pg_auth_members WHERE member = 'authenticator'::regrole;
}),
	'contact_operator,web_anon',
	'authenticator can become these');

# The operator: everything that the verbs need, and no more.
like(call('contact_operator', q{SELECT api.contact_block('CTT-1')}),
	qr/"status": "Blocked"/, 'the operator blocks');
like(call('contact_operator', q{SELECT api.contact_block(id => 'CTT-1', reason => 'Fraud')}),
	qr/"blockedReason": "Fraud"/, 'the operator says why');
my $document = call('contact_operator', q{SELECT api.contact_document('CTT-1')});
like($document, qr/"omitted": \[\]/, 'the operator sees everything');
like(call('contact_operator', q{SELECT api.contact_unblock('CTT-1')}),
	qr/"status": "Active"/, 'the operator unblocks');
is( call('contact_operator', q{SELECT * FROM api.contacts_block('{CTT-1, CTT-none, CTT-1, ""}', 'Fraud')}),
	"CTT-1|00000|Blocked|t\nCTT-none|PT404||f\nCTT-1|00000|Blocked|f\n|22023||f",
	'the operator blocks many');
is(call('contact_operator', q{SELECT * FROM api.contacts_unblock('{CTT-1}')}),
	'CTT-1|00000|Active|t', 'and unblocks many');
like(call('contact_operator', q{SELECT api.contact_delete('CTT-1')}),
	qr/"status": "Deleted"/, 'the operator deletes');
like(call('contact_operator', q{SELECT api.contact_block('CTT-1')}),
	qr/^PT409: /, 'the error is the extension\'s');

is( query(q{
SELECT string_agg(concat_ws(' ', table_name, privilege_type, column_name), ', '
                  ORDER BY table_name, column_name)
FROM information_schema.role_column_grants
WHERE grantee = 'contact_operator' AND privilege_type <> 'SELECT';
}),
	'contacts UPDATE blocked_reason, contacts UPDATE status',
	'the operator writes two columns');
is( query(q{
SELECT count(*) FROM information_schema.role_table_grants
WHERE grantee IN ('contact_operator', 'web_anon', 'authenticator')
}),
	0, 'no whole table is anybody\'s');
is( query(q{
SELECT count(*) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
WHERE relnamespace = 'notifications'::regnamespace AND relkind = 'r' AND attnum > 0
  AND NOT has_column_privilege('contact_operator', c.oid, attnum, 'SELECT');
}),
	0, 'the operator reads all columns of today');
foreach my $sql (
	q{SELECT notifications.contact_block_setup()},
	q{UPDATE notifications.contacts SET blocked_by = 'x'},
	q{UPDATE notifications.contacts SET email = 'x'},
	q{DELETE FROM notifications.contacts},
	q{INSERT INTO notifications.contacts (id, email) VALUES ('a', 'b')},
	q{TRUNCATE notifications.contacts},
	q{CREATE TABLE api.t ()},
	q{CREATE TABLE notifications.t ()})
{
	like(call('contact_operator', $sql),
		qr/^42501: permission denied/, "the operator may not: $sql");
}

# Anonymous callers and the login itself: nothing.
foreach my $role ('web_anon', 'authenticator')
{
	foreach my $function ('contact_block', 'contact_unblock', 'contact_delete',
		'contact_document', 'contacts_block', 'contacts_unblock')
	{
		like(call($role, "SELECT api.$function('{CTT-1}')"),
			qr/^42501: permission denied for schema api/, "$role: no $function");
		is( query("SELECT has_function_privilege('$role', 'api.$function'::regproc, 'EXECUTE')"),
			'f', "$role: not even with USAGE on the schema");
	}
	like(call($role, 'TABLE notifications.contacts'),
		qr/^42501: permission denied/, "$role: no table");
}
is(query("SELECT status FROM notifications.contacts"), 'Deleted',
	'nothing of that has changed anything');

# The login: how long a call may take, and that somebody has to act
is( query(q{SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting
	WHERE setrole = 'authenticator'::regrole}),
	'statement_timeout=8s lock_timeout=1s contact_block.require_actor=on',
	'settings of the login');

# Revoke a column: the property goes, the block works.
query(q{
REVOKE SELECT (email) ON notifications.contacts FROM contact_operator;
INSERT INTO notifications.contacts (id, email) VALUES ('CTT-2', 'b@example.com');
});
$document = call('contact_operator', q{SELECT api.contact_block('CTT-2')});
like($document, qr/"omitted": \["email"\]/, 'what is revoked is named');
unlike($document, qr/b\@example/, 'and not shown');

# Another schema, in a database of the same cluster, with a name to quote.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{
CREATE SCHEMA "My contacts.v1";
CREATE EXTENSION contact_block SCHEMA "My contacts.v1";
SELECT "My contacts.v1".contact_block_setup();
INSERT INTO "My contacts.v1".contacts (id, email) VALUES ('CTT-3', 'c@example.com');
});
$node->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', "schema=My contacts.v1", '-d',
		'other', '-f', "$Gateway::SOURCE/doc/gateway/roles.sql"
	],
	'roles.sql runs for another schema');
like(
	$node->safe_psql('other', q{SET ROLE contact_operator; SELECT api.contact_block('CTT-3')}),
	qr/"status": "Blocked"/, 'and works there');

# Where it cannot do everything it does nothing.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->command_fails(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'empty', '-f',
		"$Gateway::SOURCE/doc/gateway/roles.sql"
	],
	'roles.sql fails without the extension');
is($node->safe_psql('empty', "SELECT count(*) FROM pg_namespace WHERE nspname = 'api'"),
	0, 'and leaves nothing behind');

done_testing();
