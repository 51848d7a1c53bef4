# A logical subscriber that is set up keeps the audit values of the publisher to
# the microsecond.  A physical standby gives the same documents, and refuses to
# change a contact with 25006.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $contacts = 'SELECT to_jsonb(c), contact_document(id) FROM contacts AS c ORDER BY id';

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION contact_block;
	SELECT contact_block_setup();
	INSERT INTO users (id, email, status, name, first_name, last_name)
	VALUES ('u', 'u@example.org', 'Active', 'User', 'User', 'User');
	INSERT INTO contacts (id, email, user_id)
	SELECT i, i || '@example.org', 'u' FROM generate_series(1, 50) AS i;
	SET contact_block.actor = 'u';
	SELECT contact_block(id, 'because') FROM contacts WHERE id::int % 2 = 0;
	SET session_replication_role = replica;
	UPDATE contacts SET blocked_at = blocked_at + interval '1 microsecond' WHERE id LIKE '%4'});

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION contact_block; SELECT contact_block_setup()');

# what is there is copied
$primary->safe_psql('postgres', 'CREATE PUBLICATION contacts FOR ALL TABLES');
my $connection = $primary->connstr('postgres');
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION contacts CONNECTION \$\$$connection\$\$ PUBLICATION contacts");
$subscriber->poll_query_until('postgres',
	q{SELECT count(*) = 6 AND bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel})
  or die 'timed out while the tables were copied';
is($subscriber->safe_psql('postgres', $contacts), $primary->safe_psql('postgres', $contacts),
	'copied contacts keep their audit values');

# and what happens is applied
$primary->safe_psql('postgres', q{
	SET contact_block.actor = 'somebody';
	SELECT contact_block(id) FROM contacts WHERE id::int % 5 = 1;
	SELECT contact_unblock(id) FROM contacts WHERE id::int % 5 = 2;
	SELECT contact_delete(id) FROM contacts WHERE id::int % 5 = 3;
	SELECT contact_block(id, 'again') FROM contacts WHERE status = 'Blocked' AND id::int % 5 = 4;
	UPDATE contacts SET name = 'Name' WHERE id::int % 5 = 0;
	INSERT INTO contacts (id, email, status) VALUES ('new', 'new@example.org', 'New')});
$primary->wait_for_catchup('contacts');
my $expected = $primary->safe_psql('postgres', $contacts);
is($primary->safe_psql('postgres', q{
		SELECT string_agg(DISTINCT status, ',' ORDER BY status),
			bool_or(blocked_at <> date_trunc('milliseconds', blocked_at))
		FROM contacts}),
	'Active,Blocked,Deleted,New|t', 'there are contacts in every status, older ones with microseconds');
is($subscriber->safe_psql('postgres', $contacts), $expected, 'applied changes keep their audit values');
is($subscriber->safe_psql('postgres', q{
		SET contact_block.actor = 'u';
		UPDATE contacts SET status = 'Active' WHERE id = 'new' RETURNING activated_by, updated_by}),
	'u|u', 'what happens on the subscriber itself is stamped there');

# the standby
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $contacts), $expected, 'the standby has the same documents');
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'and is one');
for my $call (q{contact_block('25')}, q{contact_block('25', 'because')},
	q{contact_unblock('6')}, q{contact_delete('25')})
{
	my ($rc, $stdout, $stderr) =
	  $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call");
	like($stderr, qr/ERROR:\s+25006/, "$call on the standby is 25006");
}

done_testing();
