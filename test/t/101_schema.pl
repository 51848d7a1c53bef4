# doc/contact.schema.json describes the document: real documents of every
# shape are valid, and none of them stays valid when something is added to it,
# taken away or of another type.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Gateway qw(find_program set_up_database slurp spew);

my $python = find_program('python3');
plan skip_all => 'python3 is not installed (Debian: python3)' unless $python;
system("$python -c 'from jsonschema import Draft202012Validator' 2>/dev/null") == 0
  or plan skip_all =>
  'a JSON Schema validator is not installed (Debian: python3-jsonschema)';

my $node = PostgreSQL::Test::Cluster->new('schema');
$node->init;
$node->start;
set_up_database($node);

$node->safe_psql('postgres', <<'END');
SET search_path = notifications;

INSERT INTO accounts (id, type, status, name, icon) VALUES
    ('ACC-1', 'Client', 'Active', 'One', '/one.png'),
    ('ACC-2', 'Vendor', 'Enabled', 'Two', NULL),
    ('ACC-3', 'Operations', 'Disabled', '', '');
INSERT INTO categories (id, name, short_description, icon) VALUES
    ('CAT-1', 'Billing', 'Invoices', '/billing.png'),
    ('CAT-2', NULL, '', NULL);

-- users: nothing set; everything set; half a phone and half the settings; every status
INSERT INTO users (id, email, status, name, first_name, last_name)
    VALUES ('USR-bare', 'a@example.com', 'Active', '', '', '');
INSERT INTO users VALUES
    ('USR-full', 'b@example.com', 'Active', 'B B', 'B', 'B', '/b.png', '+44', '123',
     'en-GB', 'en', '2025-06-21 17:13:52.8889+00', 'ACC-1', '2025-01-01', 'USR-bare',
     '2025-01-02', 'TKN-1', '2025-01-03'),
    ('USR-half', 'c@example.com', 'Active', 'C', 'C', 'C', NULL, NULL, '123',
     NULL, 'en', 'infinity', NULL, '-infinity', NULL,
     '0001-01-01 BC', 'USR-full', '10000-01-01');
INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, culture_code)
SELECT 'USR-' || status, 'd@example.com', status, '"', E'\n', E'\U0001F600', '+1', 'de'
FROM unnest('{New,Invited,InvitationExpired,Active,Blocked,Disabled,Deleted}'::text[]) status;
INSERT INTO account_users
    VALUES ('USR-full', 'ACC-1'), ('USR-full', 'ACC-2'), ('USR-half', 'ACC-3');

-- contacts: of no user and of each, made by a user, a token and a role
SET contact_block.actor = 'USR-full';
INSERT INTO contacts (id, email, user_id) SELECT 'CTT-' || id, 'e@example.com', id FROM users;
INSERT INTO contact_opt_outs (contact_id, category_id, last_used)
    VALUES ('CTT-USR-full', 'CAT-1', '2025-01-01'), ('CTT-USR-full', 'CAT-2', NULL);
SET contact_block.actor = 'TKN-1';
INSERT INTO contacts (id, email, name, status)
    SELECT 'CTT-' || status, 'f@example.com', 'F', status
    FROM unnest('{New,Active,Blocked,Deleted}'::text[]) status;
RESET contact_block.actor;
INSERT INTO contacts (id, email) VALUES (E'CTT-"\\\n\U0001F600', '');
UPDATE contacts SET name = 'G' WHERE id = 'CTT-USR-bare';
SELECT contact_block('CTT-USR-full', 'Fraud');

-- history that is loaded may lack what the trigger would have stamped
SET session_replication_role = replica;
INSERT INTO contacts (id, email, created_at, updated_at, activated_at, blocked_at, deleted_at)
    VALUES ('CTT-history', 'h@example.com', '-infinity', '12000-01-01', 'infinity',
            '9999-12-31 23:59:59.9999+00', '0001-01-01 BC');
END

# All documents, one a line, the fullest one first.
my $select = q{SET ROLE contact_operator;
SELECT api.contact_document(id) FROM notifications.contacts ORDER BY id <> 'CTT-USR-full', id;
RESET ROLE;
};
my $documents = $node->safe_psql('postgres', $select) . "\n";
is(($documents =~ tr/\n//), 16, 'documents of all contacts');

# The same without the right to one column each, and without any but the two
# that are needed.
my @columns = split /\n/, $node->safe_psql('postgres', <<'END');
SELECT format('(%I) ON notifications.%I', attname, relname)
FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
WHERE relnamespace = 'notifications'::regnamespace AND relkind = 'r' AND attnum > 0
  AND (relname, attname) NOT IN (('contacts', 'id'), ('contacts', 'status'));
END
$documents .= $node->safe_psql(
	'postgres',
	join('',
		map {
			"REVOKE SELECT $_ FROM contact_operator;\n$select"
			  . "GRANT SELECT $_ TO contact_operator;\n"
		} @columns)) . "\n";
$documents .= $node->safe_psql(
	'postgres',
	join('', map { "REVOKE SELECT $_ FROM contact_operator;\n" } @columns)
	  . $select) . "\n";
is(($documents =~ tr/\n//), 16 * (@columns + 2), 'and with columns that are hidden');

my $file = PostgreSQL::Test::Utils::tempdir() . '/documents';
spew($file, $documents);
my ($stdout, $stderr);
my $result = IPC::Run::run(
	[
		$python, "$FindBin::RealBin/validate.py",
		"$Gateway::SOURCE/doc/contact.schema.json", $file
	],
	'>' => \$stdout,
	'2>' => \$stderr);
ok($result, 'the validator is content');
is($stdout, '', 'and finds nothing wrong');
like($stderr, qr/^\d+ documents, \d+ spoilt ones\n$/, 'after looking at them');
note($stderr);

done_testing();
