# nginx with doc/gateway's configuration, without PostgREST: what it sends
# upstream for a request, what it makes of every answer, and that it answers
# all else itself, always as problem details.
#
# The upstream is this test, which plays back what PostgREST answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw($BASE exchange http nginx_programs slurp start_nginx);

my ($missing) = nginx_programs();
plan skip_all => $missing if $missing;

my $listener = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	Listen => 16) or die "listen: $!";
my ($nginx, $error_log) =
  start_nginx($listener->sockport, proxy_read_timeout => '1s');

# An answer of PostgREST's.
sub answer
{
	my ($status, $body, @headers) = @_;
	return join("\r\n",
		"HTTP/1.1 $status",
		'Server: postgrest/14.17',
		'Content-Type: application/json; charset=utf-8',
		'Content-Length: ' . length($body),
		'Connection: close', @headers, '', $body);
}

sub error_answer
{
	my ($status, $code, $message, $details, @headers) = @_;
	return answer(
		$status,
		encode_json(
			{ code => $code, message => $message, details => $details, hint => undef }
		),
		"Proxy-Status: PostgREST; error=$code", @headers);
}

# Is the response a problem with this status? Returns its detail.
sub problem_is
{
	my ($response, $status, $name) = @_;
	my $json = $response->{json};
	subtest $name => sub {
		is($response->{status}, $status, 'status line');
		is($response->{headers}{'content-type'},
			'application/problem+json', 'content type');
		is($json->{status}, $status, 'status in the body');
		is($json->{type}, 'about:blank', 'type');
		like($json->{title}, qr/^[A-Z][A-Za-z ]+$/, 'title');
		isnt($json->{title}, 'Error', 'the title is that of the status');
		is_deeply([ sort keys %$json ],
			[ 'detail', 'status', 'title', 'type' ], 'members');
		unlike($response->{body}, qr/[<>]/, 'no HTML');
	  }
	  or diag($response->{line} . "\n" . $response->{body});
	return $json->{detail};
}

my $document = qq({"id": "CTT-1", "status": "Blocked", "name": "J\xc3\xbcrg"});
my $ok = answer('200 OK', $document);

# The four verbs: what goes upstream, and what comes back.
foreach my $case (
	[ 'GET', '', 'contact_document', 200 ],
	[ 'GET', '?select=id', 'contact_document', 200 ],
	[ 'POST', '/block', 'contact_block', 200 ],
	[ 'POST', '/unblock', 'contact_unblock', 200 ],
	[ 'DELETE', '', 'contact_delete', 204 ])
{
	my ($method, $rest, $function, $status) = @$case;
	my ($response, $upstream) = exchange($nginx, $listener, $ok, $method,
		"$BASE/CTT-1$rest",
		[
			'Authorization: Bearer abc.def', 'Prefer: tx=rollback',
			'Accept: text/csv', 'Accept-Profile: notifications',
			'Content-Profile: notifications', 'Cookie: a=b',
			'Accept-Encoding: gzip', 'X-HTTP-Method-Override: PUT'
		]);

	is($upstream->{line}, "POST /rpc/$function HTTP/1.1",
		"$method $rest: the function is called");
	is($upstream->{body}, '{"id":"CTT-1"}', "$method $rest: with the id");
	delete $upstream->{headers}{host};
	is_deeply(
		$upstream->{headers},
		{
			'authorization' => 'Bearer abc.def',
			'content-type' => 'application/json',
			'accept' => 'application/json',
			'content-length' => 14
		},
		"$method $rest: of the headers the token alone");
	is($response->{status}, $status, "$method $rest: status");
	is($response->{headers}{'cache-control'}, 'no-store',
		"$method $rest: is not to be cached");
	if ($status == 200)
	{
		is($response->{body}, $document, "$method $rest: the document as it is");
		is($response->{headers}{'content-type'},
			'application/json', "$method $rest: is JSON");
	}
	else
	{
		is($response->{body}, '', "$method $rest: no body");
		is($response->{headers}{'content-type'}, undef, "$method $rest: and no type");
	}
}
{
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'HEAD', "$BASE/CTT-1");
	is($upstream->{line}, 'POST /rpc/contact_document HTTP/1.1', 'HEAD is GET');
	is("$response->{status}$response->{body}", '200', 'without the body');
	is($upstream->{headers}{authorization}, undef, 'without a token none is sent');
}

