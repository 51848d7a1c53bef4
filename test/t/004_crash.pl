# kill -9 of the server under load: no acknowledged change is lost, none is there
# by half, and no contact has a status that its stamps do not tell of.
#
# Every client blocks and unblocks its own contacts in turn and numbers its calls;
# the number is the actor.  So a contact tells which call changed it last, which
# has to be the last one that was acknowledged or the one under way.
#
# CONTACT_BLOCK_LONG=1 makes it 20 rounds.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{CONTACT_BLOCK_LONG} ? 20 : 4;
my $clients = 4;
my $contacts = 7;
my $calls = 20000;    # more than a client gets done before the server dies

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO contacts (id, email)
	SELECT client || '-' || contact, 'c\@example.org'
	FROM generate_series(1, $clients) AS client, generate_series(0, $contacts - 1) AS contact});

my $dir = PostgreSQL::Test::Utils::tempdir;

# What the client's call with this number does, and to which contact.
sub contact_of { return $_[0] % $contacts; }
sub verb_of { return int($_[0] / $contacts) % 2 == 0 ? 'block' : 'unblock'; }

# The number of the client's last call that is in the database, -1 if there is none.
sub last_call
{
	my ($client) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(max(updated_by::int), -1) FROM contacts WHERE id LIKE '$client-%'");
}

srand();
my @acknowledged = map { {} } 0 .. $clients;    # per client: contact => [ call, status, updated.at ]

for my $round (1 .. $rounds)
{
	my (@processes, @first);
	for my $client (1 .. $clients)
	{
		my $script = '';
		$first[$client] = last_call($client) + 1;
		for my $call ($first[$client] .. $first[$client] + $calls - 1)
		{
			my $function = 'contact_' . verb_of($call);
			my $id = "$client-" . contact_of($call);
			$script .= "SET contact_block.actor = '$call';\n"
			  . "SELECT $call, d ->> 'status', d -> 'audit' -> 'updated' ->> 'at' FROM $function('$id') AS d;\n";
		}
		PostgreSQL::Test::Utils::append_to_file("$dir/script-$round-$client", $script);
		$processes[$client] = IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$dir/script-$round-$client" ],
			'>', "$dir/out-$round-$client", '2>', "$dir/err-$round-$client");
	}

	# let every client get through some calls, another number each time
	my $enough = 20 + int(rand(200));
	for my $client (1 .. $clients)
	{
		my $call = $first[$client] + $enough;
		$node->poll_query_until('postgres',
			"SELECT max(updated_by::int) >= $call FROM contacts WHERE id LIKE '$client-%'")
		  or die 'timed out while waiting for a client';
	}
	$node->kill9;
	IPC::Run::finish($_) for @processes[ 1 .. $clients ];
	is(join(' ', map { $_->full_result(0) >> 8 } @processes[ 1 .. $clients ]),
		join(' ', (2) x $clients), "round $round: every client lost its connection");

	# It cannot start before the last process of the old server is gone.  A
	# start that failed has taken the old server for the new one: forget it.
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;
	until ($node->start(fail_ok => 1))
	{
		die 'timed out while waiting for the old server to go' if --$tries == 0;
		$node->kill9;
		usleep(100_000);
	}

	my @wrong;
	for my $client (1 .. $clients)
	{
		my $last = $first[$client] - 1;
		for (split /\n/, slurp_file("$dir/out-$round-$client"))
		{
			my ($call, @rest) = split /\|/;
			$acknowledged[$client]{ contact_of($call) } = [ $call, @rest ];
			$last = $call;
		}
		push @wrong, "client $client had no call acknowledged" if $last < $first[$client];

		my %found = map { my ($id, @rest) = split /\|/; ($id => \@rest) } split /\n/,
		  $node->safe_psql('postgres', qq{
			SELECT split_part(id, '-', 2), updated_by, status, contact_document(id) -> 'audit' -> 'updated' ->> 'at'
			FROM contacts WHERE id LIKE '$client-%'});
		for my $contact (0 .. $contacts - 1)
		{
			my @is = @{ $found{$contact} };
			my @was = @{ $acknowledged[$client]{$contact} };

			# the call under way may have been done or not
			if ($is[0] == $last + 1 && $contact == contact_of($last + 1))
			{
				@was = ($is[0], verb_of($is[0]) eq 'block' ? 'Blocked' : 'Active', $is[2]);
				# done, so it counts from now on
				$acknowledged[$client]{$contact} = [@was];
			}
			push @wrong, "contact $client-$contact is @is, acknowledged was @was" if "@is" ne "@was";
		}
	}
	is(join("\n", @wrong), '', "round $round: every acknowledged call is there");

	is($node->safe_psql('postgres', q{
			SELECT count(*) FROM contacts
			WHERE (CASE status
				WHEN 'Blocked' THEN (blocked_at, blocked_by) = (updated_at, updated_by) AND blocked_at >= activated_at
				WHEN 'Active' THEN (activated_at, activated_by) = (updated_at, updated_by) AND activated_at >= blocked_at
				END) IS NOT TRUE}),
		'0', "round $round: every status agrees with the stamps");
}

done_testing();
