# What the tests of users' own programs share: a server with a program's own
# table of contacts, a run of the program, and what all programs have to see.
#
# A program in test/orm is called with "create", as a superuser, to make its
# table, and with "run CLERK GUARD", as the role app, for everything else: CLERK
# is who works with the program, GUARD who blocks contacts in another session.
# It prints a line of JSON for each thing that it has seen: {"NAME": {...}}.

package Orm;

use strict;
use warnings;

use Exporter qw(import);
use File::Spec;
use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(
  $PROGRAMS start_server grant_rights run_program expected misfit check has_modules
);

our $PROGRAMS = File::Spec->rel2abs("$FindBin::RealBin/../orm");

# How long a program may take before the test counts as stuck.
my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default || 180;

# A server whose database postgres has the extension in the schema crm, and a
# role app.
sub start_server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE ROLE app LOGIN;
		CREATE SCHEMA crm;
		CREATE EXTENSION contact_block SCHEMA crm});
	return $node;
}

# What doc/security.md grants to whoever may block, and the program's table; the
# users that the tests act as.
sub grant_rights
{
	my ($node, $clerk, $guard, $grants) = @_;
	$node->safe_psql('postgres', qq{
		GRANT USAGE ON SCHEMA crm TO app;
		GRANT EXECUTE ON FUNCTION crm.contact_block(text), crm.contact_block(text, text),
			crm.contact_unblock(text), crm.contact_delete(text), crm.contact_document(text) TO app;
		GRANT SELECT ON crm.contacts, crm.contact_opt_outs, crm.categories,
			crm.users, crm.accounts, crm.account_users TO app;
		GRANT UPDATE (status, blocked_reason) ON crm.contacts TO app;
		$grants;
		INSERT INTO crm.users (id, email, status, name, first_name, last_name)
			VALUES ('$clerk', 'clara\@example.org', 'Active', 'Clara', 'Clara', 'Clerk'),
			('$guard', 'gus\@example.org', 'Active', 'Gus', 'Gus', 'Guard')});
	return;
}

