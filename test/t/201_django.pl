# Django over a table of its own making: uuid ids and actors, varchar,
# updated_at NOT NULL.

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
has_modules($python, '-c', 'import django, psycopg2')
  or plan skip_all => 'Django is not installed (Debian: python3-django, python3-psycopg2)';

my $clerk = 'c1e00000-0000-4000-8000-00000000000c';
my $guard = '60a4d000-0000-4000-8000-000000000006';
my $node = start_server('django');
run_program($node, undef, $python, "$PROGRAMS/django_program.py", 'create');
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
	# the login is no uuid
	nobody => misfit('updated_by', 'uuid', 'app'),
	unknown => [ '00000000-0000-0000-0000-00000000dead', 'no uuid', '{ID}', 'HEX', '1; DROP TABLE contacts' ]);
# it was for the transaction only
$expected->{after_keep} = { sqlstate => 'PT409' };
$expected->{spelling} = { status => 'Blocked', same => 1 };
$expected->{uuid_argument} = { sqlstate => '42883' };
$expected->{misfit} = { error => misfit('updated_by', 'uuid', 'USR-7') };

check(run_program($node, 'app', $python, "$PROGRAMS/django_program.py", 'run', $clerk, $guard), $expected);

done_testing();