# Ids: what is in the path, and the JSON string that it becomes.
foreach my $case (
	[ 'CTT-1', 'CTT-1' ],
	[ 'a%22b', 'a\"b' ],
	[ 'a"b', 'a\"b' ],
	[ '%5C%22%7D', '\\\\\"}' ],
	[ q(o'brien;--), q(o'brien;--) ],
	[ '100%25', '100%' ],
	[ '%2525', '%25' ],
	[ '%252F..%252F', '%2F..%2F' ],
	[ 'a%2Fb', 'a/b' ],
	[ 'a%2Fblock', 'a/block' ],
	[ 'a%0D%0AX-Header:%20b', 'a\r\nX-Header: b' ],
	[ 'a+b', 'a+b' ],
	[ 'a&id=b;c=d', 'a&id=b;c=d' ],
	[ 'a%3Fid%3Db%23c', 'a?id=b#c' ],
	[ '%7B%22id%22%3A1%7D', '{\"id\":1}' ],
	[ 'null', 'null' ],
	[ '..', '..' ],
	[ '.', '.' ],
	[ '%2e%2e', '..' ],
	[ '%20', ' ' ],
	[ '%7F', "\x7f" ],
	[ '%C3%A9', "\xc3\xa9" ],
	[ 'e%CC%81', "e\xcc\x81" ],
	[ '%F0%9F%98%80', "\xf0\x9f\x98\x80" ],
	[ '%EF%BB%BF', "\xef\xbb\xbf" ],
	[ '__proto__', '__proto__' ],
	[ 'block', 'block' ],
	[ 'x' x 7000, 'x' x 7000 ])
{
	my ($segment, $json) = @$case;
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'POST', "$BASE/$segment/block");
	my $name = length $segment < 50 ? $segment : length($segment) . ' letters';
	is($upstream->{body}, qq({"id":"$json"}), "id $name arrives");
	is($upstream->{line}, 'POST /rpc/contact_block HTTP/1.1', "id $name: at block");
}
{
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'GET', "$BASE/a%01%1F");
	is_deeply($upstream->{json}, { id => "a\x01\x1f" }, 'control characters arrive');
}

# What is in the path and is no id.
foreach my $segment (
	'%00', 'a%00b', '%', '%2', '%zz', '%u0041', '%FF', '%C3', '%C0%AF',
	'%ED%A0%80', '%F4%90%80%80', "\xc3\xa9", "\xff", "a\tb")
{
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'GET', "$BASE/$segment");
	(my $name = $segment) =~ s/([^!-~])/sprintf '\\x%02x', ord $1/ge;
	problem_is($response, 400, "$name is no id");
	is($upstream, undef, "$name goes nowhere");
}

# Paths that are not there, whatever PostgREST would have behind them.
foreach my $path (
	'/', '/rpc/contact_block', '/contacts', '/_problem', '/_postgrest/',
	'/_postgrest/rpc/contact_block', '/_postgrest/rpc/contact_delete',
	'/_postgrest/rpc/contact_block_setup', '/favicon.ico', '/index.html',
	'/public/v1/notifications', $BASE, "$BASE/", "$BASE//block",
	"$BASE/a/", "$BASE/a/block/", "$BASE/a/Block", "$BASE/a/delete",
	"$BASE/a/b/block", "$BASE/a/block/block", "/x$BASE/a/block",
	"/$BASE/a/block", uc("$BASE/a"), "$BASE/a%2Fblock/x",
	"$BASE/a/../../../../../rpc/contact_block",
	"$BASE/..%2F..%2F..%2F..%2F_postgrest%2Frpc%2Fcontact_block",
	"$BASE/%2e%2e/%2e%2e/%2e%2e/%2e%2e/_postgrest/rpc/contact_block",
	"$BASE/%2e%2e/%2e%2e/%2e%2e/%2e%2e/_problem",
	"$BASE/a/%62lock/x", "$BASE/a/%62lock", "$BASE/a/..;/block")
{
	foreach my $method ('GET', 'POST')
	{
		my ($response, $upstream) =
		  exchange($nginx, $listener, $ok, $method, $path);
		problem_is($response, 404, "$method $path is not there");
		is($upstream, undef, "$method $path goes nowhere");
	}
}

