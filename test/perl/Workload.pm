# Clients that change contacts while a test lets things go wrong, and the truth
# afterwards: every acknowledged call is there, a failed one has changed nothing,
# none is there by half, and the next call works.
#
# Every client blocks and unblocks its own contacts in turn and numbers its calls;
# the number is the actor and begins the reason.  So what a call makes of a
# contact's document is known, but for the time, and the documents that the calls
# returned are what has to be found in the end.  Only the call under way when a
# connection was lost may have been done or not.

package Workload;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(start_again);

my $contacts = 7;
# More than a client gets done before it is stopped: with its pauses it takes 20
# seconds and more for them, on any machine.
my $calls = 50000;

# Starts a server that was killed or broke down.  It cannot start before the last
# process of the old one is gone, and a start that failed has taken the old server
# for the new one: forget it.
sub start_again
{
	my ($node) = @_;
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;
	$node->kill9;
	until ($node->start(fail_ok => 1))
	{
		die 'timed out while waiting for the old server to go' if --$tries == 0;
		$node->kill9;
		usleep(100_000);
	}
}

# Sets the database up.  Options: clients, how many; reason, how many characters
# it has behind the number; pause, after how many calls it waits for 20 ms; part,
# what to apply to a document before it is told; load, what makes the contacts, given
# a query for their ids, and whatever it takes to find the relation contacts and the
# functions in the database.
sub new
{
	my ($class, $node, %options) = @_;
	my $seed = srand();
	note("seed $seed");
	my $self = bless {
		clients => 8, reason => 0, part => '', pause => 50, %options,
		node => $node, dir => PostgreSQL::Test::Utils::tempdir }, $class;
	$self->{next} = [ (1) x ($self->{clients} + 1) ];
	my $ids = qq{
		SELECT client || '-' || contact AS id
		FROM generate_series(1, $self->{clients}) AS client, generate_series(1, $contacts) AS contact};
	if ($self->{load}) { $self->{load}->($ids) }
	else
	{
		$node->safe_psql('postgres', qq{
			CREATE EXTENSION contact_block;
			SELECT contact_block_setup();
			INSERT INTO contacts (id, email) SELECT id, 'c\@example.org' FROM ($ids) AS ids});
	}
	# every document has every stamp but deleted
	$node->safe_psql('postgres', q{
		SET contact_block.actor = '0';
		SELECT contact_block(id) FROM contacts;
		SELECT contact_unblock(id) FROM contacts});
	$self->{documents} = $self->found;
	return $self;
}

# The documents by contact.
sub found
{
	my ($self) = @_;
	return { map { split /\|/, $_, 2 } split /\n/,
		$self->{node}->safe_psql('postgres', "SELECT id, contact_document(id)$self->{part} FROM contacts") };
}

# What the client's call with this number does, and to which contact.
sub id_of { return $_[0] . '-' . ($_[1] % $contacts + 1); }
sub is_block { return int($_[0] / $contacts) % 2 == 0; }

sub sql_of
{
	my ($self, $client, $number) = @_;
	my $id = id_of($client, $number);
	my $call = is_block($number)
	  ? "contact_block('$id', '$number' || repeat('x', $self->{reason}))"
	  : "contact_unblock('$id')";
	return "SET contact_block.actor = '$number'\\; SELECT $number, $call$self->{part};\n";
}

