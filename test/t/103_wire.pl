# The wire: the very statements of PostgREST, over the extended protocol, many
# calls with different roles, claims and errors on the same connections. Each
# call does what it should, whatever was called before it, and the actor is
# never another call's. Directly, with prepared statements, and through
# PgBouncer in transaction mode.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(find_program set_up_database slurp spew);

eval { require DBD::Pg; DBD::Pg->import(':pg_types'); 1 }
  or plan skip_all => 'DBD::Pg is not installed (Debian: libdbd-pg-perl)';

my $seed = $ENV{SEED} // int(rand(2**31));
srand($seed);
note("SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('wire');
$node->init;
$node->start;
set_up_database($node);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# What PostgREST sends (14.17, and the same 13.0.8).
my $SETTINGS = q{select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true), set_config('request.path', $5, true), set_config('request.headers', $6, true), set_config('request.cookies', $7, true)};

sub call_statement
{
	my ($function, @arguments) = @_;
	my $columns = join ', ', map { qq("$_") } @arguments;
	my $definition = join ', ', map { qq("$_" text) } @arguments;
	my $named = join ', ', map { qq("$_" := pgrst_body."$_") } @arguments;
	return
	  qq{WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM (SELECT \$1 AS json_data) pgrst_payload, LATERAL (SELECT $columns FROM json_to_record(pgrst_payload.json_data) AS _($definition) LIMIT 1) pgrst_body , LATERAL (SELECT "api"."$function"($named) pgrst_scalar) pgrst_call) SELECT null::bigint AS total_result_set, 1 AS page_total, coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM (SELECT "$function".* FROM "pgrst_source" AS "$function"   ) _postgrest_t};
}

sub connect_as_authenticator
{
	my ($host, $port, $prepare) = @_;
	my $dbh = DBI->connect(
		"dbi:Pg:dbname=postgres;host=$host;port=$port",
		'authenticator',
		'',
		{
			AutoCommit => 1,    # BEGIN is sent as it stands
			RaiseError => 1,
			PrintError => 0,
			pg_enable_utf8 => 0,
			pg_placeholder_dollaronly => 1,
			# named statements, or a Parse of the unnamed one each time
			pg_server_prepare => 1,
			pg_switch_prepared => $prepare ? 1 : 0
		});
	$dbh->do(
		q{SET client_encoding = 'UTF8';SET client_min_messages TO WARNING;});
	return $dbh;
}

sub execute
{
	my ($dbh, $sql, $type, @values) = @_;
	my $statement = $dbh->prepare_cached($sql);
	$statement->bind_param($_ + 1, $values[$_], { pg_type => $type })
	  foreach 0 .. $#values;
	$statement->execute;
	my @row = $statement->fetchrow_array;
	$statement->finish;
	return @row;
}

# A call in two parts, so that two of them can be under way at a time. The
# first one begins the transaction and sets what is known of the caller.
sub begin_call
{
	my ($dbh, $call) = @_;
	my $mode = $call->{function} eq 'contact_document' ? 'ONLY' : 'WRITE';
	$dbh->do("BEGIN ISOLATION LEVEL READ COMMITTED READ $mode");
	execute(
		$dbh, $SETTINGS, DBD::Pg::PG_TEXT(),
		'"api", "public"',
		$call->{role},
		$json->encode($call->{claims}),
		'POST',
		"/rpc/$call->{function}",
		'{"authorization":"Bearer x","content-type":"application/json"}',
		'{}');
	return;
}

# The second one returns the document or the SQLSTATE.
sub finish_call
{
	my ($dbh, $call) = @_;
	my $body = $call->{body};
	my $document = eval {
		my @row = execute(
			$dbh,
			call_statement($call->{function}, sort keys %$body),
			DBD::Pg::PG_JSON(), $json->encode($body));
		decode_json($row[2]);
	};
	my $state = $dbh->state;
	$dbh->do($document ? 'COMMIT' : 'ABORT');
	return $document // $state;
}

