# psycopg 3 without an ORM: the server binds the parameters. Ids are a domain
# over integer, statuses numbers, by the trigger's arguments.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Orm qw($PROGRAMS start_server grant_rights run_program expected check has_modules);

# Debian's, whatever other python3 comes first
my $python = '/usr/bin/python3';
has_modules($python, '-c', 'import psycopg')
  or plan skip_all => 'psycopg 3 is not installed (Debian: python3-psycopg)';

my ($clerk, $guard) = ('USR-clerk', 'USR-guard');
my $node = start_server('psycopg');
run_program($node, undef, $python, "$PROGRAMS/psycopg_program.py", 'create');
$node->safe_psql('postgres', 'SELECT crm.contact_block_setup()');
grant_rights($node, $clerk, $guard,
	'GRANT INSERT, UPDATE ON crm.contacts TO app; GRANT TEMPORARY ON DATABASE postgres TO app');

my $expected = expected(
	active => 1,
	blocked => 2,
	deleted => 9,
	class => 'ProgrammingError',
	clerk => $clerk,
	guard => $guard,
	nobody => 'app',
	unknown => [ '999999', '0', '-1', '007', '2147483648', 'no number' ]);
$expected->{"merge_$_"} = $expected->{"import_$_"} for 'error', 'keep', 'allow';
$expected->{integer_argument} = { sqlstate => '42883' };
$expected->{no_status} = {
	error => {
		class => 'CheckViolation',
		sqlstate => '23514',
		detail => 'It is "5", and can be one of "0", "1", "2", "9".'
	}
};

check(run_program($node, 'app', $python, "$PROGRAMS/psycopg_program.py", 'run', $clerk, $guard), $expected);

done_testing();
