# What Perl's Mail::IMAPTalk is asked to do with an account that has the messages 1 to 6 in INBOX; it dies of what is not as it
# should be. Its arguments are a file with the account's connection and "compress", if it is to use that.
use strict;
use warnings;
use JSON::PP ();
use POSIX ();
use Mail::IMAPTalk;
use Test::More;

# Whatever fails ends the program at once: its objects would wait for their connections.
local $SIG{__DIE__} = sub { die @_ if !defined $^S || $^S; print STDERR @_; POSIX::_exit(1) };

my $account = do { open my $file, '<', $ARGV[0] or die $!; local $/; JSON::PP::decode_json(<$file>) };
my $compress = ($ARGV[1] // '') eq 'compress';

# It reads without waiting unless it is told otherwise, and TLS 1.3 has records that bring no data: EAGAIN, which it takes for the
# end. Hence UseBlocking, which its manual asks for with TLS.
sub sign_in {
    my $imap = Mail::IMAPTalk->new(
        Server => $account->{host}, Port => $account->{port}, UseSSL => 1, UseBlocking => 1, SSL_ca_file => $account->{ca},
        Username => $account->{user}, Password => $account->{password}, Uid => 1, PreserveINBOX => 1, @_,
    ) or die "signing in: $@";
    return $imap;
}

# Every command that is refused ends the test. Its methods give an answer as a scalar, or spread it in a list.
sub ok_or_die($$$) { my ($imap, $what, $got) = @_; defined $got or die "$what: " . $imap->get_last_error(); return $got }

my $imap = sign_in(UseCompress => $compress);
my $other = sign_in();
is(!!$imap->{CompressInflate}, $compress, 'COMPRESS');

# Mailboxes. XLIST is Gmail's, from before RFC 6154; ours is not announced.
ok_or_die($imap, create => $imap->create('Projects/Roof'));
ok_or_die($imap, subscribe => $imap->subscribe('Projects/Roof'));
my %list = map { $_->[2] => [ grep { !/children/i } ref $_->[0] ? @{ $_->[0] } : $_->[0] ] } @{ ok_or_die($imap, list => $imap->list('', '*')) };
is_deeply($list{Sent}, ['\\Sent'], 'Sent is for that') or diag(explain(\%list));
ok($list{'Projects/Roof'}, 'the new mailbox');
ok((grep { $_->[2] eq 'Projects/Roof' } @{ ok_or_die($imap, lsub => $imap->lsub('', '*')) }), 'is subscribed');
ok_or_die($imap, rename => $imap->rename('Projects/Roof', 'Projects/House'));
my $status = ok_or_die($imap, status => $imap->status('INBOX', '(messages uidnext unseen)'));
is_deeply($status, { messages => 6, uidnext => 7, unseen => 6 }, 'STATUS');
my $several = ok_or_die($imap, multistatus => $imap->multistatus('(messages)', 'INBOX', 'Sent', 'Projects/House'));
is_deeply([ map { $several->{$_}{messages} } 'INBOX', 'Sent', 'Projects/House' ], [ 6, 0, 0 ], 'STATUS of several in a pipeline');

# Reading.
ok_or_die($imap, select => $imap->select('INBOX'));
is($imap->get_response_code('exists'), 6, 'EXISTS');
my $all = ok_or_die($imap, fetch => $imap->fetch('1:*', '(flags envelope bodystructure rfc822.size internaldate)'));
is_deeply([ sort keys %$all ], [ 1 .. 6 ], 'all by UID');
is($all->{4}{envelope}{Subject}, 'message 4', 'envelope');
like($all->{4}{envelope}{From}, qr/^<?sender\@example\.net>?$/, 'sender');
is($all->{4}{bodystructure}{'MIME-Type'}, 'text', 'body structure');
my $whole = ok_or_die($imap, fetch => $imap->fetch('4', '(body.peek[])'))->{4}{body};
is(length($whole), $all->{4}{'rfc822.size'}, 'as long as it says');
like($whole, qr/^Subject: message 4\r$/m, 'the message');
is_deeply(ok_or_die($imap, search => $imap->search('1:*', 'subject', { Quote => 'message 3' })), [3], 'SEARCH');
is_deeply(ok_or_die($imap, search => $imap->search('1:*', 'not', 'seen', 'or', 'uid', '5', 'subject', { Literal => 'message 6' })), [ 5, 6 ], 'with a literal');
is_deeply(ok_or_die($imap, sort => $imap->sort('(reverse subject)', 'us-ascii', 'all')), [ reverse 1 .. 6 ], 'SORT');
is(scalar @{ ok_or_die($imap, thread => $imap->thread('references', 'us-ascii', 'all')) }, 6, 'THREAD');

# Flags, copies, moves, new messages.
my $stored = ok_or_die($imap, store => $imap->store('1:2', '+flags', '(\\Seen $Label1)'));
is_deeply([ map { [ sort grep { lc ne '\\recent' } @{ $stored->{$_}{flags} } ] } 1, 2 ], [ [ '$Label1', '\\Seen' ], [ '$Label1', '\\Seen' ] ], 'flags');
ok_or_die($imap, store => $imap->store('3', 'flags.silent', '(\\Flagged)'));
ok_or_die($imap, copy => $imap->copy('1:2', 'Projects/House'));
is_deeply([ @{ $imap->get_response_code('copyuid') }[ 1, 2 ] ], [ '1:2', '1:2' ], 'COPYUID');
ok_or_die($imap, move => $imap->move('4', 'Archive'));
my $text = "Subject: appended\r\n\r\nBy IMAPTalk.\r\n";
ok_or_die($imap, append => $imap->append('INBOX', '(\\Seen $Mine)', '29-Feb-2024 12:00:00 +0000', { Literal => $text }));
is($imap->get_response_code('appenduid')->[1], 7, 'APPENDUID');
my $mine = ok_or_die($imap, fetch => $imap->fetch('7', '(flags internaldate body[])'))->{7};
is($mine->{body}, $text, 'the message that was appended');
is($mine->{internaldate}, '29-Feb-2024 12:00:00 +0000', 'its date');
ok_or_die($imap, store => $imap->store('5', '+flags.silent', '(\\Deleted)'));
ok_or_die($imap, uidexpunge => $imap->uidexpunge('5'));

# Push: one waits, the other works. It takes nothing but "+ idling" for IDLE.
ok_or_die($other, select => $other->select('INBOX'));
ok_or_die($other, append => $other->append('INBOX', { Literal => "Subject: pushed\r\n\r\n.\r\n" }));
my @heard;
ok_or_die($imap, idle => $imap->idle(sub {
    my ($event, @rest) = @_;
    my %event = ref $event ? %$event : ();
    push @heard, $event;
    if ($event eq 'exists') {
        ok_or_die($other, store => $other->store('6', '+flags.silent', '(\\Answered)'));
    } elsif ($event eq 'fetch' && !grep { $_ eq 'expunge' } @heard and grep({ $_ eq 'fetch' } @heard) == 1) {
        ok_or_die($other, store => $other->store('1', '+flags.silent', '(\\Deleted)'));
        ok_or_die($other, uidexpunge => $other->uidexpunge('1'));
    }
    return $event eq 'expunge';
}));
is_deeply([ grep { $_ ne 'recent' } @heard[ 0, -1 ] ], [ 'exists', 'expunge' ], 'IDLE') or diag(explain(\@heard));
is_deeply(ok_or_die($imap, search => $imap->search('1:*', 'all')), [ 2, 3, 6, 7, 8 ], 'what is left');
is_deeply(ok_or_die($imap, search => $imap->search('1:*', 'answered')), [6], 'what was answered');

# Away and back: what changed since.
ok_or_die($imap, select => $imap->select('Sent'));
ok_or_die($imap, select => $imap->select('INBOX', '(condstore)' => 1));
my $highest = $imap->get_response_code('highestmodseq');
ok($highest, 'HIGHESTMODSEQ');
ok_or_die($other, store => $other->store('2', '+flags.silent', '(\\Flagged)'));
my $changed = ok_or_die($imap, fetch => $imap->fetch('1:*', '(flags)', [ changedsince => $highest ]));
# What the other does may be told without a UID: it puts that under "".
is_deeply([ grep { $_ } keys %$changed ], [2], 'changed since then') or diag(explain($changed));
ok($changed->{2}{modseq}[0] > $highest, 'MODSEQ') or diag(explain($changed));

ok_or_die($imap, close => $imap->close());
$_->logout() for $imap, $other;
done_testing();
