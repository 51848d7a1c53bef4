# The SQL in the documents does what they say: of each the ```sql blocks run in
# their order, in one session in a database of their own, and what psql prints is
# what the ``` block behind one shows, or no error where there is none.  A line
# <!-- a new database --> starts anew, for another way to do the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @documents = qw(doc/adopt.md);

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nlc_messages = 'C'");
$node->start;
my $marker = '-- end of block';
my $ndatabases = 0;

# What a document has, in its order: [ language, text, line ] of its blocks, and
# [ 'new' ] where a new database begins.
sub blocks
{
	my ($text) = @_;
	my @blocks;
	my $line = 1;
	while ($text =~ /\G(?:^```(\w*)\n(.*?)^```$|^<!-- (a new database) -->$|.*?)(?:\n|\z)/gmsc)
	{
		push @blocks, [ $1, $2, $line ] if defined $2;
		push @blocks, ['new'] if $3;
		$line += ($& =~ tr/\n//);
		last if pos($text) == length $text;
	}
	return @blocks;
}

# As it is compared: without spaces at the end of lines and empty lines around it.
sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}

# Run pieces of SQL in one session in a new database; what psql printed for each.
sub run_sql
{
	my ($database, @pieces) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . "/$database.sql";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	open my $out, '>', $file or die "$file: $!";
	print $out "$_\n\\echo '$marker'\n" foreach @pieces;
	close $out;
	# not by -f, which puts the name of the file before each message
	my $printed = '';
	IPC::Run::run(
		[ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
		'<', $file, '>', \$printed, '2>&1');
	my @printed = split /^\Q$marker\E\n/m, $printed, -1;
	return @printed;
}

for my $document (@documents)
{
	open my $in, '<', "$FindBin::RealBin/../../$document" or die "$document: $!";
	my $text = do { local $/; <$in> };
	my @databases = ([]);
	my $last = '';
	for my $block (blocks($text), ['new'])
	{
		my ($language, $content, $line) = @$block;
		if ($language eq 'sql') { push @{ $databases[-1] }, { sql => $content, line => $line } }
		elsif ($language eq '' && $last eq 'sql') { $databases[-1][-1]{output} = $content }
		elsif ($language eq 'new') { push @databases, [] if @{ $databases[-1] } }
		$last = $language;
	}

	cmp_ok(scalar @{ $databases[0] }, '>', 0, "$document has SQL");
	for my $blocks (grep { @$_ } @databases)
	{
		my @printed = run_sql('docs' . ++$ndatabases, map { $_->{sql} } @$blocks);
		for my $block (@$blocks)
		{
			my $printed = trimmed(shift @printed // 'psql ended before');
			my $name = "$document line $block->{line}";
			if (defined $block->{output})
			{
				is($printed, trimmed($block->{output}), "$name prints what it says");
			}
			else
			{
				unlike($printed, qr/^(ERROR|FATAL|psql)/m, "$name runs");
			}
		}
	}
}

done_testing();
