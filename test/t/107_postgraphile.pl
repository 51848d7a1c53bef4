# PostGraphile with doc/gateway/postgraphile.js: the functions as GraphQL, for
# real. The actor is the token's, and errors have their SQLSTATE.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw($SECRET http set_up_database token);
use Npm qw(npm_packages);

my ($missing, $program, $npm) = npm_packages("$Gateway::SOURCE/test/gateway");
plan skip_all => $missing if $missing;

my $node = PostgreSQL::Test::Cluster->new('postgraphile');
$node->init;
$node->start;
set_up_database($node);
$node->safe_psql('postgres', <<'END');
INSERT INTO notifications.contacts (id, email, status)
    VALUES ('CTT-1', 'a@example.com', 'Active'), ('CTT-2', 'a@example.com', 'Active'), ('CTT-new', 'a@example.com', 'New');
END

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $output = '';
my $process;
{
	local $ENV{DATABASE_URL} = sprintf 'postgresql://authenticator@/postgres?host=%s&port=%s',
	  $node->host, $node->port;
	local $ENV{JWT_SECRET} = $SECRET;
	local $ENV{PORT} = $port;
	local $ENV{NODE_PATH} = "$npm/node_modules";
	$process = IPC::Run::start([ $program, "$Gateway::SOURCE/doc/gateway/postgraphile.js" ],
		'<', \undef, '>&', \$output);
}

END
{
	my $status = $?;
	$process->kill_kill if $process;
	$? = $status;
}

my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
until (eval { http($port, 'GET', '/'); 1 })
{
	BAIL_OUT("PostGraphile does not come up: $output")
	  if time > $deadline || !$process->pumpable;
	select undef, undef, undef, 0.1;
}

my $operator = token(role => 'contact_operator', sub => 'USR-1');

sub graphql
{
	my ($query, @headers) = @_;
	my ($response) = http($port, 'POST', '/graphql',
		[ 'Content-Type: application/json', @headers ],
		encode_json({ query => $query }));
	return $response;
}

sub error_of
{
	my ($response) = @_;
	my $error = $response->{json}{errors}[0];
	return join ' ', $response->{status}, map { $_ // '' } $error->{errcode},
	  $error->{message}, $error->{detail};
}

# The verbs
my $response = graphql(
	'mutation { contactBlock(input: {id: "CTT-1", reason: "Bounced"}) { json } }', $operator);
my $document = $response->{json}{data}{contactBlock}{json};
is($document->{status}, 'Blocked', 'contactBlock returns the document')
  or diag($response->{body} . $output);
is($document->{blockedReason}, 'Bounced', 'with the reason');
is($document->{audit}{blocked}{by}{id}, 'USR-1', 'the actor is the token\'s');
is( $node->safe_psql('postgres', q{SELECT blocked_by FROM notifications.contacts WHERE id = 'CTT-1'}),
	'USR-1', 'also in the table');
is_deeply(
	graphql('{ contactDocument(id: "CTT-1") }', $operator)->{json}{data}{contactDocument},
	$document, 'contactDocument: the same document');
is( graphql('mutation { contactUnblock(input: {id: "CTT-1"}) { json } }',
		token(role => 'contact_operator', sub => 42))->{json}{data}{contactUnblock}{json}{audit}
	  {activated}{by}{id}, '42', 'contactUnblock: by another token');
is( graphql('mutation { contactBlock(input: {id: "CTT-1"}) { json } }', $operator)
	  ->{json}{data}{contactBlock}{json}{blockedReason},
	undef, 'contactBlock without a reason');
is( graphql('mutation { contactDelete(input: {id: "CTT-1"}) { json } }', $operator)
	  ->{json}{data}{contactDelete}{json}{status},
	'Deleted', 'contactDelete');

$response = graphql('mutation { contactsBlock(input: {ids: ["CTT-2", "CTT-none"]})'
	  . ' { results { id code status changed } } }', $operator);
is_deeply(
	$response->{json}{data}{contactsBlock}{results},
	[
		{ id => 'CTT-2', code => '00000', status => 'Blocked', changed => JSON::PP::true },
		{ id => 'CTT-none', code => 'PT404', status => undef, changed => JSON::PP::false }
	],
	'contactsBlock: a row for each id') or diag($response->{body});
graphql('mutation { contactsUnblock(input: {ids: ["CTT-2"]}) { clientMutationId } }', $operator);

# Nothing else is there
$response = graphql('{ __schema { queryType { fields { name } } mutationType { fields { name } } } }');
is_deeply(
	[
		sort map { $_->{name} } map { @{ $response->{json}{data}{__schema}{$_}{fields} } }
		  'queryType', 'mutationType'
	],
	[
		'contactBlock', 'contactDelete', 'contactDocument', 'contactUnblock', 'contactsBlock',
		'contactsUnblock', 'node', 'nodeId', 'query'
	],
	'the verbs are all that is offered');

# Errors
is( error_of(graphql('mutation { contactBlock(input: {id: "CTT-none"}) { json } }', $operator)),
	'200 PT404 contact not found There is no contact "CTT-none".', 'an id that is unknown: PT404');
is( error_of(graphql('mutation { contactBlock(input: {id: "CTT-new"}) { json } }', $operator)),
	q{200 PT409 the contact's status does not allow this Contact "CTT-new" is New.}, 'New: PT409');
foreach my $header (undef, token(sub => 'USR-1'), token(role => 'authenticator', sub => 'USR-1'))
{
	like(error_of(graphql('mutation { contactUnblock(input: {id: "CTT-new"}) { json } }', $header // ())),
		qr/^\d+ 42501 /, 'without the right: 42501');
}
like(
	error_of(graphql('{ contactDocument(id: "CTT-1") }', token(role => 'pg_read_all_data', sub => 'USR-1'))),
	qr/^500  permission denied to set role /, 'a role that the login may not become');
foreach my $header (
	'Authorization: Bearer a.b.c',
	$operator . 'x',
	token(role => 'contact_operator', sub => 'USR-1', exp => time - 60))
{
	my $result = graphql('mutation { contactBlock(input: {id: "CTT-1"}) { json } }', $header);
	is($result->{status}, 401, 'a token that is no good: 401') or diag($result->{body});
}

foreach my $claims ([], [ sub => '' ], [ sub => undef ], [ sub => [] ])
{
	like(
		error_of(graphql('mutation { contactBlock(input: {id: "CTT-2"}) { json } }',
			token(role => 'contact_operator', @$claims))),
		qr/^200 22023 /, 'a token that does not say who acts: 22023');
}
is($node->safe_psql('postgres', q{SELECT status FROM notifications.contacts WHERE id = 'CTT-2'}),
	'Active', 'and nobody is recorded in their place');

done_testing();