# Methods
foreach my $case (
	[ '', 'GET, HEAD, DELETE', 'POST', 'PUT', 'PATCH', 'OPTIONS', 'TRACE', 'CONTACT' ],
	[ '/block', 'POST', 'GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE' ],
	[ '/unblock', 'POST', 'GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE' ])
{
	my ($rest, $allow, @methods) = @$case;
	foreach my $method (@methods)
	{
		my ($response, $upstream) =
		  exchange($nginx, $listener, $ok, $method, "$BASE/CTT-1$rest");
		$method eq 'HEAD'
		  ? is($response->{status}, 405, "HEAD $rest is not allowed")
		  : problem_is($response, 405, "$method $rest is not allowed");
		is($response->{headers}{allow}, $allow, "$method $rest: Allow");
		is($upstream, undef, "$method $rest goes nowhere");
	}
}

# Bodies of a block: what they add to the id.
foreach my $case (
	[ '', '' ],
	[ '{}', '' ],
	[ " {\r\n} ", '' ],
	[ '{"reason":"Fraud"}', ',"reason":"Fraud"' ],
	[ '{"blockedReason":"Fraud"}', ',"reason":"Fraud"' ],
	[ '{"reason":"a","blockedReason":"b"}', ',"reason":"a"' ],
	[ '{"reason":null,"blockedReason":"b"}', ',"reason":"b"' ],
	[ '{"reason":null}', '' ],
	[ '{"reason":""}', ',"reason":""' ],
	[ '{"reason":"a","id":"CTT-2","status":[1,{}]}', ',"reason":"a"' ],
	[ '{"id":"CTT-2"}', '' ],
	[ '{"Reason":"a"}', '' ],
	[ '{"__proto__":{"reason":"a"}}', '' ],
	[ '{"reason":"\u00e9\n\"\\\\ \u2028%27"}', ",\"reason\":\"\xc3\xa9\\n\\\"\\\\ \xe2\x80\xa8%27\"" ],
	[ "{\"reason\":\"\xf0\x9f\x98\x80\"}", ",\"reason\":\"\xf0\x9f\x98\x80\"" ],
	[ '{"reason":"' . 'x' x 16000 . '"}', ',"reason":"' . 'x' x 16000 . '"' ])
{
	my ($body, $added) = @$case;
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'POST', "$BASE/CTT-1/block", [], $body);
	my $name = length $body < 50 ? $body : length($body) . ' bytes';
	is($upstream->{body}, qq({"id":"CTT-1"$added}), "body $name");
}
foreach my $body ('{', '[]', '[{"reason":"a"}]', '"a"', '1', 'null', 'true',
	'reason=a', ' ', "{'reason':'a'}", '{"reason":"a"}}', '{"reason":1}',
	'{"reason":{"a":"b"}}', '{"reason":["a"]}', '{"reason":true}',
	"{\"reason\":\"\xff\"}", "{\"reason\":\"a\nb\"}", "\0",
	'[' x 10000)
{
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'POST', "$BASE/CTT-1/block", [], $body);
	(my $name = substr $body, 0, 30) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
	problem_is($response, 400, "body $name is refused");
	is($upstream, undef, "body $name goes nowhere");
}
{
	my ($response, $upstream) = exchange($nginx, $listener, $ok,
		'POST', "$BASE/CTT-1/unblock", [], 'no JSON');
	is($upstream->{body}, '{"id":"CTT-1"}', 'unblock takes no body');

	($response, $upstream) = exchange($nginx, $listener, $ok,
		"POST $BASE/CTT-1/block HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n"
		. "8\r\n{\"reason\r\n7\r\n\": \"a\"}\r\n0\r\n\r\n");
	is($upstream->{body}, '{"id":"CTT-1","reason":"a"}', 'a body in chunks');
}

