# Whoever follows doc/sharding.md from nothing gets to a block on two shards, and
# to a third shard: its ```sh blocks run in their order, in one shell, and what
# they print is what the ``` block behind one shows, or nothing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(blocks);
use Gateway qw(spew);
use Shards qw(new_server);

my $node = new_server('doc');
my $where = sprintf 'host=%s port=%s', $node->host, $node->port;

# Pairs of what to run and what it prints, until the next way begins
my @steps;
my $last = '';
foreach my $block (blocks('doc/sharding.md'))
{
	my ($language, $text) = @$block;
	push @steps, { run => $text, prints => '' } if $language eq 'sh';
	$steps[-1]{prints} = $text if $language eq '' && $last eq 'sh';
	$last = $language;
}
cmp_ok(scalar @steps, '>', 10, 'the document has commands');
is($steps[0]{run} =~ s/^where='host=localhost port=5432'$/where='$where'/mr =~ tr/\n//, 5, 'and says where the databases are in one line');
$steps[0]{run} =~ s/^where=.*$/where='$where'/m;

my $script = PostgreSQL::Test::Utils::tempdir . '/script';
spew($script, join '', "cd '$FindBin::RealBin/../..'\nexport PGHOST='${\$node->host}' PGPORT=${\$node->port}\n",
	map { "$_->{run}\necho '\@\@'\n" } @steps);
my $printed = '';
IPC::Run::run([ 'bash', $script ], '<', \undef, '>', \$printed, '2>&1');
my @printed = split /^@@\n/m, $printed, -1;

sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/^-+$/---/gm;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}
foreach my $i (0 .. $#steps)
{
	my ($first) = $steps[$i]{run} =~ /(.{1,60})/;
	is(trimmed($printed[$i] // 'ended before'), trimmed($steps[$i]{prints}), "step $i: $first");
}

done_testing();
