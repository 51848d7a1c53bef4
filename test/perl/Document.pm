# The documents, and what stands in them: blocks of code, which tests run as
# people would.

package Document;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(documents blocks block diagram dead_links run_document);

my $source = "$FindBin::RealBin/../..";
my $marker = '-- end of block';
my $ndatabases = 0;

# The names of all documents, from the source's folder.
sub documents
{
	return map { s{^\Q$source\E/}{}r } glob "$source/*.md $source/doc/*.md";
}

# What a document has, in its order: [ language, text, line ] of each block of
# code, and [ 'new' ] where a line <!-- a new database --> is.
sub blocks
{
	my ($document) = @_;
	my $text = slurp_file("$source/$document");
	my @blocks;
	while ($text =~ /^```(\w*)\n(.*?)^```$|^<!-- a new database -->$/msg)
	{
		my ($language, $code) = ($1, $2);
		my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
		push @blocks, defined $code ? [ $language, $code, $line ] : ['new'];
	}
	return @blocks;
}

# The statement below this comment.
sub block
{
	my ($document, $comment) = @_;
	for (blocks($document))
	{
		return $1 if ($_->[1] // '') =~ /^-- \Q$comment\E\n(.*?;\n)/ms;
	}
	die "no block of $document says: $comment";
}

# The lines of the one Mermaid diagram of this kind in all documents, without
# indentation.
sub diagram
{
	my ($kind) = @_;
	my @found = grep { $_->[0] eq 'mermaid' && $_->[1] =~ /\A\Q$kind\E\n/ } map { blocks($_) } documents();
	die scalar @found . " diagrams are a $kind" if @found != 1;
	my (undef, @lines) = split /\n\s*/, $found[0][1];
	return @lines;
}

# The names under which the headings of a document are linked to.
sub anchors
{
	my ($document) = @_;
	my $text = slurp_file("$source/$document") =~ s/^```.*?^```$//msgr;
	return map { lc =~ s/[^\w -]//gr =~ s/ /-/gr } $text =~ /^#+ (.*)$/mg;
}

# The links of a document into the source that lead to no file or no heading.
sub dead_links
{
	my ($document) = @_;
	my ($folder) = $document =~ m{^(.*/)?};
	my @dead;
	for my $link (slurp_file("$source/$document") =~ /\]\((?!\w+:)([^)\s]+)\)/g)
	{
		my ($file, $anchor) = split /#/, $link;
		my $target = $file ? ($folder // '') . $file : $document;
		$target =~ s{[^/]+/[.][.]/}{};
		push @dead, $link
		  if !-e "$source/$target" || defined $anchor && !grep { $_ eq $anchor } anchors($target);
	}
	return @dead;
}

# As output is compared: without spaces at the end of lines and empty lines
# around it.  What a clock says is another time in each run; so times count by
# which of them are the same: the first one is <time 1>, wherever it stands.
sub comparable
{
	my ($text) = @_;
	my %times;
	$text =~ s/\b(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.]\d{3,6}(?:Z|[+]00))/'<time ' . ($times{$1} \/\/= 1 + keys %times) . '>'/ge;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}

# Run pieces of SQL in one session in a database; what psql printed for each.
sub run_sql
{
	my ($node, $database, @pieces) = @_;
	my $printed = '';
	# not by -f, which puts the name of the file before each message
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
		'<', \join('', map { "$_\n\\echo '$marker'\n" } @pieces), '>', \$printed, '2>&1');
	return split /^\Q$marker\E\n/m, $printed, -1;
}

# Run the SQL of a document in its order, in one session in a database of its
# own, and compare what psql prints with the block without a language (or with
# json) right behind one; where there is none, no error is to be printed.  A
# line <!-- a new database --> starts anew, for another way to do the same.
# Returns the names of the databases.
sub run_document
{
	my ($node, $document) = @_;
	my @sessions = ([]);
	my $last = '';
	for my $block (blocks($document))
	{
		my ($language, $code, $line) = @$block;
		push @sessions, [] if $language eq 'new';
		push @{ $sessions[-1] }, { sql => $code, line => $line } if $language eq 'sql';
		$sessions[-1][-1]{output} = $code if $language =~ /\A(json)?\z/ && $last eq 'sql';
		$last = $language;
	}

	my @databases;
	for my $session (grep { @$_ } @sessions)
	{
		push @databases, 'document' . ++$ndatabases;
		$node->safe_psql('postgres', "CREATE DATABASE $databases[-1]");
		my @printed = run_sql($node, $databases[-1], map { $_->{sql} } @$session);
		for my $block (@$session)
		{
			my $printed = comparable(shift @printed // 'psql ended before');
			my $name = "$document line $block->{line}";
			if (defined $block->{output})
			{
				is($printed, comparable($block->{output}), "$name prints what it says");
			}
			else
			{
				unlike($printed, qr/^(ERROR|FATAL|psql)/m, "$name runs");
			}
		}
	}
	return @databases;
}

1;