# What the call makes of the document, at the time that the new document tells.
sub after
{
	my ($self, $number, $document, $new) = @_;
	my ($status, $reason, $event) = is_block($number)
	  ? ('"Blocked"', '"' . $number . 'x' x $self->{reason} . '"', 'blocked')
	  : ('"Active"', 'null', 'activated');
	my $changed = $document !~ /"status": $status/;
	return $document if !$changed && !is_block($number);

	my ($time) = $new =~ /"updated": \{"at": "(.*?)"/ or return 'a document';
	my ($before) = $document =~ /"updated": \{"at": "(.*?)"/ or return 'after a document';
	return "later than $before" if $time lt $before;
	for ('updated', $changed ? $event : ())
	{
		$document =~ s/"$_": \{"at": ".*?", "by": \{"id": "\d+"\}\}/"$_": {"at": "$time", "by": {"id": "$number"}}/;
	}
	$document =~ s/"status": "\w+"/"status": $status/;
	$document =~ s/"blockedReason": (?:null|"\w+")/"blockedReason": $reason/;
	return $document;
}

# Starts the clients; prelude is a function that returns what a client, by its
# number, does before its calls.
sub start
{
	my ($self, $prelude) = @_;
	for my $client (1 .. $self->{clients})
	{
		my ($script, $out, $err) = map { "$self->{dir}/$_-$client" } qw(script out err);
		my $first = $self->{next}[$client];
		unlink $script;
		append_to_file($script, join '', $prelude ? $prelude->($client) : (),
			map { ($_ % $self->{pause} ? () : "SELECT pg_sleep(0.02) \\g /dev/null\n"), $self->sql_of($client, $_) }
			  $first .. $first + $calls - 1);
		$self->{processes}[$client] = IPC::Run::start(
			[
				'psql', '-XAtqb', '-v', 'VERBOSITY=sqlstate', '-f', $script,
				'-d', $self->{node}->connstr('postgres') . ' application_name=workload'
			],
			'>', $out, '2>', $err);
	}
}

# Waits until each client has had this many more of its calls done.
sub wait_for
{
	my ($self, $number) = @_;
	my $done = join ', ', map { "max(updated_by::int) FILTER (WHERE id LIKE '$_-%')" } 1 .. $self->{clients};
	my $goal = $self->{node}->safe_psql('postgres', "SELECT array[$done] FROM contacts");
	$self->{node}->poll_query_until('postgres', qq{
		SELECT bool_and(done >= goal + $number)
		FROM unnest('$goal'::int[], (SELECT array[$done] FROM contacts)) AS u (goal, done)})
	  or $self->give_up('calls that succeed');
}

# Does something until this many calls have failed with this SQLSTATE, as they may.
sub disturb
{
	my ($self, $sqlstate, $number, $something) = @_;
	$self->{may_fail}{$sqlstate} = 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	while ($number > map { slurp_file("$self->{dir}/err-$_") =~ /: +$sqlstate$/mg } 1 .. $self->{clients})
	{
		$self->give_up("calls that fail with $sqlstate") if time > $deadline;
		$something->();
	}
}

# Terminates the clients' sessions, each at a moment of its own, and waits for it.
sub stop
{
	my ($self) = @_;
	$self->{node}->safe_psql('postgres', q{
		SELECT pg_terminate_backend(pid), pg_sleep(random() * 0.01)
		FROM pg_stat_activity WHERE application_name = 'workload'});
	$self->finish;
}

# Waits until all clients have lost their connections.
sub finish
{
	my ($self) = @_;
	IPC::Run::finish($_) for @{ $self->{processes} }[ 1 .. $self->{clients} ];
}

# Lets the check say why there is no progress.
sub give_up
{
	my ($self, $what) = @_;
	$self->stop;
	$self->check('timed out');
	die "timed out while waiting for $what";
}

# Looks at the truth, after finish.
sub check
{
	my ($self, $name) = @_;
	my @clients = 1 .. $self->{clients};
	my @wrong;

	my $found = $self->found;
	my $documents = $self->{documents};
	for my $client (@clients)
	{
		my $number = $self->{next}[$client];
		my $status = $self->{processes}[$client]->full_result(0) >> 8;
		push @wrong, "client $client ended with status $status" if $status != 2;
		my %told = map { split /\|/, $_, 2 } split /\n/, slurp_file("$self->{dir}/out-$client");
		my %failed = reverse slurp_file("$self->{dir}/err-$client") =~
		  /ERROR: +(\w+)\n.*STATEMENT: +SET contact_block.actor = '(\d+)'/g;
		my $ended = %told + %failed;

		for (; exists $told{$number} || exists $failed{$number}; $number++)
		{
			my $id = id_of($client, $number);
			$ended--;
			if (exists $failed{$number})
			{
				push @wrong, "call $number of client $client failed with $failed{$number}"
				  unless $self->{may_fail}{ $failed{$number} };
				next;
			}
			my $expected = $self->after($number, $documents->{$id}, $told{$number});
			push @wrong, "call $number of client $client told $told{$number}\ninstead of $expected"
			  if $told{$number} ne $expected;
			$documents->{$id} = $told{$number};
		}
		push @wrong, "$ended calls of client $client have no end or two" if $ended != 0;

		# the call under way
		my $id = id_of($client, $number);
		$documents->{$id} = $found->{$id}
		  if $found->{$id} eq $self->after($number, $documents->{$id}, $found->{$id});
		$self->{next}[$client] = $number + 1;
	}
	for my $id (sort keys %$documents)
	{
		push @wrong, "contact $id is $found->{$id}\ninstead of $documents->{$id}" if $found->{$id} ne $documents->{$id};
	}
	# once is enough, and the first of many
	$self->{documents} = $documents = $found;
	splice(@wrong, 10) if @wrong > 10;
	$self->{may_fail} = {};
	is(join("\n", @wrong), '', "$name: every acknowledged call is there and none by half");

	# the next calls; what they make of it is looked at with the next round's
	my %told = map { (/"id": "(\d+-\d+)"/ => s/^\d+\|//r) } split /\n/,
	  $self->{node}->safe_psql('postgres', join '', map { $self->sql_of($_, $self->{next}[$_]) } @clients);
	@wrong = grep {
		my $id = id_of($_, $self->{next}[$_]++);
		my $expected = $self->after($self->{next}[$_] - 1, $documents->{$id}, $told{$id});
		($documents->{$id} = $told{$id}) ne $expected;
	} @clients;
	is("@wrong", '', "$name: the next calls work");
}

1;
