# The whole way: curl, nginx, PostgREST and a server, with the files of
# doc/gateway. Needs PostgREST, as "postgrest" in PATH or named by POSTGREST.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw($BASE $SECRET find_program http nginx_programs set_up_database slurp
  spew start_nginx token);

my $postgrest = $ENV{POSTGREST} || find_program('postgrest')
  or plan skip_all =>
  'PostgREST is not installed (no postgrest in PATH, POSTGREST is not set)';
my ($missing) = nginx_programs();
plan skip_all => $missing if $missing;
my $curl = find_program('curl')
  or plan skip_all => 'curl is not installed (Debian: curl)';

my $node = PostgreSQL::Test::Cluster->new('end_to_end');
$node->init;
$node->start;
set_up_database($node);
$node->safe_psql('postgres', <<'END');
SET search_path = notifications;
INSERT INTO users (id, email, status, name, first_name, last_name)
    VALUES ('USR-1', 'u@example.com', 'Active', 'U', 'U', 'U');
INSERT INTO contacts (id, email, status) VALUES
    ('CTT-1', 'a@example.com', 'Active'),
    ('CTT-new', 'a@example.com', 'New'),
    (E'a/b "c" %\n\u00e9', 'a@example.com', 'Active');
INSERT INTO contacts (id, email) SELECT 'CTT-many-' || i, 'a@example.com' FROM generate_series(1, 4) i;
END

# PostgREST with doc/gateway's configuration; the environment comes first.
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $admin_port = PostgreSQL::Test::Cluster::get_free_port();
my $process;
my $output = '';
{
	local $ENV{PGRST_DB_URI} = sprintf 'postgresql://authenticator@/postgres?host=%s&port=%s',
	  $node->host, $node->port;
	local $ENV{PGRST_JWT_SECRET} = $SECRET;
	local $ENV{PGRST_SERVER_PORT} = $port;
	local $ENV{PGRST_ADMIN_SERVER_PORT} = $admin_port;
	$process = IPC::Run::start(
		[ $postgrest, "$Gateway::SOURCE/doc/gateway/postgrest.conf" ],
		'<', \undef, '>&', \$output);
}

END
{
	my $status = $?;
	$process->kill_kill if $process;
	$? = $status;
}

my ($nginx) = start_nginx($port);

my $operator = token(role => 'contact_operator', sub => 'USR-1');

# It is there when it answers as it should.
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
while (1)
{
	my ($response) = http($nginx, 'GET', "$BASE/CTT-1", [$operator]);
	last if $response->{status} == 200;
	BAIL_OUT("PostgREST does not come up: $output")
	  if time > $deadline || !$process->pumpable;
	select undef, undef, undef, 0.1;
}

is((http($admin_port, 'GET', '/ready'))[0]{status}, 200, 'and says that it is ready');

# curl as the reader of doc/gateway.md uses it: status and body
sub curl
{
	my ($path, @options) = @_;
	my $stdout;
	IPC::Run::run(
		[
			$curl, '-sS', '--path-as-is', '-w', '\n%{http_code} %{content_type}',
			@options, "http://127.0.0.1:$nginx$BASE/$path"
		],
		'>', \$stdout) or die 'curl failed';
	my ($body, $status, $type) = $stdout =~ /\A(.*)\n(\d+) ?(.*)\z/s;
	return { status => $status, body => $body, type => $type,
		json => scalar eval { decode_json($body) } };
}

sub problem_is
{
	my ($response, $status, $name) = @_;
	is_deeply([ @$response{ 'status', 'type' }, $response->{json}{status} ],
		[ $status, 'application/problem+json', $status ], $name)
	  or diag($response->{body});
	return;
}

# The verbs
my $response = curl('CTT-1/block', '-X', 'POST', '-H', $operator);
is($response->{status}, 200, 'block: 200');
is($response->{json}{status}, 'Blocked', 'block: the document');
is_deeply(
	$response->{json}{audit}{blocked}{by},
	{ id => 'USR-1', name => 'U', icon => undef },
	'block: the sub of the token has acted');
