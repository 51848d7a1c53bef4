# The diagrams in the documents are so: of the statuses each arrow, and no other,
# is a way that a contact can go; the relations, their columns and references are
# those that set-up makes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Document qw(diagram);

my $node = PostgreSQL::Test::Cluster->new('diagrams');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE SCHEMA crm;
	CREATE EXTENSION contact_block SCHEMA crm;
	SELECT crm.contact_block_setup()});

# What a query returns, as lines in the order of their bytes.
sub sorted
{
	my ($query) = @_;
	return join "\n", sort split /\n/, $node->safe_psql('postgres', $query);
}

# Every status by every way: each function of one contact, and plain SQL to each
# status.
$node->safe_psql('postgres', q{
	CREATE FUNCTION arrows() RETURNS SETOF text LANGUAGE plpgsql SET search_path = crm AS $$
	DECLARE
		statuses text[] := (SELECT (regexp_match(pg_get_constraintdef(oid), '{.*}'))[1]
			FROM pg_constraint WHERE conname = 'contacts_status_check');
		functions text[] := ARRAY(SELECT proname FROM pg_proc
			WHERE pronamespace = 'crm'::regnamespace AND prorettype = 'jsonb'::regtype AND pronargs = 1);
		start text;
		other text;
		way text;
		leaves boolean;
	BEGIN
		FOREACH start IN ARRAY statuses LOOP
			leaves := false;
			FOREACH way IN ARRAY functions || 'INSERT'::text || 'UPDATE'::text LOOP
				FOREACH other IN ARRAY array_remove(statuses, start) LOOP
					DELETE FROM contacts;
					INSERT INTO contacts (id, email, status) VALUES ('x', 'x', start);
					BEGIN
						IF way = 'UPDATE' THEN
							UPDATE contacts SET status = other;
						ELSIF way <> 'INSERT' THEN
							EXECUTE format('SELECT %I($1)', way) USING 'x';
						END IF;
					EXCEPTION WHEN SQLSTATE 'PT409' THEN
						CONTINUE;
					END;
					IF EXISTS (SELECT FROM contacts WHERE status = other) THEN
						leaves := true;
						RETURN NEXT format('%s --> %s: %s', start, other, way);
					END IF;
				END LOOP;
			END LOOP;
			RETURN NEXT format('[*] --> %s: INSERT', start);
			IF NOT leaves THEN
				RETURN NEXT format('%s --> [*]', start);
			END IF;
		END LOOP;
	END $$});
my @arrows;
for (diagram('stateDiagram-v2'))
{
	my ($arrow, $ways) = /^(.*? --> .*?)(?:: (.*))?$/ or die "no arrow: $_";
	push @arrows, defined $ways ? map { "$arrow: $_" } split /, /, $ways : $arrow;
}
is(join("\n", sort @arrows), sorted('SELECT arrows()'), 'the statuses and their ways');

my @entities = diagram('erDiagram');
my @references = grep { /--/ } @entities;
is(join("\n", sort @references), sorted(q[
		SELECT format('%s %s--o{ %s : %s', f.relname, CASE WHEN attnotnull THEN '||' ELSE '|o' END, t.relname, attname)
		FROM pg_constraint JOIN pg_class AS t ON t.oid = conrelid JOIN pg_class AS f ON f.oid = confrelid
			JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
		WHERE contype = 'f']),
	'the references');

my ($relation, @columns);
for (grep { !/--/ } @entities)
{
	if (/^(\w+) \{$/) { $relation = $1 }
	elsif ($_ ne '}') { push @columns, "$relation: $_" }
}
is(join("\n", sort @columns), sorted(q{
		SELECT relname || ': ' || concat_ws(' ', typname, attname,
			(SELECT string_agg(upper(contype::text) || 'K', ', ' ORDER BY contype DESC) FROM pg_constraint
				WHERE conrelid = attrelid AND attnum = ANY (conkey) AND contype IN ('p', 'f')),
			CASE WHEN attnotnull AND NOT EXISTS (SELECT FROM pg_constraint
				WHERE conrelid = attrelid AND attnum = ANY (conkey) AND contype = 'p') THEN '"not null"' END)
		FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_type ON pg_type.oid = atttypid
		WHERE relnamespace = 'crm'::regnamespace AND relkind = 'r' AND attnum > 0}),
	'the relations and their columns');

done_testing();
