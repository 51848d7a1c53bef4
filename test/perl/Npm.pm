# Packages of npm for tests: those that a lock file in a folder of test/ names.

package Npm;

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(:flock);
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(npm_packages);

# How long npm may take before the test counts as stuck.
my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default || 180;

# Installs them, once for all tests of a run.  Returns why they cannot be had
# here, where there is no npm or no registry, undef when they can; node's path,
# and the folder that has them in its node_modules.
sub npm_packages
{
	my ($source) = @_;
	my %path;
	foreach my $program ('node', 'npm')
	{
		($path{$program}) = grep { -x } map { "$_/$program" } File::Spec->path;
		return "$program is not installed (Debian: nodejs, npm)" unless $path{$program};
	}
	my $folder = "$PostgreSQL::Test::Utils::tmp_check/npm-" . basename($source);
	mkdir $folder;
	# of tests that run side by side one installs, and others wait
	open my $lock, '>', "$folder/lock" or die "$folder/lock: $!";
	flock $lock, LOCK_EX or die "$folder/lock: $!";
	return (undef, $path{node}, $folder) if -e "$folder/node_modules/.package-lock.json";

	foreach my $file ('package.json', 'package-lock.json')
	{
		copy("$source/$file", "$folder/$file") or die "$source/$file: $!";
	}
	my $output = '';
	my @install = ($path{npm}, qw(ci --ignore-scripts --no-audit --no-fund --no-update-notifier
		  --fetch-retries=1 --fetch-timeout=60000));
	my $done = eval {
		IPC::Run::run(\@install, '<', \'', '>&', \$output,
			init => sub { chdir $folder or die "$folder: $!" },
			IPC::Run::timeout($TIMEOUT));
	};
	return (undef, $path{node}, $folder) if $done;
	# anything else, a wrong checksum for instance, is a failure
	die "npm ci: $@$output"
	  unless $@ =~ /timeout/
	  || $output =~ /\b(?:E(?:AI_AGAIN|CONN\w+|HOSTUNREACH|NETUNREACH|NOTFOUND|TIMEDOUT|(?:40[1347]|5\d\d))|ERR_SOCKET_TIMEOUT)\b/;
	return 'npm cannot reach its registry: ' . ($output =~ /^npm (?:ERR!|error) (.*)/m ? $1 : 'timeout');
}

1;
