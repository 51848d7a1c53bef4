# nginx with doc/gateway's configuration, without PostgREST: what it sends
# upstream for a request, what it makes of every answer, and that it answers
# all else itself, always as problem details. All of it is as openapi.yaml says.
#
# The upstream is this test, which plays back what PostgREST answers:
# test/gateway/recorded.jsonl has answers of PostgREST 14.17 as they came over the
# wire, and with each what the caller has to be told ("expect").

use strict;
use warnings;

use Encode ();
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw($BASE answer described error_answer exchange find_program http
  nginx_programs recorded slurp start_nginx stop_nginx);

my ($missing) = nginx_programs();
plan skip_all => $missing if $missing;
my $python = find_program('python3');
$python && system("$python -c 'import jsonschema, yaml' 2>/dev/null") == 0
  or plan skip_all => 'what compares answers with openapi.yaml is not installed'
  . ' (Debian: python3-jsonschema, python3-yaml)';

my $listener = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	Listen => 16) or die "listen: $!";
my ($nginx, $error_log) =
  start_nginx($listener->sockport, proxy_read_timeout => '1s');

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
		unlike($response->{body}, qr/<html>/, 'no HTML');
	  }
	  or diag($response->{line} . "\n" . $response->{body});
	return $json->{detail};
}

(my $ROOT = $BASE) =~ s{/contacts$}{};
my %recorded = recorded();
my $document = Encode::encode('UTF-8', $recorded{'ok document with user'}{answer});
my $ok = answer('200 OK', $document);

# Make the call of a recorded case, and give the answer to it.
my %CALLS = (
	contact_block => [ 'POST', '/block' ],
	contact_unblock => [ 'POST', '/unblock' ],
	contact_delete => [ 'DELETE', '' ],
	contact_document => [ 'GET', '' ]);