is_deeply($response->{json}{'$meta'}{omitted}, [], 'block: all of the document');

foreach my $key ('reason', 'blockedReason')
{
	$response = curl('CTT-1/block', '-H', $operator, '-H',
		'Content-Type: application/json', '-d', qq({"$key": "by $key"}));
	is($response->{json}{blockedReason}, "by $key", "block: $key in the body");
}
my $blocked = $response->{body};
is(curl('CTT-1', '-H', $operator)->{body}, $blocked, 'GET: the same document');
is(curl('CTT-1/block', '-X', 'POST', '-H', $operator)->{body},
	$blocked, 'block again: the same document');
is(curl('CTT-1/unblock', '-X', 'POST', '-H', $operator)->{json}{status},
	'Active', 'unblock: the document');
my $token = token(role => 'contact_operator', sub => 'TKN-2');
is_deeply(
	curl('CTT-1/block', '-X', 'POST', '-H', $token)->{json}{audit}{blocked}{by},
	{ id => 'TKN-2' },
	'block by another token');
$response = curl('CTT-1', '-X', 'DELETE', '-H', $operator);
is("$response->{status}$response->{body}", '204', 'DELETE: 204 and no body');
is(curl('CTT-1', '-H', $operator)->{json}{status}, 'Deleted', 'DELETE: Deleted');

is( curl('a%2Fb%20%22c%22%20%25%0A%C3%A9/block', '-X', 'POST', '-H', $operator)
	  ->{json}{id},
	qq(a/b "c" %\n\x{e9}),
	'an id of any form');

$response = curl('block', '-H', $operator, '-d', '{"ids": ["CTT-many-1", "CTT-none", "CTT-new"]}');
is_deeply(
	[ map { "$_->{id} $_->{status}" } @{ $response->{json} } ],
	[ 'CTT-many-1 200', 'CTT-none 404', 'CTT-new 409' ],
	'block many: what became of each') or diag($response->{body});
is(curl('unblock', '-H', $operator, '-d', '{"ids": ["CTT-many-1"]}')->{json}[0]{contactStatus},
	'Active', 'unblock many');

# Errors
problem_is(curl('CTT-1/block', '-X', 'POST', '-H', $operator), 409, 'Deleted: 409');
problem_is(curl('CTT-new/block', '-X', 'POST', '-H', $operator), 409, 'New: 409');
foreach my $id ('CTT-none', '..', '%2e%2e', '%252e', 'a%0D%0AX:b', '%25s', 'x' x 7000)
{
	problem_is(curl("$id/block", '-X', 'POST', '-H', $operator),
		404, substr($id, 0, 20) . ': 404');
}
problem_is(curl('%00/block', '-X', 'POST', '-H', $operator), 400, '%00: 400');
problem_is(
	curl('CTT-new/block', '-H', $operator, '-d', '{"reason": "\u0000"}'),
	400, 'a reason that is no text: 400');
problem_is(curl('CTT-new/block', '-X', 'POST'), 401, 'no token: 401');
problem_is(
	curl('CTT-new/block', '-X', 'POST', '-H', $operator . 'x'),
	401, 'a forged token: 401');
problem_is(
	curl('CTT-new/block', '-X', 'POST', '-H',
		token(role => 'contact_operator', sub => 'USR-1', exp => time - 3600)),
	401, 'an expired token: 401');
problem_is(
	curl('CTT-new/block', '-X', 'POST', '-H', token(role => 'web_anon', sub => 'a')),
	401, 'a token of the anonymous role: 401');
problem_is(
	curl('CTT-new/block', '-X', 'POST', '-H', token(sub => 'a')),
	401, 'a token without a role: 401');
problem_is(
	curl('CTT-new/block', '-X', 'POST', '-H', token(role => 'authenticator', sub => 'a')),
	403, 'a token of a role without the right: 403');
