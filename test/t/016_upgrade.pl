# The library of this version with an extension of an older one: its functions
# work as they are, ALTER EXTENSION UPDATE ends in the catalog that a fresh
# installation has, and they still do.  Also where a superuser updates what an
# ordinary role has installed; and by the steps of doc/operate.md.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(block);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $owner = 'Data-Base Owner';    # a name that needs quoting
my $dir = PostgreSQL::Test::Utils::tempdir;
my $current = $node->safe_psql('postgres',
	q{SELECT default_version FROM pg_available_extensions WHERE name = 'contact_block'});
my @older = split /\n/, $node->safe_psql('postgres', qq{
	SELECT version FROM pg_available_extension_versions WHERE name = 'contact_block' AND version <> '$current' ORDER BY 1});
note("from @older to $current");
ok((grep { $_ eq '1.0' } @older), '1.0 can be installed by its name');

# Runs statements as the login given, each whatever the one before did.  Returns
# what they returned and their SQLSTATEs; times are replaced.
sub run
{
	my ($database, $login, $sql) = @_;
	my (undef, $stdout, $stderr) = $node->psql($database, qq{
		\\set VERBOSITY sqlstate
		SET search_path = crm;
		SET contact_block.actor = 'u';
		$sql}, on_error_stop => 0, extra_params => [ '-U', $login ]);
	return "$stdout\n$stderr" =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(?:Z|\+00)/TIME/gr
	  =~ s/^psql:\S*: //mgr;
}

# Calls everything, once for each status and error, and leaves no row.
sub calls
{
	my ($database, $login) = @_;
	return run($database, $login, q{
		SELECT contact_block_setup();
		INSERT INTO accounts VALUES ('a', 'Client', 'Active', 'Account', NULL);
		INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, current_account_id)
		VALUES ('u', 'u@example.org', 'Active', 'User', 'User', 'User', '+1', 'a');
		INSERT INTO account_users VALUES ('u', 'a');
		INSERT INTO categories VALUES ('n', 'News', 'What is new', NULL);
		INSERT INTO contacts (id, email, user_id, status) SELECT s, s || '@example.org', 'u', s
		FROM unnest('{New,Active,Blocked,Deleted}'::text[]) AS s;
		INSERT INTO contact_opt_outs SELECT id, 'n', '2025-06-21 17:13:52.888Z' FROM contacts;
		SELECT contact_document(id) FROM contacts ORDER BY id COLLATE "C";
		SELECT contact_block('New');
		SELECT contact_block('Active');
		SELECT contact_block('Active', 'spam');
		SELECT contact_block('Blocked', 'ham');
		SELECT contact_block('Deleted', 'spam');
		SELECT contact_block(NULL);
		SELECT contact_block('', 'spam');
		SELECT contact_block('nobody');
		SELECT contact_unblock('Active');
		SELECT contact_unblock('Active');
		SELECT contact_unblock('Deleted');
		SELECT contact_delete('Blocked');
		SELECT contact_delete('Blocked');
		SELECT contact_delete('New');
		SELECT contact_document('nobody');
		SELECT contact_audit();
		UPDATE contacts SET status = 'Active', created_by = 'forged' WHERE id = 'Deleted';
		UPDATE contacts SET name = 'Name', created_by = 'forged' WHERE id = 'Active';
		SELECT contact_document('Active');
		SELECT c FROM contacts AS c ORDER BY id COLLATE "C";
		SELECT bool_and(updated_at = date_trunc('milliseconds', updated_at)) FROM contacts;
		SELECT contact_block_setup();
		DELETE FROM contact_opt_outs;
		DELETE FROM contacts;
		DELETE FROM account_users;
		DELETE FROM users;
		DELETE FROM accounts;
		DELETE FROM categories});
}

