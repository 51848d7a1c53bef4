# doc/gateway/openapi.yaml by the tools that are made for it: a validator is
# content, and a generated client compiles and makes a call.

use strict;
use warnings;

use Encode ();
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(answer error_answer nginx_programs recorded serve slurp spew
  start_nginx);
use Npm qw(npm_packages);

my ($missing) = nginx_programs();
plan skip_all => $missing if $missing;
($missing, my $node, my $npm) = npm_packages("$Gateway::SOURCE/test/gateway");
plan skip_all => $missing if $missing;

my $api = "$Gateway::SOURCE/doc/gateway/openapi.yaml";

# Run a program of npm's, or one of ours with its packages; returns its output.
sub run_node
{
	my ($program, @arguments) = @_;
	my $output = '';
	my $result = IPC::Run::run([ $node, "$npm/$program", @arguments ],
		'<' => \undef, '>&' => \$output);
	return ($result, $output);
}

spew("$npm/$_", slurp("$Gateway::SOURCE/test/gateway/$_"))
  foreach 'lint.mjs', 'client.ts';
my ($result, $output) = run_node('lint.mjs', $api);
ok($result, 'the validator runs');
is($output, '', 'and finds nothing wrong');

# it has to find something, or it has not looked
my $folder = PostgreSQL::Test::Utils::tempdir();
(my $spoilt = slurp($api)) =~ s/status: "New"/status: "Old"/
  or die 'the description has no example that is New';
spew("$folder/openapi.yaml", $spoilt);
spew("$folder/contact.schema.json",
	slurp("$Gateway::SOURCE/doc/contact.schema.json"));
($result, $output) = run_node('lint.mjs', "$folder/openapi.yaml");
like($output, qr/^no-invalid-media-type-examples/, 'it finds an example that is wrong');

# The client
($result, $output) = run_node('node_modules/openapi-typescript/bin/cli.js',
	$api, '--output', "$npm/api.d.ts");
ok($result, 'a client is generated') or diag($output);
my @compile = (
	'node_modules/typescript/bin/tsc', '--strict', '--target', 'es2022', '--module', 'es2022',
	'--moduleResolution', 'bundler', '--lib', 'es2022,dom,dom.iterable', '--skipLibCheck',
	'--outDir', "$npm/out");
($result, $output) = run_node(@compile, "$npm/client.ts");
ok($result, 'it compiles') or diag($output);
(my $wrong = slurp("$npm/client.ts")) =~ s/block'/stop'/;
spew("$npm/wrong.ts", $wrong);
($result, $output) = run_node(@compile, "$npm/wrong.ts");
like($output, qr/stop.* is not assignable/, 'a call that is not as described does not');

my %recorded = recorded();
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
  or die "listen: $!";
my ($nginx) = start_nginx($listener->sockport);
rename "$npm/out/client.js", "$npm/client.mjs" or die "no client: $!";
foreach my $case (
	[
		answer('200 OK',
			Encode::encode('UTF-8', $recorded{'ok block other reason'}{answer})),
		"Blocked by USR-1\n"
	],
	[
		error_answer('404 x', 'PT404', 'contact not found', 'There is no such contact.'),
		"404: There is no such contact.\n"
	])
{
	my ($answer, $expected) = @$case;
	my $printed = '';
	my $client = IPC::Run::start(
		[ $node, "$npm/client.mjs", "http://127.0.0.1:$nginx" ],
		'<' => \undef,
		'>&' => \$printed);
	my ($call) = serve($listener, $answer);
	$client->finish;
	is_deeply(
		$call->{json},
		{ id => "a/b \x{e9}", reason => 'Asked for it' },
		'the client makes the call');
	is($printed, $expected, 'and understands the answer');
}

done_testing();
