# A fuzzer: several sessions at once throw random calls, writes, settings and DDL
# at the extension.  Whatever happens is a document that validates or an error
# that is listed here; never a crash, an internal error, an id in a message, or a
# contact whose status and stamps disagree.
#
# A batch is a fresh database, the tables of which have ids of a kind or are under a
# view with other names, and a script of psql for each session, whose lines
# are numbered; the number comes back with each document and each error.  What a
# session says depends on the seed alone, and what comes of it on the others too.
#
# CONTACT_BLOCK_SEED=n makes other scripts, CONTACT_BLOCK_LONG=1 ten times as many.

use strict;
use warnings FATAL => 'all';

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CONTACT_BLOCK_SEED} // 1;
my $batches = $ENV{CONTACT_BLOCK_LONG} ? 100 : 10;
my $sessions = 4;
# of a session in a batch; those amid DDL come on top
my $calls = $ENV{SANITIZE} ? 500 : 2500;

# All ids and all other texts have this mark, so that it shows where one got to.
my $mark = qr/zq|2a2a2a2a|987654/i;

# What the schema is called at times.
my $renamed = qr/other " q'\$\\\\ %s/;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# the errors come back to the sessions; the log is for crashes
$node->append_conf('postgresql.conf', qq{
autovacuum = off
client_min_messages = error
deadlock_timeout = 50ms
log_min_messages = log
log_statement = none
max_stack_depth = 1MB
restart_after_crash = on
synchronous_commit = off
});
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT quote_ident(current_user)');

# the files of the extension, in an alternation
my $sources = join '|', map { m{(\w+)\.c$} } glob "$FindBin::RealBin/../../src/*.c";