foreach my $claims ([], [ sub => '' ], [ sub => undef ], [ sub => [] ], [ sub => "a\0b" ])
{
	problem_is(
		curl('CTT-many-1/block', '-X', 'POST', '-H', token(role => 'contact_operator', @$claims)),
		401, 'a token that does not say who acts: 401');
}
is(curl('CTT-many-1', '-H', $operator)->{json}{status},
	'Active', 'and nobody is recorded in their place');
problem_is(
	curl('CTT-many-1/block', '-X', 'POST', '-H', $operator, '-H', 'If-Match: "x"'),
	412, 'a condition that is not met: 412');
is(curl('CTT-many-1', '-H', $operator)->{json}{status}, 'Active', 'and no call');
$node->safe_psql('postgres',
	'ALTER TABLE notifications.categories RENAME TO elsewhere');
$response = curl('CTT-new', '-H', $operator);
problem_is($response, 500, 'a table is missing: 500');
unlike($response->{body}, qr/notifications|categories/, 'which is not told');
$node->safe_psql('postgres',
	'ALTER TABLE notifications.elsewhere RENAME TO categories');

foreach my $path ('rpc/contact_block', 'rpc/contact_block_setup', 'contacts', '')
{
	my ($answer) = http($nginx, 'GET', "/$path", [$operator]);
	is($answer->{status}, 404, "/$path is not reachable");
}

# Many at once
my @runs = map {
	my $verb = $_;
	my $stdout = '';
	my @urls = map { ("http://127.0.0.1:$nginx$BASE/CTT-many-" . ($_ % 4 + 1) . "/$verb") } 1 .. 100;
	{
		stdout => \$stdout,
		run => IPC::Run::start(
			[
				$curl, '-sS', '-Z', '--parallel-max', 50, '-X', 'POST', '-H',
				$operator, '-w', "\n=%{http_code}\n", @urls
			],
			'>', \$stdout)
	}
} 'block', 'unblock';
$_->{run}->finish foreach @runs;
my %statuses;
$statuses{$_}++ foreach map { ${ $_->{stdout} } =~ /^=(\d+)$/mg } @runs;
is_deeply(\%statuses, { 200 => 200 }, '200 calls at once all succeed');
is( $node->safe_psql('postgres', <<'END'), 't', 'status and stamps agree');
SELECT bool_and(CASE status WHEN 'Blocked' THEN blocked_at > activated_at
                WHEN 'Active' THEN blocked_at IS NULL OR activated_at > blocked_at ELSE false END
                AND updated_at = greatest(blocked_at, activated_at))
FROM notifications.contacts WHERE id LIKE 'CTT-many-%' AND updated_at IS NOT NULL;
END

# More calls than there are connections, for one contact that is locked
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe(
		q{BEGIN; SELECT FROM notifications.contacts WHERE id = 'CTT-many-1' FOR UPDATE;});
	my $stdout = '';
	my $run = IPC::Run::start(
		[
			$curl, '-sS', '-Z', '--parallel-immediate', '--parallel-max', 20, '-X', 'DELETE', '-H',
			$operator, '-w', "\n=%{http_code}\n",
			("http://127.0.0.1:$nginx$BASE/CTT-many-1") x 20
		],
		'>', \$stdout);
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 10 FROM pg_stat_activity WHERE wait_event_type = 'Lock'})
	  or die 'no calls wait for the contact';
	is(curl('CTT-many-2', '-H', $operator)->{status}, 200, 'a call gets through beside them');
	$run->finish;
	is_deeply([ $stdout =~ /^=(\d+)$/mg ], [ (504) x 20 ], 'calls for a locked contact: 504');
	$holder->quit;
}

# The server goes, and comes back
$node->stop;
$response = curl('CTT-new', '-H', $operator);
problem_is($response, 503, 'the server is down: 503');
$node->start;

$process->kill_kill;
$process = undef;
problem_is(curl('CTT-new', '-H', $operator), 502, 'PostgREST is down: 502');

done_testing();