sub replay
{
	my ($case, @headers) = @_;
	my $call = decode_json(Encode::encode('UTF-8', $case->{body}));
	my ($method, $rest) = @{ $CALLS{ $case->{call} } };
	my $id = Encode::encode('UTF-8', $call->{id});
	my @body;
	my $answer = $case->{bytes};

	$id =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge;
	@body = (encode_json({ reason => $call->{reason} })) if exists $call->{reason};
	$answer //= answer(
		$case->{status},
		Encode::encode('UTF-8', $case->{answer}),
		map { "$_: $case->{headers}{$_}" } keys %{ $case->{headers} // {} });
	return exchange($nginx, $listener, $answer, $method, "$BASE/$id$rest",
		[ @headers, map { "Authorization: $_" } $case->{authorization} // () ], @body);
}

# The four verbs: what goes upstream, and what comes back.
foreach my $case (
	[ 'GET', '', 'contact_document', 200 ],
	[ 'GET', '?select=id', 'contact_document', 200 ],
	[ 'GET', '?/block', 'contact_document', 200 ],
	[ 'POST', '/block?/unblock', 'contact_block', 200 ],
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
		is($response->{body}, "$document\n", "$method $rest: the document as it is");
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
	[ '/contacts/CTT-1', 'GET, HEAD, DELETE', 'POST', 'PUT', 'CONTACT' ],
	[ '/contacts/block', 'POST, GET, HEAD, DELETE', 'PUT' ],
	[ '/contacts/unblock', 'POST, GET, HEAD, DELETE', 'PUT' ],
	[ '/contacts/%62lock', 'GET, HEAD, DELETE', 'POST' ],
	[ '/contacts/CTT-1/block', 'POST', 'GET', 'HEAD', 'PUT', 'DELETE' ],
	[ '/contacts/CTT-1/unblock', 'POST', 'GET', 'HEAD', 'PUT', 'DELETE' ],
	[ '/openapi.yaml', 'GET, HEAD', 'POST', 'PUT', 'DELETE' ],
	[ '/contact.schema.json', 'GET, HEAD', 'POST', 'PUT', 'DELETE' ])
{
	my ($rest, $allow, @methods) = @$case;
	push @methods, 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT';
	foreach my $method (@methods)
	{
		my ($response, $upstream) =
		  exchange($nginx, $listener, $ok, $method, "$ROOT$rest");
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
	map({ [ '{"reason":"' . 'x' x ($_ - 13) . '"}', ',"reason":"' . 'x' x ($_ - 13) . '"' ] }
		16000, 16380 .. 16384, 65532 .. 65536),
	[ '{"reason":"' . "\x7f" x 65523 . '"}', ',"reason":"' . "\x7f" x 65523 . '"' ],
	[ '{"reason":"' . '\u0001' x 10920 . '"}', ',"reason":"' . '\u0001' x 10920 . '"' ],
	[ '{"a":' . '[' x 30 . ']' x 30 . ',"reason":"a"}', ',"reason":"a"' ])
{
	my ($body, $added) = @$case;
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'POST', "$BASE/CTT-1/block", [], $body);
	my $name = length $body < 50 ? $body : length($body) . ' bytes';
	is($upstream->{body}, qq({"id":"CTT-1"$added}), "body $name");
	is($response->{status}, 200, "body $name: is answered");
}
{
	my ($response, $upstream) = exchange($nginx, $listener, $ok, 'POST',
		"$BASE/" . '%01' x 2500 . '/block', [], '{"reason":"' . '\\' x 65522 . '"}');
	is(length $upstream->{body}, 6 * 2500 + 65522 + 21,
		'a long id and a long body together');
	is($response->{status}, 200, 'are answered');
}
foreach my $body ('{', '[]', '[{"reason":"a"}]', '"a"', '1', 'null', 'true',
	'reason=a', ' ', "{'reason':'a'}", '{"reason":"a"}}', '{"reason":1}',
	'{"reason":{"a":"b"}}', '{"reason":["a"]}', '{"reason":true}',
	"{\"reason\":\"\xff\"}", "{\"reason\":\"a\nb\"}", "\0", '{"reason":"a\u0000b"}',
	'[' x 10000, '{"a":' . '[' x 31 . ']' x 31 . ',"reason":"a"}')
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

# Conditions: what of RFC 9110 cannot be met is refused before the call, and
# what is to be ignored is ignored, after it as well.
my $date = 'Sat, 29 Oct 1994 19:43:31 GMT';
foreach my $case (
	[ [ 'If-Match: "x"' ], 412, 412 ],
	[ [ 'If-Match: "x", W/"*"' ], 412, 412 ],
	[ [ 'If-Match: ""' ], 412, 412 ],
	[ [ 'If-Match:' ], 412, 412 ],
	[ [ 'If-None-Match:' ], 200, 200 ],
	[ [ 'If-Match: *' ], 200, 200 ],
	[ [ 'If-Match: *', "If-Unmodified-Since: $date" ], 200, 200 ],
	[ [ "If-Unmodified-Since: $date" ], 200, 200 ],
	[ [ 'If-Unmodified-Since: never' ], 200, 200 ],
	[ [ 'If-Modified-Since: Sat, 29 Oct 2094 19:43:31 GMT' ], 200, 200 ],
	[ [ 'If-None-Match: "x"' ], 200, 200 ],
	[ [ 'If-None-Match: *' ], 304, 412 ],
	[ [ 'If-None-Match: *', "If-Modified-Since: $date" ], 304, 412 ],
	[ [ 'If-Match: *', 'If-None-Match: *' ], 304, 412 ],
	[ [ 'Range: bytes=0-5', 'If-Range: "x"' ], 200, 200 ],
	[ [ 'Range: bytes=0-5' ], 200, 200 ])
{
	my ($headers, $read, $changed) = @$case;
	foreach my $request (
		[ 'GET', '', $read ],
		[ 'HEAD', '', $read ],
		[ 'POST', '/block', $changed ],
		[ 'POST', '/unblock', $changed ],
		[ 'DELETE', '', $changed == 200 ? 204 : $changed ])
	{
		my ($method, $rest, $status) = @$request;
		my $name = join ', ', "$method $rest", @$headers;
		my ($response, $upstream) = exchange($nginx, $listener, $ok, $method,
			"$BASE/CTT-1$rest", $headers);

		is($response->{status}, $status, "$name: $status");
		is(defined $upstream, $status != 412, "$name: is a call, if it is not 412");
		is( $response->{body},
			$status == 200 && $method ne 'HEAD' ? "$document\n" : '',
			"$name: all of the document, or nothing")
		  if $status < 400;
	}
	my ($response, $upstream) = replay(
		$recorded{'unknown id PT404 block'}, @$headers);
	problem_is($response, $changed == 412 ? 412 : 404, "@$headers: an error");
}

# The description, as it is
foreach my $file ('openapi.yaml', 'contact.schema.json')
{
	my ($response, $upstream) =
	  exchange($nginx, $listener, $ok, 'GET', "$ROOT/$file");
	ok($response->{body} eq slurp("$Gateway::SOURCE/doc/gateway/$file"), "$file is served");
	is($upstream, undef, "$file: by nginx itself");
	my $tag = "If-None-Match: $response->{headers}{etag}";
	foreach my $method ('GET', 'HEAD')
	{
		($response) = http($nginx, $method, "$ROOT/$file", [$tag]);
		is($response->{status}, 304, "$method $file: need not be sent twice");
	}
	($response) = http($nginx, 'GET', "$ROOT/$file", ['Range: bytes=99999999-']);
	problem_is($response, 416, "$file: a range that is not there");
}

# HEAD is GET without the body, whatever comes of it.
foreach my $path ("$ROOT/openapi.yaml", "$ROOT/contact.schema.json", "$BASE/CTT-1", "$BASE/%FF")
{
	foreach my $end ('1.1', "1.1\r\nRange: bytes=99999999-", '3.0')
	{
		my @responses = map {
			(exchange($nginx, $listener, $ok,
				"$_ $path HTTP/$end\r\nHost: a\r\nConnection: close\r\n\r\n"))[0]
		} 'GET', 'HEAD';
		(my $name = "HEAD $path HTTP/$end") =~ s/\r\n/, /g;
		is($responses[1]{body}, '', "$name: no body");
		delete $_->{headers}{date} foreach @responses;
		is_deeply([ @{ $responses[1] }{ 'status', 'headers' } ],
			[ @{ $responses[0] }{ 'status', 'headers' } ],
			"$name: else as GET");
	}
}

# Many contacts in one call
my @many = (
	[ 'CTT-1', '00000', 'Blocked', 1, 200 ],
	[ 'CTT-NONE', 'PT404', undef, 0, 404, 'There is no such contact.' ],
	[ 'CTT-NEW', 'PT409', 'New', 0, 409, 'The status of the contact does not permit this.' ],
	[ 'CTT-2', '00000', 'Blocked', 0, 200 ],
	[ 'CTT-3', '42501', 'Active', 0, 403, 'The token does not permit this.' ],
	[ '', '22023', undef, 0, 400, 'The id is empty.' ],
	[ '"', '55P03', 'Active', 0, 503, 'The contact was not changed, since somebody else is at it. Try again.' ],
	[ 'CTT-5', '08001', undef, 0, 503, 'The contact was not changed, since its shard cannot be reached. Try again.' ],
	[ 'CTT-4', 'XX000', 'Active', 0, 500, 'The request failed.' ]);

sub outcomes
{
	my ($path, $body, @rows) = @_;
	my $json = JSON::PP->new->canonical;
	my $rows = $json->encode(
		[
			map {
				{
					id => $_->[0], code => $_->[1], status => $_->[2],
					changed => $_->[3] ? JSON::PP::true : JSON::PP::false
				}
			} @rows
		]);
	return exchange($nginx, $listener, answer('200 OK', $rows), 'POST', "$BASE/$path", [], $body);
}

foreach my $rows ([ @many[ 0 .. 2 ] ], \@many, [])
{
	my $body = encode_json({ ids => [ map { $_->[0] } @$rows ], reason => 'Bounced' });
	my ($response, $upstream) = outcomes('block', $body, @$rows);
	is($upstream->{line}, 'POST /rpc/contacts_block HTTP/1.1', 'many: the function');
	is_deeply($upstream->{json}, decode_json($body), 'many: its parameters');
	is_deeply(
		$response->{json},
		[
			map {
				{
					id => $_->[0],
					status => $_->[4],
					contactStatus => $_->[2],
					changed => $_->[3] ? JSON::PP::true : JSON::PP::false,
					defined $_->[5] ? (detail => $_->[5]) : ()
				}
			} @$rows
		],
		@$rows . ' contacts: what became of each') or diag($response->{body});
}
{
	my ($response, $upstream) = outcomes('unblock', '{"ids":["CTT-1"],"reason":"a"}',
		[ 'CTT-1', '00000', 'Active', 1 ]);
	is($upstream->{line}, 'POST /rpc/contacts_unblock HTTP/1.1', 'many: unblock');
	is($upstream->{body}, '{"ids":["CTT-1"]}', 'many: unblock has no reason');
	is($response->{json}[0]{contactStatus}, 'Active', 'many: unblock: the status');
	($response, $upstream) = outcomes('unblock', '{"ids":["CTT-1"]}', [ 'CTT-1', '00000', 'Active', 1 ]);
	is($response->{status}, 200, 'many: unblock without one');

	my $ids = encode_json([ map { "CTT-$_" } 1 .. 1000 ]);
	($response, $upstream) = outcomes('block', qq({"ids":$ids}));
	is($upstream->{body}, qq({"ids":$ids}), 'many: a thousand');
	foreach my $answer ('{}', 'null', '[{"id"')
	{
		($response) = exchange($nginx, $listener, answer('200 OK', $answer),
			'POST', "$BASE/block", [], '{"ids":[]}');
		problem_is($response, 502, "many: upstream sends $answer");
	}
	($response) = exchange($nginx, $listener,
		error_answer('500 x', '55000', 'own', undef), 'POST', "$BASE/unblock", [], '{"ids":[]}');
	problem_is($response, 500, 'many: an error of the whole call');
	($response, $upstream) = exchange($nginx, $listener, $ok, 'POST', "$BASE/block",
		['If-None-Match: *'], '{"ids":[]}');
	problem_is($response, 412, 'many: a condition');
	is($upstream, undef, 'many: a condition: no call');
	($response, $upstream) = exchange($nginx, $listener, $ok, 'GET', "$BASE/block");
	is($upstream->{body}, '{"id":"block"}', 'GET: a contact with the id block');

	my $more = encode_json([ map { "CTT-$_" } 1 .. 1001 ]);
	foreach my $body (undef, '{}', '[]', '["CTT-1"]', '{"ids":"CTT-1"}', '{"ids":null}', '{"ids":[1]}',
		'{"ids":[null]}', '{"ids":[["CTT-1"]]}', '{"ids":["\u0000"]}', '{"ids":{"0":"CTT-1"}}',
		'{"ids":["CTT-1"],"reason":1}', qq({"ids":$more}))
	{
		($response, $upstream) = exchange($nginx, $listener, $ok, 'POST', "$BASE/block", [], $body);
		problem_is($response, 400, 'many: ' . substr($body // 'no body', 0, 40) . ': refused');
		is($upstream, undef, 'many: goes nowhere');
	}
}

# Requests that nginx refuses
foreach my $case (
	[ 413, 'POST', "$BASE/CTT-1/block", [], 'x' x 65537 ],
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

# What PostgREST answered, and what becomes of it
foreach my $case (sort { $a->{case} cmp $b->{case} } values %recorded)
{
	my $name = "recorded: $case->{case}";
	my $expect = $case->{expect};
	my $logged = -s $error_log;
	my ($response, $upstream) = replay($case);
	my $headers = $response->{headers};

	is(Encode::decode('UTF-8', $upstream->{body}),
		$case->{body}, "$name: the same call as was recorded");
	if ($expect->{status} < 300)
	{
		is($response->{status}, $expect->{status}, "$name: a success");
		ok($response->{body} eq ($expect->{status} == 204 ? ''
				: Encode::encode('UTF-8', $case->{answer}) . "\n"),
			"$name: as it is");
	}
	else
	{
		is(problem_is($response, $expect->{status}, $name),
			$expect->{detail}, "$name: detail");
	}
	is($headers->{'www-authenticate'}, $expect->{challenge}, "$name: challenge");
	is($headers->{'retry-after'}, $expect->{retryAfter}, "$name: Retry-After");

	# who reads the log has to find what the caller is not told, and no more
	my $log = substr slurp($error_log), $logged;
	$expect->{status} >= 500
	  ? like($log, qr/\[error\]/, "$name: is in the log")
	  : unlike($log, qr/\[error\]/, "$name: is no matter for the log");
}
like(slurp($error_log), qr/PostgREST answered 400 \{"code":"42703","message":"column/,
	'the log has PostgREST\'s status, code and message');

# Errors that were not recorded
foreach my $case (
	[ 'a status that nginx has a meaning of its own for', 'PT444', 444 ],
	[ 'the same, for a header that is too large', 'PT494', 494 ],
	[ 'a status without a name', 'PT418', 418 ],
	[ 'a status that needs Allow', 'PT405', 405 ])
{
	my ($name, $code, $status) = @$case;
	my ($response) = exchange($nginx, $listener,
		error_answer("$status own", $code, 'own', 'own'), 'POST', "$BASE/CTT-1/block");
	is("$response->{status} $response->{json}{status}", "$status $status", $name);
	unlike($response->{body}, qr/own/, "$name: the text is hidden");
	is($response->{headers}{allow}, $status == 405 ? 'POST' : undef, "$name: Allow");
}
foreach my $case ([ 'no actor is set', qr/missing or empty/ ],
	[ 'the actor does not fit the column that it is stored in', qr/none of the ids/ ])
{
	my ($message, $told) = @$case;
	my ($response) = exchange($nginx, $listener,
		error_answer('400 Bad Request', '22023', $message, 'own column'),
		'POST', "$BASE/CTT-1/block");
	like(problem_is($response, 401, $message), $told, "$message: what is wrong");
	unlike($response->{body}, qr/own/, "$message: and no column");
	is($response->{headers}{'www-authenticate'}, 'Bearer', "$message: challenge");
}
# what a router says of its shards
foreach my $case ([ '08001', 503, qr/not available/ ], [ '08006', 502, qr/is not known/ ])
{
	my ($code, $status, $told) = @$case;
	my ($message) = slurp("$Gateway::SOURCE/doc/sharding/plproxy/router.sql") =~ /code := '$code';\s+message := '(.*)';/;
	my ($response) = exchange($nginx, $listener,
		error_answer('503 Service Unavailable', $code, $message =~ s/''/'/r, 'own'), 'POST', "$BASE/CTT-1/block");
	like(problem_is($response, $status, "a shard, $code"), $told, "a shard, $code: what is known");
}
foreach my $case (
	[ '22023', '400 Bad Request', 'contact not found', 500 ],
	[ 'PT409', '409 own', 'contact not found', 409 ])
{
	my ($code, $line, $message, $status) = @$case;
	my ($response) = exchange($nginx, $listener,
		error_answer($line, $code, $message, 'own'), 'POST', "$BASE/CTT-1/block");
	isnt(problem_is($response, $status, "$code, $line, with another's message"),
		'own', "$code, $line, with another's message: its detail");
}

# Answers that are not PostgREST's
foreach my $case (
	[ 'nothing', '', 502 ],
	[ 'no HTTP', "hello\r\n\r\n", 500 ],
	[ 'HTML', answer('500 Oops', '<html>notifications</html>'), 500 ],
	[ 'HTML as 404', answer('404 Not Found', '<html>notifications</html>'), 500 ],
	[ 'null', answer('400 Bad Request', 'null'), 500 ],
	[ 'an array', answer('409 Conflict', '[{"code":"PT409"}]'), 500 ],
	[ 'an empty body', answer('503 Service Unavailable', ''), 503 ],
	[ 'a redirect', answer('302 Found', '', 'Location: http://notifications/'), 500 ],
	[ 'no content', "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 502 ],
	[ 'an array for a document', answer('200 OK', '[]'), 502 ],
	[ 'null for a document', answer('200 OK', 'null'), 502 ],
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
	(my $long = $document) =~ s/"Contact two"/'"' . 'x' x 1000000 . '"'/e;
	my ($response) = exchange($nginx, $listener, answer('200 OK', $long),
		'GET', "$BASE/CTT-1");
	ok($response->{body} eq "$long\n", 'a long document arrives whole');

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

# What is commented out in the configuration
stop_nginx();
($nginx, $error_log) = start_nginx(
	9,
	uncomment => qr/limit_req.*;/,
	limit_req_zone => '$http_authorization zone=contact_block:10m rate=1r/m');
my @statuses;
foreach (1 .. 45)
{
	($response) = http($nginx, 'POST', "$BASE/CTT-1/block", ['Authorization: Bearer a']);
	push @statuses, $response->{status};
}
is("@statuses[0 .. 40]", join(' ', (502) x 41), 'limit_req: a burst is let through');
problem_is($response, 429, 'limit_req: what is more than that');
($response) = http($nginx, 'POST', "$BASE/CTT-1/block", ['Authorization: Bearer b']);
problem_is($response, 502, 'limit_req: another token is another caller');

stop_nginx();
($nginx, $error_log) = start_nginx(9,
	uncomment => qr/add_header Access-.*;|if \(\$request_method.*\}/);
foreach my $case ([ 'OPTIONS', "$BASE/CTT-1/block", 204 ], [ 'POST', "$BASE/CTT-1/block", 502 ],
	[ 'GET', "$ROOT/openapi.yaml", 200 ], [ 'GET', '/', 404 ])
{
	my ($method, $path, $status) = @$case;
	($response) = http($nginx, $method, $path, ['Origin: https://app.example.com']);
	is($response->{status}, $status, "CORS: $method $path");
	is($response->{headers}{'access-control-allow-origin'},
		'https://app.example.com', "CORS: $method $path: for the origin");
	like($response->{headers}{'access-control-allow-headers'},
		qr/\bAuthorization\b/, "CORS: $method $path: with a token");
}

is(described($python, 'all'), '', 'all of this is as openapi.yaml says, and all of that was seen');

done_testing();