# Requests that nginx refuses
foreach my $case (
	[ 413, 'POST', "$BASE/CTT-1/block", [], 'x' x 16385 ],
	[ 413, 'DELETE', "$BASE/CTT-1", [], 'x' x 100000 ],
	[ 413, "POST $BASE/CTT-1/block HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" ],
	[ 414, 'GET', "$BASE/" . 'x' x 9000 ],
	[ 431, 'GET', "$BASE/CTT-1", [ 'X: ' . 'x' x 9000 ] ],
	[ 400, 'GET', "$BASE/CTT-1", [ 'Content-Length: x' ] ],
	[ 400, 'get', "$BASE/CTT-1" ],
	[ 400, "GET $BASE/CTT-1 HTTP/1.1\r\n\r\n" ],
	[ 400, "no HTTP\r\n\r\n" ],
	[ 400, "\x16\x03\x01\r\n\r\n" ],
	[ 400, 'GET', '/../etc/passwd' ],
	[ 501, 'POST', "$BASE/CTT-1/block", [ 'Transfer-Encoding: gzip' ] ],
	[ 505, "GET $BASE/CTT-1 HTTP/3.0\r\nHost: a\r\n\r\n" ])
{
	my ($status, @request) = @$case;
	my ($response, $upstream) = exchange($nginx, $listener, $ok, @request);
	(my $name = substr join(' ', grep { !ref } @request), 0, 70) =~
	  s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
	problem_is($response, $status, "$name: refused");
	is($upstream, undef, "$name goes nowhere");
}

# PostgREST's errors: the status, and what the caller reads.
my $internal = 'permission denied for schema notifications';
foreach my $case (
	[
		'400 Bad Request', '22023', "the contact's id must not be empty", undef,
		400, qr/^the contact's id must not be empty$/
	],
	[
		'404 contact not found', 'PT404', 'contact not found',
		'There is no contact "<CTT-9>".', 404, qr/^There is no contact "<CTT-9>"\.$/
	],
	[
		"409 the contact's status does not allow this", 'PT409',
		"the contact's status does not allow this",
		'Contact "CTT-1" is Deleted and cannot become Blocked.',
		409, qr/is Deleted and cannot become Blocked/
	],
	[
		'401 Unauthorized', '42501', $internal, undef,
		401, qr/^A valid token is required\.$/
	],
	[
		'401 Unauthorized', 'PGRST303', 'JWT expired', undef,
		401, qr/^JWT expired$/
	],
	[
		'403 Forbidden', '42501', $internal, undef,
		403, qr/^The token does not permit this\.$/
	],
	[
		'400 Bad Request', '23514', 'new row for relation "contacts" violates',
		'Failing row contains (notifications).',
		400, qr/^The request is malformed\.$/
	],
	[ '500 Internal Server Error', '55000', $internal, 'notifications', 500 ],
	[ '500 Internal Server Error', 'XX000', 'select from notifications', undef, 500 ],
	[ '500 Internal Server Error', '57014', 'canceling statement', undef, 500 ],
	[ '503 Service Unavailable', 'PGRST002', $internal, 'notifications', 503 ],
	[ '504 Gateway Timeout', 'PGRST003', 'Timed out', 'notifications', 504 ],
	[ '404 Not Found', 'PGRST202', 'Could not find api.contact_block', $internal, 500 ],
	[ '404 Not Found', '42P01', 'relation "notifications.contacts"', undef, 500 ],
	[ '300 Multiple Choices', 'PGRST203', 'api.contact_block', undef, 500 ],
	[ '405 Method Not Allowed', '25006', 'notifications', undef, 500 ],
	[ '406 Not Acceptable', 'PGRST106', 'notifications', undef, 500 ],
	[ '500 Internal Server Error', 'PT404', 'notifications', 'notifications', 500 ],
	[ '418 teapot', 'PT418', 'notifications', 'notifications', 500 ])
{
	my ($line, $code, $message, $details, $status, $detail) = @$case;
	foreach my $method ('GET', 'DELETE')
	{
		my ($response, $upstream) = exchange($nginx, $listener,
			error_answer($line, $code, $message, $details),
			$method, "$BASE/CTT-1");

		# ids may have what HTML has; take the quoted one out
		$response->{body} =~ s/<CTT-9>/CTT-9/;
		my $told = problem_is($response, $status, "$method: $line, $code");
		like($told, $detail, "$code: detail") if $detail;
		unlike($response->{line} . $response->{body},
			qr/notifications|api\.|relation|select|Proxy-Status|$code/,
			"$code: nothing internal");
	}
}
{
	my ($response) = exchange($nginx, $listener,
		error_answer('401 Unauthorized', 'PGRST303', 'JWT expired', undef,
			'WWW-Authenticate: Bearer error="invalid_token", error_description="JWT expired"'),
		'GET', "$BASE/CTT-1");
	is($response->{headers}{'www-authenticate'},
		'Bearer error="invalid_token", error_description="JWT expired"',
		'401: the challenge is passed on');

	($response) = exchange($nginx, $listener,
		error_answer('401 Unauthorized', '42501', 'x', undef), 'GET', "$BASE/CTT-1");
	is($response->{headers}{'www-authenticate'}, 'Bearer', '401 has a challenge');

	($response) = exchange($nginx, $listener,
		error_answer('503 Service Unavailable', 'PGRST002', 'x', undef, 'Retry-After: 4'),
		'GET', "$BASE/CTT-1");
	is($response->{headers}{'retry-after'}, 4, '503: when to come back is passed on');

	like(slurp($error_log), qr/PostgREST answered 500 .*XX000/,
		'the log has what the caller is not told');
}

