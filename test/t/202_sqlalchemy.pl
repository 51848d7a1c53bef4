# SQLAlchemy over a table of its own making: bigint ids and actors, updated_at
# NOT NULL, which is SQLAlchemy's version of an object, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Orm qw($PROGRAMS start_server grant_rights run_program expected misfit check has_modules);

# Debian's, whatever other python3 comes first
my $python = '/usr/bin/python3';
has_modules($python, '-c', 'import sqlalchemy, psycopg2')
  or plan skip_all => 'SQLAlchemy is not installed (Debian: python3-sqlalchemy, python3-psycopg2)';

my $clerk = '4000000000';
my $guard = '-7';
my $node = start_server('sqlalchemy');
run_program($node, undef, $python, "$PROGRAMS/sqlalchemy_program.py", 'create');
$node->safe_psql('postgres', 'SELECT crm.contact_block_setup()');
grant_rights($node, $clerk, $guard, 'GRANT INSERT, UPDATE ON crm.contacts TO app');

my $expected = expected(
	active => 'Active',
	blocked => 'Blocked',
	deleted => 'Deleted',
	class => 'InternalError',
	clerk => $clerk,
	guard => $guard,
	created_is_updated => 1,
	# the login is no number
	nobody => misfit('updated_by', 'bigint', 'app'),
	unknown => [ '999999', '-1', '007', '1.0', ' 1', '0x1', '9223372036854775808', 'no number' ]);
# what an object of the session writes says nothing about the status
$expected->{changes_only} = { status => 'Blocked', reason => 'fraud', name => 'Olga, renamed' };
$expected->{own_version} =
  { saved => 2, errors => [ 'StaleDataError', undef ], status => 'Blocked', name => 'late' };
$expected->{integer_argument} = { sqlstate => '42883' };
$expected->{misfit} = { error => misfit('created_by', 'bigint', 'USR-7') };

check(run_program($node, 'app', $python, "$PROGRAMS/sqlalchemy_program.py", 'run', $clerk, $guard), $expected);

done_testing();