# What has to come of a call, by the contacts as they are. Changes the contact
# if the call does.
my %STATUS = (
	contact_block => { Active => 'Blocked', Blocked => 'Blocked' },
	contact_unblock => { Active => 'Active', Blocked => 'Active' },
	contact_delete =>
	  { Active => 'Deleted', Blocked => 'Deleted', Deleted => 'Deleted' });

sub expect
{
	my ($call, $contacts) = @_;
	my $id = $call->{body}{id};
	my $reason = $call->{body}{reason} // '';

	return '42501' if $call->{role} eq 'web_anon';
	return '22004' if !defined $id;
	return '22023' if $id eq '';
	my $contact = $contacts->{$id} or return 'PT404';
	return $contact if $call->{function} eq 'contact_document';

	my $status = $STATUS{ $call->{function} }{ $contact->{status} }
	  or return 'PT409';
	my $new_reason =
	  $status eq 'Active' ? undef
	  : $reason ne '' ? $reason
	  : $contact->{blockedReason};
	return $contact
	  if $status eq $contact->{status}
	  && ($new_reason // '') eq ($contact->{blockedReason} // '');

	my $actor = $call->{claims}{sub} // '';
	return '22023' if ref $actor || $actor eq '';
	$actor = "$actor";
	if ($status ne $contact->{status})
	{
		my %event =
		  (Active => 'activated', Blocked => 'blocked', Deleted => 'deleted');
		$contact->{ $event{$status} } = $actor;
	}
	$contact->{status} = $status;
	$contact->{blockedReason} = $new_reason;
	$contact->{updated} = $actor;
	return $contact;
}

# The same facts from a document.
sub facts
{
	my ($document) = @_;
	return $document unless ref $document;
	my %facts = (
		status => $document->{status},
		blockedReason => $document->{blockedReason});
	foreach my $event ('updated', 'activated', 'blocked', 'deleted')
	{
		$facts{$event} = $document->{audit}{$event}{by}{id}
		  if exists $document->{audit}{$event};
	}
	return \%facts;
}

sub pick
{
	return $_[ int(rand(@_)) ];
}

sub random_call
{
	my (@ids) = @_;
	my $function = pick('contact_block', 'contact_block', 'contact_unblock',
		'contact_unblock', 'contact_document');
	$function = 'contact_delete' if rand() < 0.005;
	my %body = (id => pick(@ids));
	$body{id} = pick(undef, '', 'CTT-none', q('; DROP TABLE contacts; --))
	  if rand() < 0.1;
	$body{reason} = pick(undef, '', 'Fraud', 'Bounced', "\x{fc}\n\"")
	  if $function eq 'contact_block' && rand() < 0.5;
	my $role = rand() < 0.15 ? 'web_anon' : 'contact_operator';
	my %claims = (role => $role);
	$claims{sub} = pick('USR-1', 'USR-2', 'TKN-3', 'USR-"\\', 42, '', [])
	  if $role ne 'web_anon' && rand() < 0.9;
	return {
		function => $function,
		role => $role,
		claims => \%claims,
		body => \%body
	};
}

# Many calls, two at a time on two of the connections, each on contacts of its
# own, and every now and then a change of the relations in between.
sub walk
{
	my ($name, $rounds, @connections) = @_;
	my @ids = map { [ map { "$name-$_" } @$_ ] }[ 1 .. 10 ], [ 11 .. 20 ];
	my %contacts;
	my %count;
	my $column = 0;

	foreach my $id (map { @$_ } @ids)
	{
		$contacts{$id} = { status => pick('New', 'Active', 'Active', 'Active'),
			blockedReason => undef };
		$node->safe_psql('postgres',
			"SET contact_block.actor = 'loader'; INSERT INTO notifications.contacts (id, email, status)"
			  . " VALUES ('$id', 'a\@example.com', '$contacts{$id}{status}')");
		$contacts{$id}{activated} = 'loader' if $contacts{$id}{status} eq 'Active';
	}

	foreach my $round (1 .. $rounds)
	{
		my $first = int(rand(@connections));
		my $second =
		  ($first + 1 + int(rand(@connections - 1))) % @connections;
		my @dbh = @connections[ $first, $second ];
		my @calls = map { random_call(@$_) } @ids;

		begin_call($dbh[$_], $calls[$_]) foreach 0, 1;
		my @results = map { facts(finish_call($dbh[$_], $calls[$_])) } 1, 0;
		foreach my $i (0, 1)
		{
			my $expected = expect($calls[$i], \%contacts);
			my $got = $results[ 1 - $i ];
			$count{ ref $got ? 'documents' : $got }++;
			next if $json->encode($got) eq $json->encode($expected);
			is($json->encode($got), $json->encode($expected),
				"$name: round $round: " . $json->encode($calls[$i]));
			return;
		}

		# the columns and their privileges change under the kept plans
		next if $round % 50;
		$node->safe_psql('postgres',
			$column++ % 2
			? 'ALTER TABLE notifications.contacts DROP COLUMN extra'
			: 'ALTER TABLE notifications.contacts ADD COLUMN extra text');
		$node->safe_psql('postgres', q{REVOKE SELECT (email) ON notifications.contacts FROM contact_operator});
		my $call = {
			function => 'contact_document',
			role => 'contact_operator',
			claims => { role => 'contact_operator' },
			body => { id => $ids[0][0] }
		};
		begin_call($dbh[0], $call);
		my $document = finish_call($dbh[0], $call);
		$node->safe_psql('postgres', q{GRANT SELECT (email) ON notifications.contacts TO contact_operator});
		next if ref $document && "@{ $document->{'$meta'}{omitted} }" eq 'email';
		fail("$name: round $round: a revoked column is omitted at once");
		return;
	}
	pass("$name: $rounds rounds");

	note("$name: " . $json->encode(\%count));
	ok($count{$_}, "$name: some of them $_")
	  foreach 'documents', '22004', '22023', '42501', 'PT404', 'PT409';
	return;
}

# What a call leaves behind on its connection
sub leaves_nothing
{
	my ($name, $dbh) = @_;
	my $call = {
		function => 'contact_block',
		role => 'contact_operator',
		claims => { role => 'contact_operator', sub => 'USR-1' },
		body => { id => 'CTT-1' }
	};
	foreach my $id ('CTT-1', 'CTT-none')
	{
		$call->{body}{id} = $id;
		begin_call($dbh, $call);
		finish_call($dbh, $call);
		is( ($dbh->selectrow_array(
					q{SELECT concat_ws(' ', current_user, '"' || current_setting('request.jwt.claims', true) || '"')}
				))[0],
			'authenticator ""',
			"$name: role and claims of the call for $id are gone");
	}
	eval { $dbh->do(q{SELECT api.contact_unblock('CTT-1')}) };
	is($dbh->state, '42501', "$name: and with them its rights");
	return;
}

# Twice as many calls as there are connections, all for a contact that is locked,
# do not keep another call from a connection for the 5 s that it may wait for
# one. PostgREST has 10 connections and the same 5 s; the login is the same.
sub leaves_room
{
	my ($name, $host, $port) = @_;
	my $holder = DBI->connect(
		'dbi:Pg:dbname=postgres;host=' . $node->host . ';port=' . $node->port,
		undef, undef, { RaiseError => 1, AutoCommit => 1 });
	my $start = sub {
		my ($call) = @_;
		my $run = { output => '' };
		$run->{process} = IPC::Run::start(
			[
				'psql', '-X', '-A', '-t', '-h', $host, '-p', $port, '-U', 'authenticator',
				'-d', 'postgres', '-c', "BEGIN; SET LOCAL ROLE contact_operator; SELECT $call; COMMIT;"
			],
			'<', \undef, '>&', \$run->{output});
		return $run;
	};

	$holder->do('BEGIN');
	$holder->do(q{SELECT FROM notifications.contacts WHERE id = 'CTT-1' FOR UPDATE});
	my @waiting = map { $start->(q{api.contact_delete('CTT-1')}) } 1 .. 4;
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'})
	  or die 'no call waits for the contact';
	my $other = $start->(q{api.contact_document('CTT-2')});
	$other->{process}->finish;
	like($other->{output}, qr/"id": "CTT-2"/, "$name: a call gets through beside them");
	foreach my $run (@waiting)
	{
		$run->{process}->finish;
		like($run->{output}, qr/canceling statement due to lock timeout/,
			"$name: a call for a locked contact gives up");
	}
	$holder->do('ROLLBACK');
	$holder->disconnect;
	return;
}

$node->safe_psql('postgres', <<'END');
INSERT INTO notifications.contacts (id, email)
    VALUES ('CTT-1', 'a@example.com'), ('CTT-2', 'a@example.com');
END

# Directly
my @direct =
  map { connect_as_authenticator($node->host, $node->port, 1) } 1 .. 2;
walk('direct', 400, @direct);
leaves_nothing('direct', $direct[0]);

# DBD::Pg gives a statement up when it fails, so how many are left is chance:
# after a call that succeeds its statement is one of them.
my $last = {
	function => 'contact_document',
	body => { id => 'CTT-1' },
	role => 'contact_operator',
	claims => { role => 'contact_operator' }
};
begin_call($direct[0], $last);
is(ref finish_call($direct[0], $last), 'HASH', 'direct: one more document');
is( ($direct[0]->selectrow_array(
			q{SELECT count(*) FROM pg_prepared_statements WHERE name <> ''
			AND NOT from_sql AND statement LIKE 'WITH pgrst_source%"api"."contact_document"%'
			AND parameter_types = '{json}'}
		))[0],
	1, 'direct: the calls are prepared statements');
my ($prepared) = $direct[0]->selectrow_array(
	q{SELECT statement FROM pg_prepared_statements WHERE statement LIKE 'select set_config%'});
is($prepared, $SETTINGS, 'direct: with the texts of PostgREST');
$_->disconnect foreach @direct;

# Through PgBouncer: four clients share two connections
SKIP:
{
	my $pgbouncer = find_program('pgbouncer')
	  or skip 'pgbouncer is not installed (Debian: pgbouncer)', 1;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $host = $node->host;
	my $server_port = $node->port;

	spew("$folder/users", qq("authenticator" ""\n));
	spew("$folder/pgbouncer.ini", <<"END");
[databases]
postgres = host=$host port=$server_port
[pgbouncer]
unix_socket_dir = $folder
listen_port = $port
auth_type = trust
auth_file = $folder/users
pool_mode = transaction
default_pool_size = 2
query_wait_timeout = 5
logfile = $folder/log
pidfile = $folder/pid
END
	my $output = '';
	my $process = IPC::Run::start([ $pgbouncer, "$folder/pgbouncer.ini" ],
		'<', \undef, '>&', \$output);
	my @clients;
	eval {
		my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
		while (@clients < 4)
		{
			my $dbh = eval { connect_as_authenticator($folder, $port, 0) };
			push @clients, $dbh if $dbh;
			next if $dbh;
			die "no connection to pgbouncer: $@$output"
			  if time > $deadline || !$process->pumpable;
			select undef, undef, undef, 0.1;
		}
		walk('pgbouncer', 400, @clients);
		leaves_nothing('pgbouncer', $clients[0]);

		$_->do('BEGIN') foreach @clients[ 0, 1 ];
		my @pids = map { ($_->selectrow_array('SELECT pg_backend_pid()'))[0] }
		  @clients[ 0, 1 ];
		$_->do('COMMIT') foreach @clients[ 0, 1 ];
		push @pids, ($_->selectrow_array('SELECT pg_backend_pid()'))[0]
		  foreach @clients[ 2, 3 ];
		my %pids = map { $_ => 1 } @pids;
		is(scalar keys %pids, 2, 'pgbouncer: clients shared connections');
		leaves_room('pgbouncer', $folder, $port);
		1;
	} or fail("pgbouncer: $@");
	$_->disconnect foreach @clients;
	$process->kill_kill;
}

done_testing();
