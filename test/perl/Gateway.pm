# What the tests of the gateway share: the file roles.sql applied to a server,
# an nginx that runs doc/gateway, and HTTP to the byte.

package Gateway;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter qw(import);
use File::Spec;
use FindBin;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(
  $BASE $SECRET find_program nginx_programs start_nginx stop_nginx set_up_database
  http exchange serve answer error_answer recorded described slurp spew token
);

# The folder of the sources, and the path of the contacts.
our $SOURCE = File::Spec->rel2abs("$FindBin::RealBin/../..");
our $BASE = '/public/v1/notifications/contacts';

# What tokens are signed with.
our $SECRET = 'a secret that only these tests have, 32+';

# What PostgREST answered, by the name of the case.
sub recorded
{
	my %cases = map { $_->{case} => $_ }
	  map { decode_json($_) } split /\n/, slurp("$SOURCE/test/gateway/recorded.jsonl");
	return %cases;
}

# How long something may take before the test counts as stuck.
my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default || 180;

my $nginx_pid_file;

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	local $/;
	return <$file>;
}

sub spew
{
	my ($path, $content) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
	return;
}

# The path of a program, undef when it is not installed. Daemons live in
# /usr/sbin, which is not in every user's PATH.
sub find_program
{
	my ($name) = @_;
	foreach my $folder (File::Spec->path, '/usr/sbin', '/sbin')
	{
		return "$folder/$name" if -x "$folder/$name";
	}
	return undef;
}

# The header of a request with these claims, signed with $SECRET.
sub token
{
	my (%claims) = @_;
	my $text = join '.',
	  map { encode_base64url(encode_json($_)) }
	  { alg => 'HS256', typ => 'JWT' },
	  { exp => time + 3600, %claims };
	return 'Authorization: Bearer ' . $text . '.'
	  . encode_base64url(hmac_sha256($text, $SECRET));
}

# Why nginx cannot be used, undef when it can; its path and that of njs.
sub nginx_programs
{
	my $nginx = find_program('nginx')
	  or return 'nginx is not installed (Debian: nginx)';
	my ($modules) = `$nginx -V 2>&1` =~ /--modules-path=(\S+)/;
	my $njs = ($modules // '/usr/lib/nginx/modules') . '/ngx_http_js_module.so';
	-e $njs
	  or return "nginx's njs module is not installed (Debian: libnginx-mod-http-js)";
	return (undef, $nginx, $njs);
}

# Run doc/gateway's configuration, with other ports and, where that is asked
# for, other values; "uncomment" is a pattern for what is to be made of
# comments. Returns nginx's port and the path of its error log.
sub start_nginx
{
	my ($upstream_port, %settings) = @_;
	my $uncomment = delete $settings{uncomment};
	my ($problem, $nginx, $njs) = nginx_programs();
	die $problem if $problem;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $config = slurp("$SOURCE/doc/gateway/contact_block.conf");

	if ($uncomment)
	{
		$config =~ s/^(\s*)# ($uncomment)/$1$2/mg
		  or die "the configuration has no comment like $uncomment";
	}

	my %changes = (
		'listen 127.0.0.1:8080;' => "listen 127.0.0.1:$port;",
		'server 127.0.0.1:3000;' => "server 127.0.0.1:$upstream_port;",
		'alias /var/www/contact_block/$1;' => "alias $folder/\$1;");
	foreach my $setting (keys %settings)
	{
		my ($line) = $config =~ /^\s*(\Q$setting\E .*;)$/m
		  or die "the configuration has no $setting";
		$changes{$line} = "$setting $settings{$setting};";
	}
	foreach my $line (keys %changes)
	{
		($config =~ s/^(\s*)\Q$line\E$/$1$changes{$line}/mg) == 1
		  or die "the configuration does not have one line \"$line\"";
	}

	spew("$folder/contact_block.conf", $config);
	spew("$folder/$_", slurp("$SOURCE/doc/gateway/$_"))
	  foreach 'contact_block.js', 'openapi.yaml', 'contact.schema.json';
	# what Debian's nginx.conf does around it, without root's folders
	spew("$folder/nginx.conf", <<"END");
load_module $njs;
pid $folder/nginx.pid;
error_log $folder/error.log info;
events {
}
http {
	access_log off;
	client_body_temp_path $folder/body;
	proxy_temp_path $folder/proxy;
	fastcgi_temp_path $folder/fastcgi;
	uwsgi_temp_path $folder/uwsgi;
	scgi_temp_path $folder/scgi;
	include contact_block.conf;
}
END
	# it goes to the background when it listens
	$nginx_pid_file = "$folder/nginx.pid";
	system($nginx, '-e', "$folder/error.log", '-c', "$folder/nginx.conf") == 0
	  or die "nginx did not start:\n" . slurp("$folder/error.log");
	return ($port, "$folder/error.log");
}

sub stop_nginx
{
	return unless $nginx_pid_file && -s $nginx_pid_file;
	my $pid = slurp($nginx_pid_file) + 0;
	kill 'TERM', $pid;
	# nginx removes the file as its last act
	my $deadline = time + $TIMEOUT;
	select undef, undef, undef, 0.05
	  while -e $nginx_pid_file && kill(0, $pid) && time < $deadline;
	$nginx_pid_file = undef;
	return;
}

END
{
	my $status = $?;
	stop_nginx();
	$? = $status;
}

# The extension in schema notifications, and roles.sql.
sub set_up_database
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<'END');
CREATE SCHEMA notifications;
CREATE EXTENSION contact_block SCHEMA notifications;
SELECT notifications.contact_block_setup();
END
	$node->command_ok(
		[
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres',
			'-f', "$SOURCE/doc/gateway/roles.sql"
		],
		'roles.sql runs');
	return;
}