# Answers that are not PostgREST's
foreach my $case (
	[ 'nothing', '', 502 ],
	[ 'no HTTP', "hello\r\n\r\n", 500 ],
	[ 'HTML', answer('500 Oops', '<html>notifications</html>'), 500 ],
	[ 'HTML as 404', answer('404 Not Found', '<html>notifications</html>'), 500 ],
	[ 'null', answer('400 Bad Request', 'null'), 400 ],
	[ 'an array', answer('409 Conflict', '[{"code":"PT409"}]'), 409 ],
	[ 'an empty body', answer('503 Service Unavailable', ''), 503 ],
	[ 'a redirect', answer('302 Found', '', 'Location: http://notifications/'), 500 ],
	[ 'no content', "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 500 ],
	[ 'too long a header', answer('200 OK', '{}', 'X: ' . 'x' x 70000), 502 ])
{
	my ($name, $answer, $status) = @$case;
	my ($response, $upstream) =
	  exchange($nginx, $listener, $answer, 'POST', "$BASE/CTT-1/block");
	problem_is($response, $status, "upstream sends $name");
	unlike($response->{body}, qr/notifications/, "upstream sends $name: hidden");
	is($response->{headers}{location}, undef, "upstream sends $name: no redirect");
}
{
	my $long = '{"name": "' . 'x' x 5000000 . '"}';
	my ($response) = exchange($nginx, $listener, answer('200 OK', $long),
		'GET', "$BASE/CTT-1");
	ok($response->{body} eq $long, 'a long document arrives whole');

	# nginx can only hang up on one that is over its limit
	($response) = exchange($nginx, $listener,
		answer('200 OK', 'x' x (16 * 1024 * 1024 + 1)), 'GET', "$BASE/CTT-1");
	is($response->{line}, undef, 'a document over the limit does not arrive');
	like(slurp($error_log), qr/too big subrequest response/, 'the log says why');

	my $cut = answer('200 OK', $document);
	substr($cut, -10) = '';
	($response) = exchange($nginx, $listener, $cut, 'GET', "$BASE/CTT-1");
	problem_is($response, 502, 'a document that is cut off');
}

# PostgREST does not answer, PostgREST is not there
my ($response, $upstream) =
  exchange($nginx, $listener, undef, 'POST', "$BASE/CTT-1/block");
ok($upstream, 'the call came to an upstream that does not answer');
problem_is($response, 504, 'upstream does not answer');

close $listener;
($response) = http($nginx, 'POST', "$BASE/CTT-1/block");
problem_is($response, 502, 'upstream is not there');
($response) = http($nginx, 'GET', '/');
problem_is($response, 404, 'but nginx still is');

done_testing();
