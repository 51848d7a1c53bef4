# The blocks of code in a document: what it tells people to run, so that tests
# run just that.

package Document;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(blocks block);

# All blocks of a document, in order, as pairs of language and text.
sub blocks
{
	my ($document) = @_;
	my $text = slurp_file("$FindBin::RealBin/../../$document");
	my @blocks;
	push @blocks, [ $1, $2 ] while $text =~ /^```(\w*)\n(.*?)^```$/msg;
	return @blocks;
}

# The statement below this comment.
sub block
{
	my ($document, $comment) = @_;
	for (blocks($document))
	{
		return $1 if $_->[1] =~ /^-- \Q$comment\E\n(.*?;\n)/ms;
	}
	die "no block of $document says: $comment";
}

1;
