# Where pgextwlist installs the extension the functions are the superuser's; with
# the script of doc/security.md the owner of the database sets it up, blocks, and
# grants.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(blocks);

my $library = `@{[ $ENV{PG_CONFIG} // 'pg_config' ]} --pkglibdir` =~ s/\n//r . '/pgextwlist.so';
plan skip_all => 'pgextwlist is not installed' if !-e $library;

my ($script) = grep { /^-- to the owner of the database\n/ } map { $_->[1] // '' } blocks('doc/security.md');
my $scripts = PostgreSQL::Test::Utils::tempdir;
my $owner = 'Data-Base Owner';    # a name that needs quoting
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"session_preload_libraries = 'pgextwlist'\nextwlist.extensions = 'contact_block'\nextwlist.custom_path = '$scripts'\n");
$node->start;
$node->safe_psql('postgres', qq{CREATE ROLE "$owner" LOGIN; CREATE ROLE clerk});

# What the owner gets of installing it, in a new database.
sub install
{
	my ($database) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE $database OWNER "$owner"});
	my ($status, $stdout, $stderr) = $node->psql($database, q{
			CREATE SCHEMA crm;
			CREATE EXTENSION contact_block SCHEMA crm;
			SELECT crm.contact_block_setup();
			INSERT INTO crm.contacts (id, email) VALUES ('x', 'x@example.org');
			SELECT crm.contact_block('x') ->> 'status';
			SELECT crm.contact_history_setup();
			GRANT EXECUTE ON FUNCTION crm.contact_block(text) TO clerk;
			SELECT rolsuper, has_function_privilege('clerk', pg_proc.oid, 'EXECUTE'), has_function_privilege('public', pg_proc.oid, 'EXECUTE')
			FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner WHERE pg_proc.oid = 'crm.contact_block(text)'::regprocedure},
		extra_params => [ '-U', $owner ]);
	return $status ? $stderr : $stdout;
}

like(install('bare'), qr/ERROR:  permission denied for function contact_block_setup/, 'without the script nothing works');
mkdir "$scripts/contact_block" or die "$scripts/contact_block: $!";
append_to_file("$scripts/contact_block/after-create.sql", $script);
is(install('granted'), "\nBlocked\n\nt|t|f", 'with it all does, and nobody else may');

done_testing();
