# The owner of a database who is no superuser installs the extension, sets it
# up, and grants its functions; what a dump and REASSIGN OWNED make of that.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
my $owner = 'Data-Base Owner';    # a name that needs quoting

# Runs a query, as the login given.  Returns its output, or "ERROR: ..." at
# the first error.
sub query
{
	my ($database, $login, $sql) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql($database, $sql, extra_params => [ '-U', $login ]);
	return $status ? $stderr =~ s/.*?(ERROR:.*?)\n.*/$1/sr : $stdout;
}

# Who owns the functions, and what each role may do with each.
sub rights
{
	my ($database) = @_;
	return $node->safe_psql($database, qq{
		SELECT oid::regprocedure, pg_get_userbyid(proowner),
			string_agg(r || ' ' || has_function_privilege(r, oid, 'EXECUTE')
				|| ' ' || has_function_privilege(r, oid, 'EXECUTE WITH GRANT OPTION'), ', ' ORDER BY r)
		FROM pg_proc, unnest('{$owner,clerk,public}'::text[]) AS r
		WHERE proname LIKE 'contact%' GROUP BY oid ORDER BY 1});
}

my $denied = qr/ERROR:  permission denied for function contact_/;

$node->safe_psql('postgres', qq{
	CREATE ROLE "$owner" LOGIN;
	CREATE ROLE clerk LOGIN;
	CREATE ROLE heir LOGIN;
	CREATE DATABASE source OWNER "$owner"});
$node->safe_psql('postgres', qq{CREATE DATABASE $_ OWNER "$owner"})
  for 'as_superuser', 'as_role', 'as_owner';

like(query('source', 'clerk', 'CREATE EXTENSION contact_block'),
	qr/ERROR:  permission denied to create extension/,
	'without CREATE on the database nothing is installed');
$node->safe_psql('source', q{CREATE SCHEMA "Not Mine"; GRANT USAGE ON SCHEMA "Not Mine" TO PUBLIC});
like(query('source', $owner, 'CREATE EXTENSION contact_block SCHEMA "Not Mine"'),
	qr/ERROR:  permission denied for the schema of contact_block/,
	'nor in a schema without CREATE on it, whose users would get functions of the installing role\'s');
$node->safe_psql('source', 'DROP SCHEMA "Not Mine"');
is(query('source', $owner, q{
		CREATE SCHEMA crm;
		CREATE EXTENSION contact_block SCHEMA crm;
		SELECT crm.contact_block_setup();
		INSERT INTO crm.contacts (id, email) SELECT i, 'c@example.org' FROM generate_series(1, 9) AS i;
		SELECT crm.contact_block('1') ->> 'status'}),
	"\nBlocked", "a database's owner installs, sets up and blocks");

like(query('source', 'clerk', q{SELECT crm.contact_block('2')}), qr/ERROR:  permission denied for schema crm/,
	'nobody else does');
query('source', $owner, 'GRANT USAGE ON SCHEMA crm TO clerk');
for my $call (q{contact_block('2')}, q{contact_block('2', 'spam')}, q{contact_unblock('2')},
	q{contact_delete('2')}, q{contact_document('2')}, 'contact_block_setup()')
{
	like(query('source', 'clerk', "SELECT crm.$call"), $denied, "not even $call");
}
is(query('source', $owner, q{
		GRANT SELECT ON ALL TABLES IN SCHEMA crm TO clerk;
		GRANT UPDATE (status, blocked_reason) ON crm.contacts TO clerk;
		GRANT EXECUTE ON FUNCTION crm.contact_block(text) TO clerk;
		GRANT EXECUTE ON FUNCTION crm.contact_document TO clerk WITH GRANT OPTION}),
	'', 'until the owner grants it');
my $block = q{SELECT d ->> 'status', d #>> '{audit,blocked,by,id}' FROM crm.contact_block('2') AS d};
is(query('source', 'clerk', $block), 'Blocked|clerk', 'which works');

# dump and restore, by different roles
my $rights = rights('source');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'source' ], 'pg_dump');
my %restore = (
	as_superuser => [],
	as_role => [ "--role=$owner" ],
	as_owner => [ '-U', $owner ]);
for my $database (sort keys %restore)
{
	$node->command_ok(
		[ 'pg_restore', '--exit-on-error', '-d', $database, @{ $restore{$database} }, $dump ],
		"pg_restore $database");
	is(query($database, 'clerk', $block), 'Blocked|clerk', "$database: the grants are back");
}
is(rights($_), $rights, "$_: the owner has everything back") for 'as_role', 'as_owner';

# PostgreSQL does not dump whose an extension is
like(query('as_superuser', $owner, q{SELECT crm.contact_block('3')}),
	$denied, 'as_superuser: the functions are the superuser\'s');
$node->safe_psql('as_superuser',
	qq{GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA crm TO "$owner" WITH GRANT OPTION});
is(query('as_superuser', $owner, q{
		GRANT EXECUTE ON FUNCTION crm.contact_unblock TO clerk;
		SELECT crm.contact_block_setup();
		SELECT crm.contact_block('3') ->> 'status'}),
	"\nBlocked", 'as_superuser: who can give them back');

# a new owner
$node->safe_psql('source', qq{REASSIGN OWNED BY "$owner" TO heir});
is(query('source', 'heir', q{
		GRANT EXECUTE ON FUNCTION crm.contact_unblock TO clerk;
		SELECT crm.contact_block_setup();
		SELECT crm.contact_block('3') ->> 'status'}),
	"\nBlocked", 'an heir gets all of it');
is(query('source', 'clerk', q{SELECT crm.contact_unblock('2') ->> 'status'}), 'Active', 'and can grant it');
like(query('source', $owner, q{SELECT crm.contact_block('4')}),
	qr/ERROR:  permission denied/, 'the old owner has nothing left');
is(query('source', 'heir', 'DROP EXTENSION contact_block CASCADE; SELECT count(*) FROM crm.contacts'),
	'9', 'and can drop it');

# PostgreSQL puts the name into the script and takes no chances
$node->safe_psql('postgres', q{CREATE ROLE "O'Neill" SUPERUSER LOGIN});
like(query('source', "O'Neill", 'CREATE EXTENSION contact_block'),
	qr/ERROR:  invalid character in extension owner/,
	'a name with a quote is refused');

done_testing();