# Runs a program as the login given, undef for the superuser. Returns what it
# has seen, by name.
sub run_program
{
	my ($node, $login, @command) = @_;
	my ($stdout, $stderr, %seen) = ('', '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	local $ENV{PGUSER} = $login // $node->safe_psql('postgres', 'SELECT current_user');

	my $ended = eval {
		IPC::Run::run(\@command, '<', \'', '>', \$stdout, '2>', \$stderr, IPC::Run::timeout($TIMEOUT));
	};
	ok($ended, 'the program runs to its end: ' . join ' ', map { s{.*/}{}r } @command)
	  or diag($@ . $stderr);
	foreach my $line (grep { /^\{/ } split /\n/, $stdout)
	{
		%seen = (%seen, %{ decode_json($line) });
	}
	return \%seen;
}

my $MESSAGE = q(the contact's status does not allow this);
my $UNBLOCK_HINT = 'Call contact_unblock(), or set contact_block.plain_unblock to keep, '
  . 'which leaves the contact Blocked, or allow.';
my $DELETE_DETAIL =
  'The statement sets when the contact was deleted, or clears it, but leaves its status as it is.';
my $DELETE_HINT =
  'Set the status: when it was deleted follows from that. contact_delete() does it.';

# What a program has to see, but for what is special about it.
#   class        what its driver or ORM calls an error with a SQLSTATE of ours
#   active, blocked, deleted      what its table calls the statuses
#   clerk, guard                  who acts
#   created_is_updated    is its updated_at NOT NULL?
#   unknown      ids that are none; the program tries the same
#   nobody       who is recorded where nobody is set: the login, or an error
sub expected
{
	my (%program) = @_;
	my ($active, $blocked, $deleted, $class, $clerk, $guard) =
	  @program{qw(active blocked deleted class clerk guard)};
	my $error = sub {
		my ($sqlstate, $message, $detail, $hint) = @_;
		return {
			class => $class,
			sqlstate => $sqlstate,
			message => $message,
			detail => $detail,
			hint => $hint
		};
	};
	my $conflict = sub { return $error->('PT409', $MESSAGE, @_) };
	my $unknown = sub { return $error->('PT404', 'contact not found', qq(There is no contact "$_[0]".), undef) };

	return {
		create => {
			status => $active,
			email => 'ada@example.org',
			created_by => $clerk,
			activated_by => $clerk,
			document => 'Active',
			by => 'Clara'
		},
		# the whole object, as it was before somebody else blocked the contact
		stale_save => {
			error => $conflict->('Contact "ID" is Blocked and cannot become Active.', $UNBLOCK_HINT),
			status => $blocked,
			reason => 'fraud',
			name => 'Ada'
		},
		keep_save => {
			status => $blocked,
			reason => 'fraud',
			name => 'Ada, kept',
			updated_by => $clerk,
			blocked_by => $guard
		},
		allow_save => { status => $active, reason => undef, name => 'Ada, allowed', activated_by => $clerk },
		# 1,000 contacts, ten of them Blocked
		import_error => { sqlstate => 'PT409', blocked => 10, reasons => 10, active => 990, renamed => 0 },
		import_keep => { sqlstate => undef, blocked => 10, reasons => 10, active => 990, renamed => 1000 },
		import_allow => { sqlstate => undef, blocked => 0, reasons => 0, active => 1000, renamed => 1000 },
		soft_delete => { error => $conflict->($DELETE_DETAIL, $DELETE_HINT), status => $active, deleted => 0 },
		born_deleted => { error => $conflict->($DELETE_DETAIL, $DELETE_HINT), found => 0 },
		# once contact_delete() has deleted it
		restore => { error => $conflict->($DELETE_DETAIL, $DELETE_HINT), status => $deleted, deleted => 1 },
		revive => {
			error => $conflict->('Contact "ID" is Deleted and cannot become Active.', undef),
			status => $deleted,
			deleted => 1
		},
		keep_deleted => { status => $deleted, deleted => 1, name => 'Dan, kept' },
		block_deleted => { error => $conflict->('Contact "ID" is Deleted.', undef) },
		# the whole object, and nothing has changed
		idle_save => { same => 1, updated_by => $program{created_is_updated} ? $clerk : undef },
		# the document's audit.updated.at in the ORM's WHERE updated_at = ...
		version => { same => 1, matched => [ 1, 0 ] },
		transaction => { inside => $blocked, found_by_status => 1, after_rollback => $active },
		savepoint => { rolled_back => $active, status => $blocked, reason => undef, by => $guard },
		error_in_savepoint => { sqlstate => 'PT409', status => $blocked, name => 'Sven' },
		# three transactions on one connection, the last of nobody in particular
		pool => { connections => 1, by => [ $clerk, $guard, $program{nobody} ] },
		unknown => {
			errors => [ map { $unknown->($_) } @{ $program{unknown} } ]
		}
	};
}

# The error for an actor that is no value of the column's type.
sub misfit
{
	my ($column, $type, $actor) = @_;
	return {
		class => 'DataError',
		sqlstate => '22023',
		message => 'the actor does not fit the column that it is stored in',
		detail => "Column \"$column\" is of type $type, the actor is \"$actor\".",
		hint => 'Set contact_block.actor, or the claim in request.jwt.claims, to a value of this type.'
	};
}

# Compares what was seen with what was to be seen.
sub check
{
	my ($seen, $expected) = @_;
	foreach my $name (sort keys %{ { %$seen, %$expected } })
	{
		if (!$seen->{$name})
		{
			fail("$name: not seen");
			next;
		}
		is_deeply($seen->{$name}, $expected->{$name}, $name)
		  or diag(JSON::PP->new->canonical->pretty->encode($seen->{$name}));
	}
	return;
}

# Does a command that looks for a program's modules succeed?
sub has_modules
{
	my (@command) = @_;
	my $output;
	return eval { IPC::Run::run(\@command, '<', \'', '>&', \$output) };
}

1;
