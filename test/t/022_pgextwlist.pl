# Where extensions are installed by a whitelist, as a superuser, the script in
# doc/pgextwlist lets the owner of the database set up, block and grant, and
# nobody else; also after an update.  Without the script, and without a place
# in the whitelist, it is as doc/operate.md says.

use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $library = `pg_config --pkglibdir` =~ s/\n//r . '/pgextwlist.so';
plan skip_all => 'pgextwlist is not installed (Debian: postgresql-NN-pgextwlist)' unless -e $library;

my $scripts = PostgreSQL::Test::Utils::tempdir . '/whitelist';
my $owner = 'Data-Base Owner';    # a name that needs quoting

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', qq{
	session_preload_libraries = 'pgextwlist'
	extwlist.extensions = 'contact_block'});
$node->start;

# Runs a query, as the login given.  Returns its output, or "ERROR: ..." at
# the first error.
sub query
{
	my ($database, $login, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql($database, $sql, extra_params => [ '-U', $login ]);
	return $status ? $stderr =~ s/.*?(ERROR:[^\n]*).*/$1/sr : $stdout;
}

sub create_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE $database OWNER "$owner"});
}

# The functions and their owner, who may call one, and who may also let others call it.
sub rights
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT proowner = 10, proacl IS NOT NULL, r.rolname <> 'clerk', p.rights, count(*)
		FROM pg_proc, (VALUES ('EXECUTE'), ('EXECUTE WITH GRANT OPTION')) AS p(rights), pg_roles AS r
		WHERE proname LIKE 'contact%' AND NOT rolsuper AND rolname !~ '^pg_'
			AND has_function_privilege(r.oid, pg_proc.oid, p.rights)
		GROUP BY 1, 2, 3, 4 ORDER BY 4});
}

$node->safe_psql('postgres', qq{CREATE ROLE "$owner" LOGIN; CREATE ROLE clerk LOGIN});
my $install = 'CREATE SCHEMA crm; CREATE EXTENSION contact_block SCHEMA crm';
my $set_up = 'SELECT crm.contact_block_setup()';
my $functions = $node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT count(*) FROM pg_proc WHERE proname LIKE 'contact%';
	DROP EXTENSION contact_block});

# what is wrong without the script
create_database('no_script');
is(query('no_script', $owner, $install), '', 'without the script: the owner installs');
is(query('no_script', $owner, $set_up), 'ERROR:  permission denied for function contact_block_setup', 'and may not set up');

# not whitelisted, it is installed as a trusted extension
create_database('trusted');
$node->safe_psql('postgres', q{ALTER DATABASE trusted SET extwlist.extensions = ''});
is(query('trusted', $owner, "$install; $set_up"), '', 'not in the whitelist: the owner installs and sets up');
is($node->safe_psql('trusted', q{SELECT count(*) FROM pg_proc WHERE proname LIKE 'contact%' AND proowner = 10}), '0',
	'and has the functions');

# with the script
mkdir $_ or die "$_: $!" foreach $scripts, "$scripts/contact_block";
for my $when ('create', 'update')
{
	my $file = "$scripts/contact_block/after-$when.sql";
	append_to_file($file, slurp_file("$FindBin::RealBin/../../doc/pgextwlist/after-create.sql"));
	chmod 0644, $file;
}
$node->append_conf('postgresql.conf', "extwlist.custom_path = '$scripts'");
$node->reload;

my $granted = "t|t|t|EXECUTE|$functions\nt|t|t|EXECUTE WITH GRANT OPTION|$functions";
create_database('whitelisted');
is(query('whitelisted', $owner, $install), '', 'with the script: the owner installs');
is(rights('whitelisted'), $granted, 'may call and grant all functions, which are the superuser\'s; and nobody else may');
is(query('whitelisted', $owner, qq{
		$set_up;
		SELECT crm.contact_history_setup();
		INSERT INTO crm.contacts (id, email) VALUES ('1', '1\@example.org'), ('2', '2\@example.org');
		SET contact_block.actor = 'USR-7';
		SELECT crm.contact_block('1') ->> 'status';
		SELECT contact_id, by FROM crm.contact_events WHERE status = 'Blocked'}),
	"\n\nBlocked\n1|USR-7", 'the owner sets up, blocks and has a history');
is(query('whitelisted', $owner, 'SELECT count(*) FROM pg_tables WHERE schemaname = $$crm$$ AND tableowner = current_user'), '7',
	'the tables are the owner\'s');
is(query('whitelisted', $owner, 'ALTER FUNCTION crm.contact_block(text) COST 1'),
	'ERROR:  must be owner of function crm.contact_block', 'who cannot change a function');

my $block = q{SELECT d ->> 'status', d #>> '{audit,blocked,by,id}' FROM crm.contact_block('2') AS d};
is(query('whitelisted', $owner, q{
		GRANT USAGE ON SCHEMA crm TO clerk;
		GRANT SELECT ON ALL TABLES IN SCHEMA crm TO clerk;
		GRANT UPDATE (status, blocked_reason) ON crm.contacts TO clerk}), '', 'the owner lets an operator use the tables');
is(query('whitelisted', 'clerk', $block), 'ERROR:  permission denied for function contact_block', 'who may not block yet');
is(query('whitelisted', $owner, 'GRANT EXECUTE ON FUNCTION crm.contact_block(text) TO clerk'), '', 'lets him block');
is(query('whitelisted', 'clerk', $block), 'Blocked|clerk', 'and he does');

# dump and restore
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
create_database('restored');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'whitelisted' ], 'pg_dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'restored', $dump ], 'pg_restore by a superuser');
is(query('restored', 'clerk', $block), 'Blocked|clerk', 'the operator still may');
is(query('restored', $owner, $set_up), '', 'the owner, too');

# somebody else installs: the whitelist does not ask who
create_database('foreign_schema');
$node->safe_psql('foreign_schema', 'CREATE SCHEMA clerk AUTHORIZATION clerk');
is(query('foreign_schema', 'clerk', 'CREATE EXTENSION contact_block SCHEMA clerk'), '', 'another role installs');
is(rights('foreign_schema'), $granted, 'the rights are still those of the owner alone');

# names of somebody's own are not taken for PostgreSQL's
create_database('hijacked');
is(query('hijacked', $owner, q{
		CREATE SCHEMA crm;
		CREATE FUNCTION crm.format(text, text, name) RETURNS text LANGUAGE sql AS $f$SELECT 'ALTER ROLE clerk SUPERUSER'$f$;
		CREATE FUNCTION crm.same(name, text) RETURNS boolean LANGUAGE sql AS $f$SELECT false$f$;
		CREATE OPERATOR crm.= (LEFTARG = name, RIGHTARG = text, FUNCTION = crm.same);
		CREATE TEMP TABLE pg_depend (LIKE pg_catalog.pg_depend);
		CREATE TEMP TABLE pg_database (LIKE pg_catalog.pg_database);
		CREATE EXTENSION contact_block SCHEMA crm}), '', 'with such names around, the owner installs');
is(rights('hijacked'), $granted, 'and has the same rights');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'clerk'}), 'f', 'and nobody got more');

# an update, by the owner
create_database('updated');
is(query('updated', $owner, "$install VERSION '1.0'; ALTER EXTENSION contact_block UPDATE; $set_up; SELECT crm.contact_history_setup()"),
	"\n", 'the owner updates from 1.0 and sets up');
is(rights('updated'), $granted, 'and has the same rights, also on the new functions');

done_testing();
