# Active Record over a table of its own making: a lower-case enum for the
# status, by the trigger's arguments, varchar ids, timestamps without time zone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Orm qw($PROGRAMS start_server grant_rights run_program expected check has_modules);

# Debian's, whatever other ruby comes first
my $ruby = '/usr/bin/ruby';
has_modules($ruby, '-e', 'require "active_record"; require "pg"')
  or plan skip_all => 'Active Record is not installed (Debian: ruby-activerecord, ruby-pg)';

my ($clerk, $guard) = ('USR-clerk', 'USR-guard');
my $node = start_server('activerecord');
run_program($node, undef, $ruby, "$PROGRAMS/activerecord_program.rb", 'create');
$node->safe_psql('postgres', 'SELECT crm.contact_block_setup()');
grant_rights($node, $clerk, $guard, 'GRANT INSERT, UPDATE ON crm.contacts TO app');

my $expected = expected(
	active => 'active',
	blocked => 'blocked',
	deleted => 'deleted',
	class => 'ActiveRecord::StatementInvalid',
	clerk => $clerk,
	guard => $guard,
	created_is_updated => 1,
	nobody => 'app',
	unknown => [ 'nobody', q('; DROP TABLE contacts; --), 'x' x 1000 ]);
# Rails writes what has changed, which says nothing about the status
$expected->{changes_only} = { status => 'blocked', reason => 'fraud', name => 'Ada, in part' };
# a block by a session in another time zone
$expected->{time} = { same => 1, now => 1 };
# a SELECT changes nothing, Rails thinks
$expected->{query_cache} = { status => [ 'active', 'blocked' ] };

check(run_program($node, 'app', $ruby, "$PROGRAMS/activerecord_program.rb", 'run', $clerk, $guard), $expected);

done_testing();
