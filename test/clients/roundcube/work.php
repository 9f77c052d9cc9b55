<?php
// What Roundcube's IMAP is asked to do with an account that has the messages 1 to 6 in INBOX; it ends with an error at what is not as it
// should be. Its arguments are the directory of Roundcube's library and a file with the account's connection.

declare(strict_types=1);
require $argv[1] . '/bootstrap.php';
error_reporting(E_ERROR | E_PARSE); // what else it has to say is about the rest of Roundcube, which is not here
$account = json_decode(file_get_contents($argv[2]), true);

function same($what, $got, $want): void
{
    if ($got !== $want) {
        fwrite(STDERR, "$what: " . var_export($got, true) . "\nwant " . var_export($want, true) . "\n");
        debug_print_backtrace();
        exit(1);
    }
}

function signIn(array $account): rcube_imap_generic
{
    $imap = new rcube_imap_generic();
    $signedIn = $imap->connect($account['host'], $account['user'], $account['password'], [
        'ssl_mode' => 'ssl', 'port' => (int) $account['port'], 'timeout' => 60, 'ident' => ['name' => 'Roundcube', 'version' => RCUBE_VERSION],
        'socket_options' => ['ssl' => ['cafile' => $account['ca'], 'verify_peer' => true]],
    ]);
    same("signing in ({$imap->error})", $signedIn, true);
    return $imap;
}

// What any command answers but OK is in here.
function ok(rcube_imap_generic $imap, $result)
{
    if ($result === false || $result === null || is_object($result) && method_exists($result, 'is_error') && $result->is_error()) {
        same("refused ({$imap->result}: {$imap->error})", false, true);
    }
    return $result;
}

$imap = signIn($account);
$other = signIn($account);

// Mailboxes.
same('namespace', ok($imap, $imap->getNamespace())['personal'][0], ['', '/']);
ok($imap, $imap->createFolder('Projekte/R&-D'));
ok($imap, $imap->subscribe('Projekte/R&-D'));
// Its reading of STATUS with LIST does not go with PHP 8.
same('LIST', in_array('Projekte/R&-D', ok($imap, $imap->listMailboxes('', '*', ['SUBSCRIBED', 'CHILDREN']))), true);
ok($imap, $imap->listMailboxes('', '*', ['SPECIAL-USE']));
same('what Sent is for', in_array('\\Sent', $imap->data['LIST']['Sent']), true);
same('subscribed', in_array('Projekte/R&-D', ok($imap, $imap->listSubscribed('', '*'))), true);
same('unseen', $imap->countUnseen('INBOX'), 6);

// The list of a mailbox: sorted or by thread, page by page, with headers and structure.
same('SORT', ok($imap, $imap->sort('INBOX', 'SUBJECT', 'UNDELETED', true))->get(), ['1', '2', '3', '4', '5', '6']);
same('SORT by number', ok($imap, $imap->sort('INBOX', 'ARRIVAL', 'UNDELETED'))->count(), 6);
same('THREAD', ok($imap, $imap->thread('INBOX', 'REFERENCES', 'UNDELETED', true))->count_messages(), 6);
same('THREAD of some', ok($imap, $imap->thread('INBOX', 'REFERENCES', 'HEADER SUBJECT "message 2"', true))->get(), ['2']);
$headers = ok($imap, $imap->fetchHeaders('INBOX', '1:6', true, true));
same('headers', array_keys($headers), [1, 2, 3, 4, 5, 6]);
same('subject', $headers[4]->get('subject'), 'message 4');
same('sender', $headers[4]->get('from'), 'sender@example.net');
same('structure', array_map('strtolower', array_slice($headers[4]->bodystructure, 0, 2)), ['text', 'plain']);
same('a part', strpos(ok($imap, $imap->handlePartBody('INBOX', 4, true, 'TEXT')), 'Text 4,'), 0);
same('the source', strlen(ok($imap, $imap->handlePartBody('INBOX', 4, true))), (int) $headers[4]->size);
same('SEARCH', ok($imap, $imap->search('INBOX', 'HEADER SUBJECT "message 3"', true))->get(), ['3']);
same('SEARCH for nothing', ok($imap, $imap->search('INBOX', 'HEADER SUBJECT nothing', true))->count(), 0);
same('MIN and MAX', [($found = ok($imap, $imap->search('INBOX', 'UNDELETED', true, ['MIN', 'MAX', 'COUNT'])))->min(), $found->max(), $found->count()], [1, 6, 6]);
same('UID to number', [$imap->UID2ID('INBOX', 5), $imap->ID2UID('INBOX', 6)], [5, 6]);

// Work.
ok($imap, $imap->flag('INBOX', '1,2', 'SEEN'));
ok($imap, $imap->flag('INBOX', '2', '$LABEL1'));
ok($imap, $imap->unflag('INBOX', '1', 'SEEN'));
ok($imap, $imap->copy('1:2', 'INBOX', 'Projekte/R&-D'));
same('COPYUID', $imap->data['COPYUID'], ['1:2', '1:2']);
ok($imap, $imap->move('4', 'INBOX', 'Archive'));
$message = "Subject: appended\r\n\r\nBy Roundcube.\r\n";
same('APPENDUID', ok($imap, $imap->append('INBOX', $message, ['SEEN'], '29-Feb-2024 12:00:00 +0000')), '7');
same('what was appended', $imap->handlePartBody('INBOX', 7, true), $message);
ok($imap, $imap->flag('INBOX', '5', 'DELETED'));
ok($imap, $imap->expunge('INBOX', '5'));
same('what is left', ok($imap, $imap->search('INBOX', 'ALL', true))->get(), ['1', '2', '3', '6', '7']);
ok($imap, $imap->renameFolder('Projekte', 'Projects'));
same('renamed', ok($imap, $imap->status('Projects/R&-D', ['MESSAGES', 'UIDNEXT']))['UIDNEXT'], '3');

// A page that is looked at again, after others have worked: by QRESYNC, as its cache does.
same('ENABLE', in_array('QRESYNC', (array) ok($imap, $imap->enable('QRESYNC'))), true);
ok($imap, $imap->close());
ok($imap, $imap->select('INBOX'));
[$validity, $modseq] = [$imap->data['UIDVALIDITY'], $imap->data['HIGHESTMODSEQ']];
ok($imap, $imap->close());
ok($other, $other->flag('INBOX', '6', 'FLAGGED'));
ok($other, $other->flag('INBOX', '3', 'DELETED'));
ok($other, $other->expunge('INBOX', '3'));
ok($imap, $imap->select('INBOX', [$validity, $modseq]));
same('vanished', $imap->data['VANISHED'], '3');
same('changed', array_map(fn ($data) => in_array('\\Flagged', $data['flags']), $imap->data['QRESYNC']), [6 => true]);
same('changed since', array_map(fn ($found) => (int) $found->uid, array_values(ok($imap, $imap->fetch('INBOX', '1:*', true, ['UID', 'FLAGS'], $modseq)))), [6]);

$imap->closeConnection();
$other->closeConnection();
echo "done\n";
