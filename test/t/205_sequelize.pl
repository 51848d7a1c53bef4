# Sequelize over a table of its own making, in another schema and with names of
# its own; contacts is a view over it. Sequelize comes from npm, in the versions
# of test/orm/sequelize/package-lock.json.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use File::Copy qw(copy);
use Npm qw(npm_packages);
use Orm qw($PROGRAMS start_server grant_rights run_program expected check);

my ($missing, undef, $folder) = npm_packages("$PROGRAMS/sequelize");
plan skip_all => $missing if $missing;
# it finds the packages beside it
my $program = "$folder/program.js";
copy("$PROGRAMS/sequelize/program.js", $program) or die "$program: $!";

my ($clerk, $guard) = ('USR-clerk', 'USR-guard');
my $node = start_server('sequelize');
# set-up makes the others; it does not know of views yet
$node->safe_psql('postgres',
	'SELECT crm.contact_block_setup(); DROP TABLE crm.contacts CASCADE');
run_program($node, undef, 'node', $program, 'create');
grant_rights($node, $clerk, $guard, q{
	GRANT USAGE ON SCHEMA app TO app;
	GRANT SELECT, INSERT, UPDATE ON app.people TO app;
	GRANT USAGE ON SEQUENCE app.people_person_id_seq TO app});

my $expected = expected(
	active => 'active',
	blocked => 'suspended',
	deleted => 'gone',
	class => 'SequelizeDatabaseError',
	clerk => $clerk,
	guard => $guard,
	created_is_updated => 1,
	nobody => 'app',
	unknown => [ '999999', '-0', '1e3', '1.0', '2147483648', 'no number' ]);
# Sequelize writes what has changed, which says nothing about the status
$expected->{changes_only} = { status => 'suspended', reason => 'fraud', name => 'Ada, in part' };
# what contact_delete() has deleted is deleted for Sequelize
$expected->{hidden} = { found => 0 };

check(run_program($node, 'app', 'node', $program, 'run', $clerk, $guard), $expected);

# Who may read id and status, by the names of the table, is told them.
$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN;
	CREATE ROLE writer LOGIN;
	CREATE ROLE viewer LOGIN;
	GRANT USAGE ON SCHEMA app, crm TO reader, writer, viewer;
	GRANT SELECT (person_id, state), UPDATE (state) ON app.people TO reader;
	GRANT SELECT (person_id, mail), UPDATE (state) ON app.people TO writer;
	GRANT SELECT, UPDATE ON crm.contacts TO viewer;
	INSERT INTO app.people (person_id, mail, state) VALUES (20000, 'rita@example.org', 'suspended')});
my %told = (
	reader => [ 'app.people SET state', 'person_id', qr/^DETAIL:  Contact "20000" is Blocked and cannot become Active\.$/m ],
	writer => [ 'app.people SET state', 'person_id', qr/^HINT: /m ],
	viewer => [ 'crm.contacts SET status', 'id', qr/^HINT: /m ]);
foreach my $login (sort keys %told)
{
	my ($target, $id, $what) = @{ $told{$login} };
	my ($status, $stdout, $stderr) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nUPDATE $target = 'active' WHERE $id = 20000",
		extra_params => [ '-U', $login ]);
	like($stderr, qr/ERROR:  PT409: /, "the error for $login");
	like($stderr, $what, "what $login is told");
}

done_testing();