# The errors that may come of a call, a write or a setting, with the reason for
# those that are PostgreSQL's: SQLSTATE, message, and what has to follow it.
my @errors = (
	# those of doc/reference.md
	[ '22004', qr/the contact's id must not be null/ ],
	[ '22004', qr/the array of the contacts' ids must not be null/ ],
	[ '22023', qr/the contact's id must not be empty/ ],
	[ 'PT404', qr/contact not found/ ],
	[ 'PT409', qr/the contact's status does not allow this/ ],
	[ '42501', qr/permission denied to change the contact/ ],
	[ '55000', qr/contact_block is not set up/ ],
	[ '55000', qr/existing relations cannot be used by contact_block/ ],
	[ '42501', qr/existing relations cannot be used by contact_block/ ],
	[ '42703', qr/column "\w+" of relation "\w+" does not exist/ ],
	[ '22023', qr/request\.jwt\.claims is not a JSON object/ ],
	[ '22023', qr/the actor's claim in request\.jwt\.claims is not a string/ ],
	[ '23514', qr/the contact's status is none that it can have/ ],
	[ '22023', qr/no actor is set/ ],
	[ '21000', qr/more than one contact has this id/ ],
	[ '39P01', qr/function "contact_audit" (was not called by trigger manager|must be fired .*)/ ],
	[ '23502', qr/a row of relation "\w+" has no id/ ]);
my $last_own_error = $#errors;
push @errors, (
	# ours as well, of tables that are made so now and then
	[ '22023', qr/the actor does not fit the column that it is stored in/ ],
	[ '55000', qr/an argument of the audit trigger is not valid/ ],
	[ '0A000', qr/the status of contacts has no word for this/ ],
	# a transaction that goes on after an error, or cannot go on in its isolation level
	[ '25P02', qr/current transaction is aborted, commands ignored until end of transaction block/ ],
	[ '3B001', qr/savepoint "s" does not exist/ ],
	[ '25006', qr/cannot execute [A-Z ]+ in a read-only transaction/ ],
	[ '40001', qr/could not serialize access due to (read\/write dependencies among transactions|concurrent (update|delete))/ ],
	# sessions in each other's way
	[ '40P01', qr/deadlock detected/ ],
	[ '55P03', qr/canceling statement due to lock timeout/ ],
	[ '57014', qr/canceling statement due to statement timeout/ ],
	# the same, when the statement was faster and the next one gets it
	[ '57014', qr/canceling statement due to user request/ ],
	# a role without a privilege, row security included
	[ '42501', qr/permission denied for (table|view|materialized view|schema|function) .*/ ],
	[ '42501', qr/permission denied to set parameter "contact_block\.(actor_claim|trust_actor|require_actor)"/ ],
	[ '42501', qr/new row violates row-level security policy for table "\w+"/ ],
	[ '42501', qr/query would be affected by row-level security policy for table "\w+"/ ],
	[ '42501', qr/must be superuser or have privileges of the pg_read_server_files role to COPY from a file/ ],
	[ '42501', qr/permission denied to (COPY from a file|set role "\w+"|set session authorization( "[^"]+")?)/ ],
	# settings that are none
	[ '22023', qr/invalid value for parameter "TimeZone": "No\/Where"/ ],
	[ '22023', qr/parameter "contact_block\.(trust|require)_actor" requires a Boolean value/ ],
	[ '22023', qr/invalid value for parameter "contact_block\.plain_unblock": "perhaps"/ ],
	# from 19 on
	[ '0A000', qr/non-standard string literals are not supported/ ],
	[ '42602', qr/invalid configuration parameter name "contact_block\.nothing"/ ],
	# constraints, in writes and where a trigger changes the key
	[ '23502', qr/null value in column "\w+" of relation "\w+" violates not-null constraint/ ],
	[ '23503', qr/(insert or update|update or delete) on table "\w+" violates foreign key constraint "\w+".*/ ],
	[ '23505', qr/duplicate key value violates unique constraint "\w+"/ ],
	[ '23514', qr/new row for relation "\w+" violates check constraint "\w+"/ ],
	# DDL: what is gone or called otherwise, and types that do not fit
	[ '42703', qr/column "\w+" does not exist|column c\.\w+ does not exist|record "new" has no field "\w+"/ ],
	# by the name that the schema had a moment ago: also in PostgreSQL's own queries for foreign keys
	[ '42P01', qr/relation ("(fuzz|$renamed)\.\w+"|with OID \d+) does not exist/ ],
	[ '3F000', qr/schema "(fuzz|$renamed)" does not exist/ ],
	[ '42883', qr/function [^"]+ does not exist/ ],
	[ '42883', qr/the called function does not exist any more/ ],
	[ '42883', qr/operator does not exist: [\w\[\]]+ (pg_catalog\.)?= [\w\[\]]+/ ],
	[ '42P10', qr/there is no unique or exclusion constraint matching the ON CONFLICT specification/ ],
	[ '26000', qr/prepared statement "\w+" does not exist/ ],
	[ '22P02', qr/invalid input (syntax for type (json|(integer|bigint|uuid|xid): ".*)|value for enum admin\.(status|two): ".*)/ ],
	[ '22P02', qr/malformed array literal: ".*/ ],
	[ '22003', qr/value "\d+" is out of range for type integer/ ],
	[ '22001', qr/value too long for type character( varying)?\(\d+\)/ ],
	[ '23514', qr/value for domain admin\.\w+ violates check constraint "\w+"/ ],
	[ '42804', qr/column "\w+" is of type [\w.\[\]]+ but expression is of type text/ ],
	[ '42846', qr/cannot cast type \w+ to timestamp with time zone/ ],
	[ '42809', qr/cannot change materialized view "\w+"/ ],
	[ '42809', qr/cannot lock rows in materialized view "\w+"/ ],
	[ '42809', qr/cannot copy to (materialized )?view "\w+"/ ],
	[ '0A000', qr/INSERT with ON CONFLICT clause cannot be used with table that has INSERT or UPDATE rules/ ],
	[ '0A000', qr/cannot execute MERGE on relation "contacts"/ ],
	[ '0A000', qr/cannot perform UPDATE RETURNING on relation "contacts"/ ],
	# a function or relation that is dropped while a statement is about to use it: PostgreSQL's internal error, not ours
	[ 'XX000', qr/cache lookup failed for (function|relation) \d+/, qr/^LOCATION:  \w+, (?!(?:$sources)\.c:)\w+\.c:/m ],
	# a policy or a trigger that calls itself
	[ '54001', qr/stack depth limit exceeded/ ],
	# encodings
	[ '0A000', qr/conversion between UTF8 and SQL_ASCII is not supported/ ],
	[ '22P05', qr/character with byte sequence 0x[0-9a-f]+( 0x[0-9a-f]+)* in encoding "UTF8" has no equivalent in encoding "LATIN1"/ ],
	[ '22021', qr/invalid byte sequence for encoding "UTF8": 0x[0-9a-f]+( 0x[0-9a-f]+)*/ ]);

# SQL text

sub one_of { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }

# What the ids of contacts and users are: text, uuid or numbers; in the last case
# contacts is a view or not.
my $kind;

sub is_number { return $kind eq 'number' || $kind eq 'view'; }

sub contact_id
{
	my ($n) = @_;
	return $kind eq 'text' ? "ZQC$n" : $kind eq 'uuid' ? sprintf('2a2a2a2a-0000-4000-8000-%012d', $n) : 98765400000 + $n;
}

# The condition for those that come before one, among which others are, too.
sub before { return "id < '" . contact_id($_[0]) . "'"; }

# A literal on one line, whatever is in the text; and how jsonb writes that.
my %json_of;

sub literal
{
	my ($text) = @_;
	$text =~ s/\\/\\\\/g;
	$text =~ s/'/''/g;
	$text =~ s/\n/\\n/g;
	$text =~ s/\r/\\r/g;
	$json_of{"E'$text'"} = json_string($_[0]);
	return "E'$text'";
}

my @odd = (
	"ZQ' OR ''='", 'ZQ"', 'ZQ\\', "ZQ\nb", "ZQ\r\nSet-Cookie: a=b\r\n", "\tZQ\x01\x7f", ' ZQ ', '%s%nZQ%1$s', '$1ZQ',
	'{"sub": "ZQ"}', "ZQ\xe2\x98\x8e\xf0\x9f\x98\x80", "\xe2\x80\xaeZQ\xcc\x81", 'ZQ--', 'ZQ/*', 'zq', 'ZQ' x 30);
my (@contacts, @users);    # of this kind, and others

sub choose_kind
{
	($kind) = @_;
	@contacts = ((map { contact_id($_) } 1 .. 24), $kind eq 'text' ? @odd : @odd[ 0 .. 2 ]);
	@users = ((map { $kind eq 'number' ? 98765410000 + $_ : "ZQU$_" } 1 .. 5), @odd[ 0 .. 4 ]);
	return;
}

my @accounts = map { "ZQA$_" } 1 .. 4;
my @categories = map { "ZQN$_" } 1 .. 4;

sub json_string
{
	my ($text) = @_;
	my %escapes = ("\n" => '\n', "\r" => '\r', "\t" => '\t');
	$text =~ s/(["\\])/\\$1/g;
	$text =~ s/([\x00-\x1f])/$escapes{$1} || sprintf('\u%04x', ord $1)/ge;
	return "\"$text\"";
}

sub text
{
	return "repeat('ZQ', 2000)" if chance(0.005);
	return literal("ZQ\xc3(\xff") if chance(0.005);
	return one_of('NULL', "''") if chance(0.15);
	return literal(one_of(@odd)) if chance(0.3);
	return literal('ZQ' . int rand 5);
}

sub id
{
	if ($kind eq 'uuid' && chance(0.2))
	{
		# it is shown in lower case
		my $id = contact_id(1 + int rand 24);
		my $literal = literal(uc $id);
		$json_of{$literal} = json_string($id);
		return $literal;
	}
	return literal(one_of(@contacts)) if chance(0.9);
	return one_of(map { literal($_) } '0' . contact_id(1), '+' . contact_id(1), contact_id(1) . ' ', '{' . contact_id(1) . '}', '-0', '1e3')
	  if $kind ne 'text' && chance(0.5);
	return text();
}

sub user_id { return chance(0.8) ? literal(one_of(@users)) : text(); }

sub status
{
	my $status = one_of(qw('New' 'Active' 'Active' 'Active' 'Active' 'Blocked' 'Blocked' 'Deleted'));
	return $kind eq 'view' ? lc $status : $status if chance(0.97);
	return text();
}

sub timestamp
{
	return "'" . one_of(qw(infinity -infinity epoch today), '0044-03-15 BC', '4714-11-24 00:00:00+00 BC', '0001-01-01+00',
		'294276-12-31 23:59:59.999999+00', '9999-12-31 23:59:59.9999+00', '10000-01-01+00', '2001-01-01') . "'";
}

# A random JSON value.
sub json
{
	my ($depth) = @_;
	my $kind = int rand($depth > 3 ? 8 : 12);
	return '"' . one_of('', 'ZQU1', 'ZQ\"', 'ZQ\n', 'ZQ\u0000', 'ZQ\ud800', 'ZQ\udc00\ud800', 'ZQ\ud83d\ude00', 'ZQ\u00e9',
		'ZQ\q', "ZQ\xff", "ZQ\t", "ZQ\xe2\x98\x8e") . '"' if $kind < 4;
	return one_of(qw(0 -1 1e400 01 1. 12345678901234567890 NaN)) if $kind < 6;
	return one_of(qw(null true false), '') if $kind < 8;
	return '[' . join(one_of(',', ' , '), map { json($depth + 1) } 1 .. rand 4) . ']' if $kind < 10;
	return '{' . join(',', map {
		'"' . one_of(qw(sub sub sub email su\u0062 ZQ), '', 'sub\u0000') . '":' . json($depth + 1) } 1 .. rand 4) . '}';
}

# An expression for claims, mostly good ones.
sub claims
{
	return q('') if chance(0.2);
	return literal('{"role": "ZQ", "sub": ' . json_string(one_of(@users, @odd)) . ', "exp": 1}') if chance(0.5);
	return one_of(q(repeat('[', 100000)), q(repeat('{"sub":', 100000)), q('{"sub": "' || repeat('ZQ', 2000) || '"}'),
		q('{"sub":' || repeat('[', 3000) || repeat(']', 3000) || '}'), q('{"a": "' || repeat('ZQ', 500000) || '", "sub": "ZQ"}'),
		q('{' || repeat('"sub": "ZQ",', 9000) || '"sub": 1}')) if chance(0.05);
	my $claims = chance(0.7) ? '{"sub":' . json(1) . '}' : json(0);
	substr($claims, rand length $claims, int rand 3) = one_of('', '"', '}', '\\', ' ', 'ZQ') if $claims ne '' && chance(0.2);
	return literal($claims);
}

# The script of a session: a line is a statement, and has a kind: a call of a
# function, a write to a relation, a setting, DDL, or what takes DDL back.

my $dir = PostgreSQL::Test::Utils::tempdir;
sub make_copy_files
{
	my $n = 0;
	for my $line (
		[ contact_id(1), 'Active' ], [ contact_id(2), 'Blocked' ], [ contact_id(3), 'New' ], [ contact_id(4), 'Deleted' ],
		[ 'ZQ\r\nSet-Cookie: a=b\r\n', 'Active' ], [ "ZQ\xff", 'Active' ])
	{
		my $status = $kind eq 'view' ? lc $line->[1] : $line->[1];
		open my $file, '>:raw', "$dir/copy-" . $n++ or die $!;
		print $file "$line->[0]\tZQ\t$status\tFORGED\n";
		close $file;
	}
	return;
}

my $schema;    # as it is called at this line
my $base;      # the table of contacts, in it
my @script;    # [ kind, what the document has to say, line ]
my $ncalls;    # but for those amid DDL
my $own_triggers;    # which may make something else of a change

sub say_line
{
	my ($kind, $line, %expected) = @_;
	push @script, [ $kind, \%expected, $line ];
	return;
}

my %status_after = (contact_block => 'Blocked', contact_unblock => 'Active', contact_delete => 'Deleted');

# A call for many: a line of the answer has its number, and what there is to know of
# the element that it is for.
sub call_many
{
	my $verb = one_of(('block') x 5, ('unblock') x 4, chance(0.3) ? 'delete' : 'block');
	my $ids = chance(0.8) ? 'ARRAY[' . join(', ', map { id() } 0 .. rand 30) . ']::text[]'
	  : one_of("(SELECT array_agg(id::text) FROM $schema.contacts)", "(SELECT array_agg(id::text) FROM $schema.contacts WHERE " . before(12) . ')',
		'NULL::text[]', "'{}'::text[]", 'ARRAY[[' . id() . ', NULL], [' . id() . ', ' . id() . ']]::text[]');
	my $reason = $verb eq 'block' && chance(0.5) ? ', ' . text() : '';
	my $number = @script + 1;
	$ncalls++;
	say_line(call => "SELECT 'many', $number, a.code, a.status, a.changed, a.id IS NOT DISTINCT FROM g.id, "
		  . "CASE WHEN g.id IS NULL THEN '22004' WHEN g.id = '' THEN '22023' ELSE 'id' END "
		  . "FROM (SELECT $ids AS ids) AS given, $schema.contacts_$verb(ids$reason) WITH ORDINALITY AS a (id, code, status, changed, n)"
		  . ', unnest(ids) WITH ORDINALITY AS g (id, n) WHERE a.n = g.n',
		status => $own_triggers ? undef : $status_after{"contact_$verb"});
	return;
}

sub call
{
	return call_many() if chance(0.1);
	my $function = one_of(('contact_block') x 10, ('contact_unblock') x 8, ('contact_document') x 4, chance(0.3) ? 'contact_delete' : 'contact_document');
	my @arguments = id();
	my $in_place = $arguments[0];
	push @arguments, text() if $function eq 'contact_block' && chance(0.5);
	$arguments[-1] = one_of("repeat('ZQ', 500000)", "repeat('ZQ', 50000)") if chance(0.001);
	my $number = @script + 1;
	my $arguments = join ', ', @arguments;
	my %expected = $own_triggers ? (own_words => 1) : (status => $status_after{$function}, id => $json_of{ $arguments[0] });
	my %expected_of_many = (%expected, id => undef);
	$ncalls++;

	if (chance(0.01))
	{
		say_line(call => "SELECT $schema.contact_audit()");
	}
	elsif (chance(0.7))
	{
		say_line(call => "SELECT $number, $schema.$function($arguments)", %expected);
	}
	elsif (chance(0.5))
	{
		# a prepared statement, when it is there
		say_line(call => "EXECUTE $function" . @arguments . "($number, $arguments)", %expected);
	}
	elsif (chance(0.3))
	{
		# many calls in one statement
		my $rest = join '', map { ", $_" } @arguments[ 1 .. $#arguments ];
		say_line(call => "SELECT $number, $schema.$function(id::text$rest) FROM $schema.contacts WHERE " . before(12), %expected_of_many);
	}
	elsif (chance(0.5))
	{
		# changes and documents in one statement
		say_line(call => "SELECT $number, $schema.contact_document(d ->> 'id') FROM $schema.$function($arguments) AS d",
			own_words => $own_triggers);
	}
	else
	{
		# an error that is caught, and a call after it
		say_line(call => "DO \$do\$ BEGIN PERFORM $schema.$function($arguments); EXCEPTION WHEN OTHERS THEN "
			  . "IF SQLSTATE LIKE 'XX%' THEN RAISE; END IF; PERFORM $schema.contact_document($in_place); END \$do\$");
	}
	return;
}

sub write_contact
{
	my $contacts = "$schema.contacts";
	my $id = literal(one_of(@contacts));
	my $forged = one_of(map { "${_}_by = 'FORGED', ${_}_at = '2001-01-01'" } qw(created updated activated blocked deleted));
	my $copied = $kind eq 'view' && chance(0.9) ? "$schema.people (person_id, mail, state, made_by)" : "$contacts (id, email, status, created_by)";
	my $columns = '(id, email, status, name, blocked_reason, user_id, created_at, created_by, blocked_at, blocked_by)';
	my $row = join ', ', $id, "'ZQ\@example.org'", status(), text(), text(),
	  chance(0.5) ? literal(one_of(@users)) : 'NULL', "'2001-01-01'", "'FORGED'", timestamp(), "'FORGED'";
	my $set = one_of('status = ' . status(), 'name = ' . text(), 'blocked_reason = ' . text(), 'user_id = ' . user_id(),
		$forged, "$forged, status = " . status(), "email = 'ZQ\@example.org'", "name = 'ZQ', user_id = NULL");

	if (chance(0.35))
	{
		# Deleted is final: make room for another one
		say_line(write => "WITH o AS (DELETE FROM $schema.contact_opt_outs WHERE contact_id = $id) DELETE FROM $contacts WHERE id = $id");
		say_line(write => "INSERT INTO $contacts $columns VALUES ($row)");
	}
	elsif (chance(0.5))
	{
		say_line(write => "UPDATE $contacts SET $set WHERE " . (chance(0.95) ? "id = $id" : before(5)));
	}
	elsif (chance(0.4))
	{
		say_line(write => "INSERT INTO $contacts $columns VALUES ($row) ON CONFLICT (id) DO UPDATE SET $set");
	}
	elsif (chance(0.4))
	{
		say_line(write => "MERGE INTO $contacts AS c USING (VALUES ($id)) AS v (i) ON c.id = i"
			  . " WHEN MATCHED THEN UPDATE SET $set WHEN NOT MATCHED THEN INSERT $columns VALUES ($row)");
	}
	elsif (chance(0.4))
	{
		say_line(write => "UPDATE $contacts SET id = " . id() . " WHERE id = $id");
	}
	elsif (chance(0.5))
	{
		say_line(write => "COPY $copied FROM '$dir/copy-" . int(rand 6) . "'");
	}
	else
	{
		say_line(write => "SELECT FROM $contacts WHERE id = $id FOR " . one_of('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE SKIP LOCKED'));
	}
	return;
}

sub write_other
{
	my $user = literal(one_of(@users));
	my $contact = literal(one_of(@contacts));
	my $category = literal(one_of(@categories));
	my $account = literal(one_of(@accounts));
	my $status = one_of(qw(New Invited InvitationExpired Active Blocked Disabled Deleted ZQ));

	say_line(write => one_of(
		"UPDATE $schema.users SET " . one_of(map { "$_ = " . text() } qw(email name first_name last_name icon phone_prefix
			phone_number culture_code language_code created_by updated_by)) . " WHERE id = $user",
		"UPDATE $schema.users SET " . one_of(map { "$_ = " . timestamp() } qw(last_login_at created_at updated_at invitation_accepted_at))
			. ", created_by = $user WHERE id = $user",
		"UPDATE $schema.users SET current_account_id = " . one_of($account, 'NULL') . ", status = '$status' WHERE id = $user",
		"DELETE FROM $schema.users WHERE id = $user",
		"INSERT INTO $schema.users (id, email, status, name, first_name, last_name) VALUES ($user, 'ZQ', '$status', 'ZQ', 'ZQ', '')",
		"INSERT INTO $schema.contact_opt_outs (contact_id, category_id, last_used) VALUES ($contact, $category, " . timestamp() . ')',
		"DELETE FROM $schema.contact_opt_outs WHERE contact_id = $contact",
		"INSERT INTO $schema.account_users (user_id, account_id) VALUES ($user, $account)",
		"DELETE FROM $schema.account_users WHERE user_id = $user",
		"UPDATE $schema.categories SET name = " . text() . ", icon = " . text() . ", short_description = " . text() . " WHERE id = $category",
		"UPDATE $schema.accounts SET name = " . text() . ", icon = " . text() . " WHERE id = $account"));
	return;
}

sub setting
{
	my $in = one_of('SESSION', 'LOCAL');
	say_line(set => one_of(
		("SET $in contact_block.actor = " . literal(one_of('', @users, @odd, "ZQ\xff"))) x 4,
		('SELECT FROM set_config(\'request.jwt.claims\', ' . claims() . ', ' . one_of('true', 'false') . ')') x 10,
		"SELECT FROM set_config('contact_block.actor', repeat('ZQ', 5000), false)",
		"SET $in contact_block.actor_claim = " . literal(one_of('', 'sub', 'email', 'ZQ')),
		"SET $in contact_block.trust_actor = " . one_of(qw(on off off ZQ)),
		("SET $in contact_block.plain_unblock = " . one_of(qw(error keep keep allow allow), chance(0.1) ? 'perhaps' : 'allow')) x 4,
		"SET $in contact_block.require_actor = " . one_of(qw(on on off ZQ)),
		"SET $in contact_block.nothing = 'ZQ'",
		("SET $in ROLE " . one_of(qw(fuzz_clerk fuzz_clerk fuzz_reader fuzz_nobody none), $superuser)) x 4,
		"SET $in SESSION AUTHORIZATION " . one_of(qw(fuzz_clerk fuzz_reader), $superuser),
		"SET $in row_security = " . one_of(qw(on off)),
		"SET $in TimeZone = " . literal(one_of('Pacific/Apia', 'America/St_Johns', '<ZQ>-14', 'UTC', 'No/Where')),
		"SET $in DateStyle = " . one_of(qw(German SQL Postgres ISO)) . ', ' . one_of(qw(DMY MDY YMD)),
		"SET $in search_path = " . one_of(q(''), 'admin, pg_catalog', 'pg_temp, admin, public', '"ZQ"'),
		"SET $in enable_" . one_of(qw(seqscan indexscan bitmapscan sort nestloop material)) . ' = ' . one_of(qw(on off)),
		"SET $in plan_cache_mode = " . one_of(qw(auto force_generic_plan force_custom_plan)),
		"SET $in default_transaction_isolation = " . literal(one_of('repeatable read', 'serializable', 'read committed')),
		"SET LOCAL transaction_read_only = on",
		"SET $in statement_timeout = " . one_of(1, 2, 5),
		"SET $in lock_timeout = 1",
		"SET $in work_mem = '64kB'",
		"SET $in standard_conforming_strings = off",
		"SET $in jit_above_cost = 0",
		"SET $in max_parallel_workers_per_gather = 0"));
	return;
}

# From any state to the session's defaults.
sub reset_all
{
	my ($kind) = @_;
	say_line($kind => $_) for 'RESET SESSION AUTHORIZATION', 'RESET ROLE', 'RESET ALL';
	return;
}

sub prepare_all
{
	my $n = one_of('int', 'bigint');
	say_line(prepare => 'DEALLOCATE ALL');
	say_line(prepare => "PREPARE ${_}1 ($n, text) AS SELECT \$1, $schema.$_(\$2)")
	  for qw(contact_block contact_unblock contact_delete contact_document);
	say_line(prepare => "PREPARE contact_block2 ($n, text, text) AS SELECT \$1, $schema.contact_block(\$2, \$3)");
	return;
}

sub something
{
	my $r = rand;
	return $r < 0.75 ? call() : $r < 0.87 ? write_contact() : $r < 0.91 ? write_other() : $r < 0.97 ? setting() : reset_all('set');
}

sub transaction
{
	say_line(set => 'BEGIN' . one_of('', '', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE'));
	# with it psql goes back to before the statement that failed
	say_line(set => '\set ON_ERROR_ROLLBACK ' . one_of(qw(on on off)));
	my $savepoint = chance(0.5);
	say_line(set => 'SAVEPOINT s') if $savepoint;
	something() for 1 .. 1 + rand 6;
	if ($savepoint && chance(0.6))
	{
		say_line(set => 'ROLLBACK TO s');
		something() for 1 .. 1 + rand 3;
	}
	say_line(set => one_of('COMMIT', 'COMMIT', 'ROLLBACK'));
	say_line(set => '\set ON_ERROR_ROLLBACK off');
	return;
}

my %columns = (
	accounts => 'id type status name icon',
	users => 'id email status name first_name last_name icon phone_prefix phone_number culture_code language_code '
	  . 'last_login_at current_account_id created_at created_by updated_at updated_by invitation_accepted_at',
	account_users => 'user_id account_id',
	categories => 'id name short_description icon',
	contacts => 'id email name status blocked_reason user_id created_at created_by updated_at updated_by activated_at '
	  . 'activated_by blocked_at blocked_by deleted_at deleted_by',
	contact_opt_outs => 'contact_id category_id last_used');
my @relations = sort keys %columns;

# What is done to the relations, and how it is taken back; what loses data or
# keeps the trigger from its work can only be rolled back, and has nothing else.
sub alteration
{
	my $relation = one_of(@relations, 'contacts', 'contacts', 'users');
	my $column = one_of(split ' ', $columns{$relation});
	my $table = "$schema.$relation";
	my $alter = "ALTER TABLE $table ALTER COLUMN $column";
	my $contacts = "ALTER TABLE $schema.$base";
	my $is_time = $column =~ /_at$|last_used/;
	my $text = 'text' . ($column =~ /id$|_by$/ ? ' COLLATE "C"' : '');
	my $role = one_of(qw(fuzz_clerk fuzz_reader));
	my $trigger = "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON $schema.$base FOR EACH ROW EXECUTE FUNCTION";
	my $audit = "DROP TRIGGER zzz_contact_audit ON $schema.$base\\; CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE "
	  . "ON $schema.$base FOR EACH ROW EXECUTE FUNCTION $schema.contact_audit";

	return @{ one_of(
		# types
		$is_time
		? [ "$alter TYPE " . one_of('timestamptz(0)', 'timestamp', 'date', 'text', 'admin.moment', 'int USING 1', 'jsonb USING NULL') ]
		: [ "$alter TYPE " . one_of('int USING length(' . $column . ')', 'char(3)', 'bytea USING NULL', 'name', 'varchar(3)',
				'text[] USING ARRAY[' . $column . ']', "jsonb USING to_jsonb($column)", 'xid USING NULL', '"char"', 'admin.nothing USING NULL', 'uuid USING NULL', 'bigint USING NULL') ],
		$is_time
		? [ "$alter SET STATISTICS 7", "$alter SET STATISTICS -1" ]
		: (([ "$alter TYPE " . one_of('varchar', 'varchar(9999)', 'admin.word'), "$alter TYPE $text" ]) x 3),
		[ "$contacts DROP CONSTRAINT contacts_status_check, ALTER status DROP DEFAULT, ALTER status TYPE admin.status USING status::admin.status",
			"$contacts ALTER status TYPE text, ALTER status SET DEFAULT 'Active', ADD CONSTRAINT contacts_status_check CHECK (status IN ('New', 'Active', 'Blocked', 'Deleted'))" ],
		# columns
		[ "ALTER TABLE $table DROP COLUMN $column CASCADE" ],
		[ "ALTER TABLE $table DROP COLUMN $column CASCADE, ADD COLUMN $column "
			. ($column eq 'status' ? "text DEFAULT 'Active'" : $column eq 'type' ? "text DEFAULT 'Client'" : 'int DEFAULT 7') ],
		[ "ALTER TABLE $table ADD COLUMN other " . one_of("int DEFAULT 7", "text GENERATED ALWAYS AS (upper($column)) STORED", 'text[]'),
			"ALTER TABLE $table DROP COLUMN other CASCADE" ],
		[ "ALTER TABLE $table RENAME COLUMN $column TO other", "ALTER TABLE $table RENAME COLUMN other TO $column" ],
		[ "$alter DROP NOT NULL" ],
		# relations
		[ "ALTER TABLE $table RENAME TO other", "ALTER TABLE $schema.other RENAME TO $relation" ],
		[ "ALTER TABLE $table RENAME TO other\\; CREATE VIEW $table " . one_of('', 'WITH (security_invoker) ', 'WITH (security_barrier) ')
			  . "AS SELECT * FROM $schema.other\\; GRANT ALL ON $table TO $role",
			"DROP VIEW $table\\; ALTER TABLE $schema.other RENAME TO $relation" ],
		[ "ALTER TABLE $table RENAME TO other\\; CREATE MATERIALIZED VIEW $table AS SELECT * FROM $schema.other",
			"DROP MATERIALIZED VIEW $table\\; ALTER TABLE $schema.other RENAME TO $relation" ],
		[ "ALTER TABLE $table RENAME TO other\\; CREATE TABLE $table (LIKE $schema.other INCLUDING ALL) PARTITION BY RANGE ($column)\\; "
			. "CREATE TABLE $schema.part PARTITION OF $table DEFAULT\\; INSERT INTO $table SELECT * FROM $schema.other\\; SELECT $schema.contact_block_setup()" ],
		[ "ALTER TABLE $table RENAME TO other\\; CREATE TABLE $table (LIKE $schema.other)\\; INSERT INTO $table SELECT * FROM $schema.other"
			. "\\; INSERT INTO $table SELECT * FROM $schema.other"
			# set-up wants a unique index
			. ($relation eq 'contacts' ? "\\; CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION $schema.contact_audit()" : '') ],
		[ "DROP TABLE $table CASCADE" . one_of('', "\\; SELECT $schema.contact_block_setup()") ],
		[ "CREATE TABLE $schema.child () INHERITS ($table)", "DROP TABLE $schema.child" ],
		[ "TRUNCATE $table CASCADE" ],
		[ "CREATE RULE r AS ON UPDATE TO $table DO INSTEAD NOTHING" ],
		[ "CREATE RULE r AS ON UPDATE TO $schema.contacts DO ALSO SELECT NEW.id" ],
		[ "CREATE RULE r AS ON UPDATE TO $schema.contacts DO INSTEAD SELECT NULL::text, 'ZQ'" ],
		[ "CLUSTER $schema.contacts USING contacts_pkey", 'SELECT' ],
		# indexes
		[ "CREATE INDEX i ON $table ($column)", "DROP INDEX $schema.i" ],
		[ "CREATE INDEX i ON $schema.contacts (id) WHERE status = 'Blocked'", "DROP INDEX $schema.i" ],
		[ "ALTER TABLE $table DROP CONSTRAINT ${relation}_pkey CASCADE" ],
		# privileges
		([ "REVOKE SELECT ($column) ON $table FROM $role", "GRANT SELECT ($column) ON $table TO $role" ]) x 4,
		[ "REVOKE UPDATE (status) ON $schema.contacts FROM $role", "GRANT UPDATE (status) ON $schema.contacts TO $role" ],
		[ "REVOKE ALL ON $table FROM fuzz_reader", "GRANT SELECT ON $table TO fuzz_reader" ],
		[ "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA $schema FROM $role", "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA $schema TO $role" ],
		[ "REVOKE USAGE ON SCHEMA $schema FROM $role", "GRANT USAGE ON SCHEMA $schema TO $role" ],
		# row security
		([ "ALTER TABLE $table ENABLE ROW LEVEL SECURITY" . one_of('', "\\; ALTER TABLE $table FORCE ROW LEVEL SECURITY"),
			"ALTER TABLE $table DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY" ]) x 2,
		([ "CREATE POLICY p ON $table " . one_of("USING (${column}::text > '" . contact_id(12) . "')", "FOR UPDATE USING (false)", "FOR SELECT USING (${column}::text < '" . contact_id(12) . "')",
				"FOR UPDATE USING (true) WITH CHECK (false)") . "\\; CREATE POLICY q ON $table FOR SELECT USING (true)\\; ALTER TABLE $table ENABLE ROW LEVEL SECURITY",
			"DROP POLICY p ON $table\\; DROP POLICY q ON $table\\; ALTER TABLE $table DISABLE ROW LEVEL SECURITY" ]) x 2,
		[ "CREATE POLICY p ON $table USING ($schema.contact_document('" . contact_id(1) . "') IS NOT NULL)\\; ALTER TABLE $table ENABLE ROW LEVEL SECURITY" ],
		# triggers
		[ "$contacts DISABLE TRIGGER " . one_of('zzz_contact_audit', 'USER', 'ALL') ],
		[ "$audit(" . one_of("'ZQ=ZQ'", "'status'", "'Active=ZQ', 'Blocked=ZQ'", "'status=name', 'ignore=other'", "'ignore=name', 'ignore=email'",
				"'Blocked=ZQ'", "'updated_at=other', 'activated_by=updated_by', 'updated_by=activated_by'") . ')' ],
		[ "$contacts DROP CONSTRAINT contacts_status_check, ALTER status DROP DEFAULT, ALTER status TYPE admin.two USING 'Active'" ],
		[ "DROP TRIGGER zzz_contact_audit ON $schema.$base" . one_of('', "\\; SELECT $schema.contact_block_setup()") ],
		[ 'SET LOCAL session_replication_role = replica' ],
		[ "$trigger admin." . one_of(qw(keep_row keep_row keep_status other_id other_status)) . '()' ],
		[ "$contacts DROP CONSTRAINT contacts_pkey CASCADE, ALTER id DROP NOT NULL\\; $trigger admin.no_id()" ],
		[ "CREATE TRIGGER a AFTER UPDATE ON $schema.$base FOR EACH ROW EXECUTE FUNCTION admin." . one_of(qw(again unblock recurse)) . "('$schema')" ],
		[ "CREATE TRIGGER a " . one_of('AFTER UPDATE', 'BEFORE DELETE', 'BEFORE UPDATE', 'BEFORE TRUNCATE') . " ON $table "
			  . one_of('', 'FOR EACH ROW ') . "EXECUTE FUNCTION $schema.contact_audit()" ],
		[ "$contacts ADD CHECK ($schema.contact_document(id::text) IS NOT NULL) NOT VALID" ],
		# the schema and the extension
		([ "ALTER SCHEMA $schema RENAME TO \"other \"\" q'\$\\\\ %s\"", "ALTER SCHEMA \"other \"\" q'\$\\\\ %s\" RENAME TO $schema", '"other "" q\'$\\\\ %s"' ]) x 2,
		[ "DROP EXTENSION contact_block CASCADE" ],
		[ "DROP EXTENSION contact_block CASCADE\\; CREATE EXTENSION contact_block SCHEMA $schema\\; SELECT $schema.contact_block_setup()"
			. "\\; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA $schema TO fuzz_clerk, fuzz_reader, fuzz_nobody", 'SELECT' ],
		[ "ALTER FUNCTION $schema.contact_document(text) " . one_of('IMMUTABLE PARALLEL SAFE', 'VOLATILE', 'SECURITY DEFINER', "SET role = 'fuzz_clerk'") ],
		[ "ALTER FUNCTION $schema.contact_block(text) " . one_of('STABLE', 'IMMUTABLE', 'SECURITY DEFINER', "SET row_security = off", 'RENAME TO contact_delete2') ],
	) };
}

# DDL with calls amid it, if no other session is at it: PostgreSQL itself does not
# take DDL on one object from two sessions well ("tuple concurrently updated").
sub ddl
{
	my ($old_schema, $old_ncalls) = ($schema, $ncalls);
	my ($do, $undo, $new_schema);

	# over the view there is no other one, from whose statuses nobody could tell what they stand for
	do { ($do, $undo, $new_schema) = alteration(); } while ($kind eq 'view' && $do =~ /contacts RENAME TO/);
	$own_triggers = $do =~ /TRIGGER a|RULE|VIEW|zzz_contact_audit/ || $kind eq 'view' && $do =~ /TRIGGER/;
	say_line(set => 'ROLLBACK');
	reset_all('undo');
	say_line(undo => '\set ddl 0');
	say_line(undo => 'SELECT pg_try_advisory_lock(1) AS ddl \gset');
	say_line(undo => '\if :ddl');
	if ($undo && chance(0.5))
	{
		say_line(ddl => $do);
		say_line(undo => '\if :ERROR');
		say_line(undo => '\else');
		$schema = $new_schema if $new_schema;
		something() for 1 .. 5 + rand 20;
		$schema = $old_schema;
		say_line(set => 'ROLLBACK');
		reset_all('undo');
		say_line(undo => 'CALL admin.undo($undo$' . $undo =~ s/\\;/;/gr . '$undo$)');
		say_line(undo => '\endif');
	}
	else
	{
		say_line(undo => '\set ON_ERROR_ROLLBACK on');
		say_line(undo => 'BEGIN');
		say_line(ddl => $do);
		$schema = $new_schema if $new_schema;
		if (chance(0.2))
		{
			say_line(set => 'SET LOCAL ROLE fuzz_clerk') if chance(0.5);
			say_line(call => "SELECT $schema.contact_block_setup()");
			say_line(set => 'RESET ROLE');
		}
		something() for 1 .. 5 + rand 10;
		$schema = $old_schema;
		say_line(undo => 'ROLLBACK');
		say_line(undo => '\set ON_ERROR_ROLLBACK off');
		reset_all('undo');
	}
	$own_triggers = 0;
	$ncalls = $old_ncalls;
	say_line(undo => 'SELECT FROM pg_advisory_unlock_all()');
	say_line(undo => '\endif');
	return;
}

sub make_script
{
	my ($batch, $session) = @_;
	$base = $kind eq 'view' ? 'people' : 'contacts';
	srand($seed * 1_000_003 + $batch * 101 + $session);
	@script = ();
	$ncalls = 0;
	$schema = 'fuzz';

	prepare_all();
	while ($ncalls < $calls)
	{
		my $r = rand;
		if ($r < 0.93) { something(); }
		elsif ($r < 0.97) { transaction(); }
		elsif ($r < 0.985) { ddl(); }
		elsif ($r < 0.99)
		{
			say_line(set => one_of('DISCARD ALL', 'DISCARD PLANS', 'DEALLOCATE ALL', 'ANALYZE', 'VACUUM (TRUNCATE false)'));
			prepare_all();
		}
		elsif ($r < 0.992)
		{
			say_line(undo => '\c');
			prepare_all();
		}
	}
	return join '', map { my $line = $_->[2]; $line .= ';' unless $line =~ /^\\|\\gset$/; "$line\n" } @script;
}

# What came of it

# The errors of a session; the line of each is known.
sub check_errors
{
	my ($file, $stderr, $wrong, $seen) = @_;
	my @lines = split /\n/, $stderr;

	for my $i (0 .. $#lines)
	{
		next unless $lines[$i] =~ /^psql:\Q$file\E:(\d+): (.*)$/;
		my ($kind, undef, $sql) = @{ $script[ $1 - 1 ] };
		my ($error, $number) = ($2, $1);
		my ($sqlstate, $message) = $error =~ /^ERROR:  (\w{5}): (.*)$/;
		my $rest = join "\n", grep { defined } @lines[ $i + 1 .. $i + 12 ];
		$rest =~ s/^psql:.*//ms;
		my ($found) = grep {
			my ($its_sqlstate, $its_message, $its_rest) = @{ $errors[$_] };
			defined $sqlstate && $sqlstate eq $its_sqlstate && $message =~ /^$its_message$/ && (!$its_rest || $rest =~ $its_rest)
		} 0 .. $#errors;

		if (!defined $sqlstate)
		{
			push @$wrong, [ $number, $error ];
		}
		elsif ($kind eq 'ddl' || $kind eq 'prepare')
		{
			# 18's own internal error where the column of a foreign key gets a type without collations
			push @$wrong, [ $number, "$error\n$rest" ]
			  if !defined $found && $sqlstate =~ /^(XX|58|53)/ && $message ne 'key columns are not both collatable';
		}
		else
		{
			push @$wrong, [ $number, "$error\n$rest" ]
			  if !defined $found || $kind eq 'undo' && $sqlstate ne '57014'
			  # but for what PostgreSQL says about a type and what it does not take
			  || $sqlstate !~ /^22(P02|003)$/ && ($message =~ /[^ -~]/ || $message =~ $mark
				|| $rest !~ /^(DETAIL|HINT|QUERY|CONTEXT|LINE \d+|LOCATION|[A-Z]+ NAME): /);
			$seen->{$found}++ if defined $found;
		}
	}
	return;
}

my %is_word = map { ($_ => 1) }
  qw(New Active Blocked Deleted Invited InvitationExpired Disabled Enabled Client Vendor Operations
  accounts audit blockedReason currentAccount email firstName icon lastLoginAt lastName name optOuts phone settings status user userId);
my $time = qr/(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z/;
my %shapes;    # of objects
my @documents;

# Keeps a document, if it has an object that is like none before: one with another
# set of properties, or a property of another kind.  To the schema all texts are
# the same.
sub keep_document
{
	my ($document) = @_;
	my $new = 0;

	$document =~ s{"((?:[^"\\]++|\\.)*+)"(:?)}{
		$2 ? qq("$1":) : $1 eq '' || $is_word{$1} ? qq("$1") : $1 =~ /^$time$/ ? '"2025-06-21T17:13:52.888Z"' : '"text"' }ge;
	my $rest = $document =~ s/\{"omitted": (\[.*?\])\}/$1/gr;
	$new += !$shapes{"$1 $2"}++ while $rest =~ s/((?:"\w+": \[?)?)(\{[^{}]*\})(?:, \2)*/$1<>/;
	push @documents, $document if $new;
	return;
}

# The answers of calls for many.
sub check_answers
{
	my ($stdout, $wrong) = @_;
	my $n = 0;

	while ($stdout =~ /^many\|(\d+)\|(.*)$/mg)
	{
		my ($number, $answer) = ($1, $2);
		my $to = $script[ $number - 1 ][1]{status};
		my ($code, $status, $changed, $same, $kind) = split /\|/, $answer;
		push @$wrong, [ $number, $answer ]
		  if $code !~ /^(00000|PT404|PT409|42501|55P03|22004|22023)$/ || $same ne 't'
		  || $changed ne 'f' && $code ne '00000' || ($kind eq 'id' ? $code =~ /^22/ : $code ne $kind)
		  || $status ne '' && $code =~ /^(22|PT404)/ || $to && ($code eq '00000' ? $status ne $to : $code eq 'PT409' && $status eq $to);
		$n++;
	}
	return $n;
}

sub check_documents
{
	my ($stdout, $wrong) = @_;
	my $n = 0;

	while ($stdout =~ /^(\d+)\|(.*)$/mg)
	{
		my ($number, $document) = ($1, $2);
		my $expected = $script[ $number - 1 ][1];
		my ($id) = $document =~ /^\{"id": ("(?:[^"\\]++|\\.)*+"), /;
		# the user's and the accounts' are followed by other properties
		my ($status) = $document =~ /"status": "(\w+)"(?:, "(?:userId|optOuts|blockedReason)": .*)?\}$/;
		push @$wrong, [ $number, $document ]
		  if !defined $id || $expected->{id} && $id ne $expected->{id} || $expected->{status} && $status ne $expected->{status};
		keep_document($document) unless $expected->{own_words};
		$n++;
	}
	return $n;
}

$node->safe_psql('postgres', q{
	CREATE ROLE fuzz_clerk;
	CREATE ROLE fuzz_reader;
	CREATE ROLE fuzz_nobody});

my @encodings = qw(UTF8 SQL_ASCII LATIN1);
for my $encoding (@encodings)
{
	$node->safe_psql('postgres', "CREATE DATABASE fuzz_\L$encoding\E TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql("fuzz_\L$encoding", q{
	CREATE SCHEMA admin;
	CREATE DOMAIN admin.moment AS timestamptz;
	CREATE DOMAIN admin.word AS text COLLATE "C" CHECK (VALUE <> 'no word');
	CREATE DOMAIN admin.nothing AS text CHECK (VALUE IS NULL);
	CREATE TYPE admin.status AS ENUM ('Deleted', 'Blocked', 'Active', 'New');
	CREATE TYPE admin.two AS ENUM ('Blocked', 'Active');
	CREATE FUNCTION admin.keep_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE FUNCTION admin.keep_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := OLD.status; RETURN NEW; END $$;
	CREATE FUNCTION admin.other_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'Deleted'; RETURN NEW; END $$;
	CREATE FUNCTION admin.other_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id || 'ZQ'; RETURN NEW; END $$;
	CREATE FUNCTION admin.no_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NULL; RETURN NEW; END $$;
	CREATE FUNCTION admin.again() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN EXECUTE format('UPDATE %I.contacts SET name = $1 WHERE id = $2 AND name IS DISTINCT FROM $1', TG_ARGV[0]) USING 'ZQ', NEW.id; RETURN NULL; END $$;
	CREATE FUNCTION admin.unblock() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN EXECUTE format('SELECT %I.contact_unblock($1)', TG_ARGV[0]) USING NEW.id::text; RETURN NULL; END $$;
	CREATE FUNCTION admin.recurse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN EXECUTE format('UPDATE %I.contacts SET name = name || 1 WHERE id = $1', TG_ARGV[0]) USING NEW.id; RETURN NULL; END $$;
	-- until it works: others may be in the way
	CREATE PROCEDURE admin.undo(command text) LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				EXECUTE command;
				EXIT;
			EXCEPTION WHEN deadlock_detected OR query_canceled THEN
			END;
		END LOOP;
	END $$;

	CREATE SCHEMA fuzz;
	CREATE EXTENSION contact_block SCHEMA fuzz;
	SET search_path = fuzz;
	SELECT contact_block_setup();
	INSERT INTO accounts SELECT 'ZQA' || i, 'Client', 'Active', 'ZQ', NULL FROM generate_series(1, 4) AS i;
	INSERT INTO categories SELECT 'ZQN' || i, 'ZQ', 'ZQ', NULL FROM generate_series(1, 4) AS i;
	INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, culture_code, current_account_id)
		SELECT 'ZQU' || i, 'ZQ', 'Active', 'ZQ', 'ZQ', 'ZQ', '+1', 'en', 'ZQA1' FROM generate_series(1, 5) AS i;
	INSERT INTO account_users SELECT u.id, a.id FROM users AS u, accounts AS a;
	INSERT INTO contacts (id, email, user_id, status)
		SELECT 'ZQC' || i, 'ZQ@example.org', CASE WHEN i % 3 > 0 THEN 'ZQU' || i % 5 + 1 END, CASE i % 6 WHEN 0 THEN 'New' ELSE 'Active' END
		FROM generate_series(1, 24) AS i;
	INSERT INTO contact_opt_outs SELECT c.id, n.id FROM contacts AS c, categories AS n;

	-- the clerk's privileges are by column, so that one can be revoked
	GRANT USAGE ON SCHEMA fuzz TO fuzz_clerk, fuzz_reader, fuzz_nobody;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA fuzz TO fuzz_clerk, fuzz_reader, fuzz_nobody;
	GRANT SELECT ON ALL TABLES IN SCHEMA fuzz TO fuzz_reader;
	GRANT INSERT, UPDATE (status, blocked_reason, name, blocked_by) ON contacts TO fuzz_clerk;
	SELECT format('GRANT SELECT (%I) ON %s TO fuzz_clerk', attname, attrelid::regclass)
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'fuzz'::regnamespace AND relkind = 'r' AND attnum > 0 \gexec
	});
}

# How a database of texts becomes one of another kind.
my $numbers = q{
	SET search_path = fuzz;
	ALTER TABLE contact_opt_outs DROP CONSTRAINT contact_opt_outs_contact_id_fkey;
	ALTER TABLE contacts ALTER id TYPE bigint USING 98765400000 + substr(id, 4)::bigint;
	ALTER TABLE contact_opt_outs ALTER contact_id TYPE bigint USING 98765400000 + substr(contact_id, 4)::bigint;
	ALTER TABLE contact_opt_outs ADD FOREIGN KEY (contact_id) REFERENCES contacts;
	};
my %make = (
	text => '',
	uuid => q{
	SET search_path = fuzz;
	ALTER TABLE contact_opt_outs DROP CONSTRAINT contact_opt_outs_contact_id_fkey;
	ALTER TABLE contacts ALTER id TYPE uuid USING ('2a2a2a2a-0000-4000-8000-' || lpad(substr(id, 4), 12, '0'))::uuid;
	ALTER TABLE contact_opt_outs ALTER contact_id TYPE uuid USING ('2a2a2a2a-0000-4000-8000-' || lpad(substr(contact_id, 4), 12, '0'))::uuid;
	ALTER TABLE contact_opt_outs ADD FOREIGN KEY (contact_id) REFERENCES contacts},
	number => $numbers . q{
	ALTER TABLE contacts DROP CONSTRAINT contacts_user_id_fkey, DISABLE TRIGGER USER;
	UPDATE contacts SET user_id = 98765410000 + substr(user_id, 4)::bigint;
	ALTER TABLE contacts ENABLE TRIGGER USER;
	ALTER TABLE account_users DROP CONSTRAINT account_users_user_id_fkey, ALTER user_id TYPE bigint USING 98765410000 + substr(user_id, 4)::bigint;
	ALTER TABLE users ALTER id TYPE bigint USING 98765410000 + substr(id, 4)::bigint;
	ALTER TABLE account_users ADD FOREIGN KEY (user_id) REFERENCES users},
	view => $numbers . q{
	ALTER TABLE contacts RENAME TO people;
	DROP TRIGGER zzz_contact_audit ON people;
	ALTER TABLE people DROP CONSTRAINT contacts_status_check, ALTER status SET DEFAULT 'active';
	UPDATE people SET status = lower(status);
	ALTER TABLE people RENAME id TO person_id;
	ALTER TABLE people RENAME email TO mail;
	ALTER TABLE people RENAME status TO state;
	ALTER TABLE people RENAME blocked_reason TO why;
	ALTER TABLE people RENAME created_by TO made_by;
	ALTER TABLE people RENAME blocked_at TO suspended_at;
	CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION contact_audit('id=person_id', 'status=state',
		'blocked_reason=why', 'created_by=made_by', 'blocked_at=suspended_at', 'New=new', 'Active=active', 'Blocked=blocked', 'Deleted=deleted');
	CREATE VIEW contacts AS SELECT person_id AS id, mail AS email, name, state AS status, why AS blocked_reason, user_id, created_at,
		made_by AS created_by, updated_at, updated_by, activated_at, activated_by, suspended_at AS blocked_at, blocked_by, deleted_at, deleted_by
		FROM people;
	GRANT SELECT ON contacts TO fuzz_reader;
	GRANT INSERT, UPDATE (status, blocked_reason, name, blocked_by) ON contacts TO fuzz_clerk;
	SELECT format('GRANT SELECT (%I) ON contacts TO fuzz_clerk', attname) FROM pg_attribute
	WHERE attrelid = 'contacts'::regclass AND attnum > 0 \gexec
	});
my @kinds = sort keys %make;

# What no contact may have at the end, whoever did what to it: stamps that are not
# those of its status, half of a stamp, or one that a statement has forged.
my $disagree = q{
	SELECT c FROM (SELECT *, initcap(status::text) AS word FROM fuzz.contacts) AS c,
		LATERAL (SELECT CASE word WHEN 'Active' THEN activated_at WHEN 'Blocked' THEN blocked_at WHEN 'Deleted' THEN deleted_at END,
			CASE word WHEN 'Active' THEN activated_by WHEN 'Blocked' THEN blocked_by WHEN 'Deleted' THEN deleted_by END) AS s (at, by)
	WHERE (CASE word WHEN 'New' THEN coalesce(activated_at, blocked_at, deleted_at) IS NULL
			ELSE s.at >= greatest(created_at, activated_at, blocked_at, deleted_at) AND s.at <= coalesce(updated_at, created_at)
				AND (s.at = updated_at AND s.by = updated_by OR s.at = created_at AND s.by = created_by OR s.at < updated_at) END
		AND (deleted_at IS NOT NULL) = (word = 'Deleted')
		AND (blocked_reason IS NULL OR blocked_reason <> '' AND word IN ('Blocked', 'Deleted'))
		AND created_at IS NOT NULL AND (created_at = s.at OR word = 'New' OR updated_at IS NOT NULL)
		AND (created_at IS NULL, updated_at IS NULL, activated_at IS NULL, blocked_at IS NULL, deleted_at IS NULL)
			= (created_by IS NULL, updated_by IS NULL, activated_by IS NULL, blocked_by IS NULL, deleted_by IS NULL)
		AND 'FORGED' NOT IN (created_by, coalesce(updated_by, ''), coalesce(activated_by, ''), coalesce(blocked_by, ''), coalesce(deleted_by, ''))
		AND least(created_at, updated_at, activated_at, blocked_at, deleted_at) >= current_date - 1
		AND (id::text = '' OR EXISTS (SELECT FROM fuzz.contact_document(id::text) AS d
			WHERE d ->> 'status' = word AND d #>> '{audit,created,by,id}' = created_by
				AND d #>> '{audit,updated,by,id}' IS NOT DISTINCT FROM updated_by AND d #>> '{audit,activated,by,id}' IS NOT DISTINCT FROM activated_by
				AND d #>> '{audit,blocked,by,id}' IS NOT DISTINCT FROM blocked_by AND d #>> '{audit,deleted,by,id}' IS NOT DISTINCT FROM deleted_by))) IS NOT TRUE};

note("seed $seed: $batches batches, $sessions sessions of $calls calls each");
my ($done, $ndocuments, $nanswers, %seen) = (0, 0, 0);

for my $batch (1 .. $batches)
{
	my $encoding = $encodings[ $batch % @encodings ];
	choose_kind($kinds[ $batch % @kinds ]);
	make_copy_files();
	my (@scripts, @processes, @wrong);
	my $gave_up = 0;

	$node->safe_psql('postgres', "CREATE DATABASE batch TEMPLATE fuzz_\L$encoding");
	$node->safe_psql('batch', $make{$kind});
	for my $session (1 .. $sessions)
	{
		my $text = make_script($batch, $session);
		open my $file, '>:raw', "$dir/script-$session" or die $!;
		print $file $text;
		close $file;
		$scripts[$session] = [@script];
		$done += $ncalls;
	}
	for my $session (1 .. $sessions)
	{
		$processes[$session] = IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('batch'), '-f', "$dir/script-$session" ],
			'>', "$dir/out-$session", '2>', "$dir/err-$session");
	}
	for my $session (1 .. $sessions)
	{
		my @bad;
		IPC::Run::finish($processes[$session]);
		$gave_up = $processes[$session]->full_result(0) != 0 || $gave_up;
		@script = @{ $scripts[$session] };
		check_errors("$dir/script-$session", slurp_file("$dir/err-$session"), \@bad, \%seen);
		$ndocuments += check_documents(slurp_file("$dir/out-$session"), \@bad);
		$nanswers += check_answers(slurp_file("$dir/out-$session"), \@bad);
		push @wrong, map {
			my ($number, $what) = @$_;
			my $first = $number > 6 ? $number - 6 : 1;
			join '', (map { substr("  $_: $script[ $_ - 1 ][2]", 0, 500) . "\n" } $first .. $number),
			  substr("session $session, line $number: $what", 0, 2000) . "\n"
		} @bad;
	}
	push @wrong, $gave_up ? 'psql gave up' : split /\n/, $node->safe_psql('batch', $disagree);
	# the first few tell enough
	is(join("\n", splice @wrong, 0, 10), '', "seed $seed, batch $batch ($encoding, $kind): nothing unheard of");
	last if $gave_up;
	$node->safe_psql('postgres', 'DROP DATABASE batch');
}

is(join('', slurp_file($node->logfile) =~ /^.*(?:TRAP:|PANIC:|was terminated by signal).*\n(?:.*DETAIL: .*\n)?(?:\t.*\n)*/mg), '', 'no crash');

# As what is asked for is right most of the time, so are many of the answers.
cmp_ok($ndocuments, '>', $done / 4, 'many documents');
cmp_ok($nanswers, '>', $done / 4, 'many answers for many');
SKIP:
{
	skip 'under the sanitizers there are too few calls for every error', 1 if $ENV{SANITIZE};
	is(join("\n", map { "$errors[$_][0] $errors[$_][1]" } grep { !$seen{$_} } 0 .. $last_own_error), '', 'and every error of our own');
}
note(map { ($seen{$_} // 0) . " $errors[$_][0] $errors[$_][1]\n" } 0 .. $#errors);
note("$done calls, $ndocuments documents, $nanswers answers");

SKIP:
{
	skip 'a JSON Schema validator is not installed (Debian: python3-jsonschema)', 2
	  if system("python3 -c 'from jsonschema import Draft202012Validator' 2>/dev/null") != 0;
	# the fullest one first
	append_to_file("$dir/documents", join("\n", sort { length $b <=> length $a } @documents) . "\n");
	run_log([ 'python3', "$FindBin::RealBin/validate.py", "$FindBin::RealBin/../../doc/contact.schema.json", "$dir/documents" ],
		'>', \my $stdout, '2>', \my $stderr);
	# not every property has to be there or missing somewhere
	is(join("\n", grep { /^not valid/ } split /\n/, $stdout), '', 'the documents are valid');
	is($stderr =~ s/,.*\n//r, @documents . ' documents', 'all of them');
}

done_testing();