# An answer of PostgREST's, as bytes.
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

# A request as bytes, from method, path, headers and body.
sub request_text
{
	my ($method, $path, $headers, $body) = @_;
	my $text = "$method $path HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
	$text .= "$_\r\n" foreach @{ $headers // [] };
	$text .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;
	return "$text\r\n" . ($body // '');
}

# The parts of a response or request, in bytes.
sub parse_message
{
	my ($text) = @_;
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my ($first, @lines) = split /\r\n/, $head // '';
	my %headers;
	foreach my $line (@lines)
	{
		my ($name, $value) = split /:\s*/, $line, 2;
		$headers{ lc $name } = $value;
	}
	$body //= '';
	if (lc($headers{'transfer-encoding'} // '') eq 'chunked')
	{
		my $joined = '';
		while ($body =~ s/^([0-9a-fA-F]+)\r\n//)
		{
			last if hex($1) == 0;
			$joined .= substr($body, 0, hex($1) + 2, '');
			substr($joined, -2) = '';
		}
		$body = $joined;
	}
	my ($status) = ($first // '') =~ m{^HTTP/1\.1 (\d{3})};
	return {
		line => $first,
		status => $status,
		headers => \%headers,
		body => $body,
		json => scalar eval { decode_json($body) }
	};
}

sub connect_to
{
	my ($port) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
	  || die "cannot connect to port $port: $!";
}

# Append what there is to read; false at the end.
sub read_some
{
	my ($socket, $text) = @_;
	IO::Select->new($socket)->can_read($TIMEOUT) or die 'timed out';
	return sysread($socket, $$text, 65536, length $$text);
}

# Send a request and return the response. A single argument after the port is
# the whole request, to the byte.
sub http
{
	my ($port, @request) = @_;
	return exchange($port, undef, undef, @request);
}

# The same through a proxy whose upstream is this very function: if a request
# comes to the listening socket, it is answered with the given bytes. Returns
# the response and the request that came upstream, undef when none did. Where
# the answer is undef it is never given.
sub exchange
{
	my ($port, $listener, $answer, @request) = @_;
	my $client = connect_to($port);
	my $upstream;
	my $received;
	my $response = '';

	local $SIG{PIPE} = 'IGNORE';
	print $client @request == 1 ? $request[0] : request_text(@request);
	$client->flush;

	my $select = IO::Select->new($client, $listener // ());
	while (!defined $received)
	{
		my @ready = $select->can_read($TIMEOUT) or die 'timed out';
		last if grep { $_ == $client } @ready;
		($received, $upstream) = serve($listener, $answer);
	}
	1 while read_some($client, \$response);
	$response = parse_message($response);
	note_exchange(@request == 1 ? parse_message($request[0])
		: { line => "$request[0] $request[1]", body => $request[3] }, $response);
	return ($response, $received);
}

# Accept a connection, read the request that comes, give the answer. Returns
# the request, and the connection, which stays open where there is no answer.
sub serve
{
	my ($listener, $answer) = @_;
	IO::Select->new($listener)->can_read($TIMEOUT) or die 'timed out';
	my $upstream = $listener->accept or die "accept: $!";
	my $received = '';
	while (1)
	{
		my ($head, $body) = split /\r\n\r\n/, $received, 2;
		last
		  if defined $body
		  && length($body) >= ($head =~ /^Content-Length: (\d+)/mi ? $1 : 0);
		read_some($upstream, \$received)
		  or die 'the proxy sent half a request';
	}
	if (defined $answer)
	{
		print $upstream $answer;
		close $upstream;
	}
	return (parse_message($received), $upstream);
}

# What was asked and answered, for described()
my @exchanges;

sub note_exchange
{
	my ($request, $response) = @_;
	my ($method, $path) = split / /, $request->{line} // '';
	push @exchanges,
	  {
		method => $method,
		path => $path,
		request => $request->{body},
		status => $response->{status},
		headers => $response->{headers},
		body => $response->{body}
	  }
	  if defined $response->{status};
	return;
}

# What is wrong with doc/gateway/openapi.yaml, given all exchanges: a line for
# each thing, none when every answer is as described. Where "all" is asked for
# each response and example has to be an answer.
sub described
{
	my ($python, @all) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/exchanges';
	my $json = JSON::PP->new->latin1;
	my ($stdout, $stderr);

	spew($file, join('', map { $json->encode($_) . "\n" } @exchanges));
	IPC::Run::run(
		[ $python, "$SOURCE/test/gateway/described.py",
			"$SOURCE/doc/gateway/openapi.yaml", $file, @all ],
		'>' => \$stdout,
		'2>' => \$stderr);
	return $stdout . $stderr;
}

1;
