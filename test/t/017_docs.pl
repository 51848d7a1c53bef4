# The SQL in the documents does what they say: the README and all of doc/, each
# as Document.pm says.  Documents that need more than one server have a test of
# their own.  Their links lead somewhere, and the reference leaves out no function
# and no setting.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(documents blocks dead_links run_document);

my %elsewhere = (
	'doc/operate.md' => '019_history.pl',
	'doc/sharding.md' => '303_sharding_doc.pl');

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nlc_messages = 'C'");
$node->start;

for my $document (grep { !$elsewhere{$_} } documents())
{
	run_document($node, $document) if grep { $_->[0] eq 'sql' } blocks($document);
}

is(join(' ', dead_links($_)), '', "$_: the links lead somewhere") foreach documents();

my $names = $node->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	LOAD 'contact_block';
	SELECT DISTINCT proname FROM pg_proc WHERE probin LIKE '%contact_block'
	UNION ALL SELECT name FROM pg_settings WHERE name LIKE 'contact_block.%'});
my $reference = join "\n", grep { /^\|/ } split /\n/, slurp_file("$FindBin::RealBin/../../doc/reference.md");
is(join(' ', grep { $reference !~ /`\Q$_\E[`(]/ } split /\n/, $names), '', 'the reference has every function and setting');

done_testing();