# Everything that the catalog says of the extension and what belongs to it: each
# column that is no OID, comments and dependencies.
sub catalog
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT to_jsonb(e) - 'oid' || jsonb_build_object('extowner', extowner::regrole, 'extnamespace', extnamespace::regnamespace,
			'comment', obj_description(oid, 'pg_extension'))
		FROM pg_extension AS e WHERE extname = 'contact_block';
		SELECT to_jsonb(p) - 'oid' || jsonb_build_object('proowner', proowner::regrole, 'pronamespace', pronamespace::regnamespace,
			'comment', obj_description(p.oid, 'pg_proc'), 'initprivs', initprivs,
			-- the tree also says where it stood in the script
			'proargdefaults', pg_get_expr(proargdefaults, 0))
		FROM pg_proc AS p LEFT JOIN pg_init_privs AS i ON i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass
		WHERE proname LIKE 'contact%' ORDER BY p.oid::regprocedure::text COLLATE "C";
		SELECT concat_ws(' ', pg_describe_object(classid, objid, objsubid), deptype,
				pg_describe_object(refclassid, refobjid, refobjsubid)) COLLATE "C" AS dependency
		FROM pg_depend WHERE (SELECT oid FROM pg_extension WHERE extname = 'contact_block') IN (objid, refobjid)
			OR objid IN (SELECT oid FROM pg_proc WHERE proname LIKE 'contact%')
		ORDER BY dependency});
}

# The same in pg_dump's words, which leaves out what belongs to an extension:
# of a copy of the database where it does so no longer.
sub dump_of
{
	my ($database) = @_;
	my $copy = "copy of $database";
	$node->safe_psql('postgres', qq{CREATE DATABASE "$copy" TEMPLATE "$database"});
	$node->safe_psql($copy, q{
		SELECT format('ALTER EXTENSION contact_block DROP %s', pg_describe_object(classid, objid, 0)) FROM pg_depend
		WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'contact_block') AND deptype = 'e'
		\gexec});
	my ($stdout, $stderr) = run_command([ 'pg_dump', '--schema-only', '-d', $node->connstr($copy) ]);
	return $stdout =~ s/^\\(?:un)?restrict .*\n//mgr;
}

sub create_database
{
	my ($database, $login, $version) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database" OWNER "$login"});
	$node->safe_psql($database, "CREATE SCHEMA crm; CREATE EXTENSION contact_block SCHEMA crm VERSION '$version'",
		extra_params => [ '-U', $login ]);
}

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', qq{CREATE ROLE "$owner" LOGIN; CREATE ROLE clerk LOGIN});

foreach my $login ($superuser, $owner)
{
	create_database("fresh of $login", $login, $current);
	my $calls = calls("fresh of $login", $login);
	like($calls, qr/"status": "Blocked".*"reason": |"blockedReason": "ham"/s, 'the calls do something');

	foreach my $version (@older)
	{
		my $database = "$version of $login";
		create_database($database, $login, $version);
		is(calls($database, $login), $calls, "$database: its functions work with the library of $current");
		is(run($database, $login, 'SELECT contact_block_setup()'), run("fresh of $login", $login, 'SELECT contact_block_setup()'),
			"$database: so does set-up, once more");
		$node->safe_psql($_, q{
			GRANT EXECUTE ON FUNCTION crm.contact_block(text) TO clerk;
			GRANT USAGE ON SCHEMA crm TO clerk;
			GRANT SELECT ON ALL TABLES IN SCHEMA crm TO clerk;
			GRANT UPDATE (status, blocked_reason) ON crm.contacts TO clerk},
			extra_params => [ '-U', $login ]) foreach $database, $version eq $older[0] ? "fresh of $login" : ();

		# a session that has called before, goes on through it, and calls afterwards
		is(run($database, $superuser, q{
				INSERT INTO contacts (id, email) VALUES ('warm', 'warm@example.org');
				SELECT contact_block('warm') ->> 'status';
				ALTER EXTENSION contact_block UPDATE;
				SELECT contact_unblock('warm') ->> 'status';
				DELETE FROM contacts;
				SELECT extversion FROM pg_extension WHERE extname = 'contact_block'}),
			"Blocked\nActive\n$current\n", "$database: updated by $superuser");
		is(calls($database, $login), $calls, "$database: everything works as in a fresh $current");
		is(catalog($database), catalog("fresh of $login"), "$database: the catalog is that of a fresh $current");
		is(dump_of($database), dump_of("fresh of $login"), "$database: so is its dump");
		is( $node->safe_psql($database, q{
				SELECT DISTINCT f.proowner::regrole FROM pg_proc AS f, pg_proc AS b
				WHERE f.proname LIKE 'contact%' AND b.oid = 'crm.contact_block(text)'::regprocedure}),
			$login eq $owner ? qq{"$owner"} : $login, "$database: all functions belong to who installed it");
		$node->safe_psql('postgres', qq{DROP DATABASE "copy of $_"}) foreach $database, "fresh of $login";
	}
}

# the role that has installed it updates it, too
create_database('own update', $owner, $older[0]);
$node->safe_psql('own update', 'ALTER EXTENSION contact_block UPDATE', extra_params => [ '-U', $owner ]);
is(calls('own update', $owner), calls("fresh of $owner", $owner), 'updated by its owner: everything works');
$node->safe_psql("fresh of $owner", 'REVOKE ALL ON FUNCTION crm.contact_block(text) FROM clerk', extra_params => [ '-U', $owner ]);
is(catalog('own update') =~ s/, \w+=X[^"]*//gr, catalog("fresh of $owner") =~ s/, \w+=X[^"]*//gr,
	'updated by its owner: the catalog is the same');
is($node->safe_psql('own update', q{SELECT count(*) FROM pg_proc WHERE proname LIKE 'contact%' AND proowner <> 10}),
	$node->safe_psql("fresh of $owner", q{SELECT count(*) FROM pg_proc WHERE proname LIKE 'contact%'}),
	'updated by its owner: nothing is the superuser\'s');

# The steps of doc/operate.md, from 1.0 with the new library on.
create_database('mydb', $owner, '1.0');
my $update = "UPDATE contacts SET status = 'Active' WHERE id = '1' RETURNING status;";
my $set_again = "SELECT contact_block('1') ->> 'status';";
my %step = map { $_ => block('doc/operate.md', $_) } 'plain SQL may still lift a block',
  'sessions that began before the installation', 'the functions of 1.1', 'what 1.1 finds in the tables',
  'every event from now on', 'a block is lifted by contact_unblock() only';
my $begun = q{SELECT set_config('test.installed', clock_timestamp()::text, false) AS installed \gset} . "\n";
my $mydb = $node->connstr('mydb');

run('mydb', $owner, q{SELECT contact_block_setup(); INSERT INTO contacts (id, email) VALUES ('1', '1@example.org')});
like(run('mydb', $owner, "$set_again $update"), qr/^Blocked\n+ERROR:  PT409$/, 'with the new library no plain SQL lifts a block');
like(run('mydb', $owner, $step{'plain SQL may still lift a block'}), qr/ERROR:  42501/, 'unless a superuser says so: not the owner');
$node->safe_psql('mydb', $step{'plain SQL may still lift a block'});
is(run('mydb', $owner, $update), "Active\n", 'then it does as in 1.0');

# a session that stays open over all of it, which other sessions do
append_to_file("$dir/update.sql", "SET search_path = crm;\n" . join '', @step{'the functions of 1.1',
	'what 1.1 finds in the tables', 'every event from now on'});
is( run('mydb', $owner, qq{
		$set_again
		\\! psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$mydb" -U "$owner" -f "$dir/update.sql"
		$update
		SELECT id, code FROM contacts_block('{1}', 'again');
		SELECT contact_unblock('1') ->> 'status';
		SELECT status, reason FROM contact_events ORDER BY txid, seq;}),
	"Blocked\n\n\nActive\n1|00000\nActive\nActive|\nBlocked|again\nActive|\n", 'a session goes on through the update, set-up and history');
is(run('mydb', $owner, "$set_again $update"), "Blocked\nActive\n", 'after the update the setting still counts');
like(run('mydb', $superuser, "$begun$step{'sessions that began before the installation'}"), qr/^\d+\|$superuser\|/,
	'a session that began before is found');
$node->safe_psql('mydb', $step{"a block is lifted by contact_unblock() only"});
like(run('mydb', $owner, "$set_again $update"), qr/^Blocked\n+ERROR:  PT409$/, 'until it is reset');
is(catalog('mydb') =~ s/, \w+=X[^"]*//gr, catalog("fresh of $owner") =~ s/, \w+=X[^"]*//gr, 'the catalog is that of a fresh installation');

done_testing();
