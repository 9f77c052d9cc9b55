// What Node's imapflow is asked to do with an account that has the messages 1 to 6 in INBOX; it throws at what is not
// as it should be. Its one argument is a file with the account's connection, as imapflow takes it.
'use strict';
const assert = require('node:assert');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { inspect } = require('node:util');
globalThis.crypto ??= require('node:crypto').webcrypto; // Debian 12's Node 18 does not have it there by itself
const { ImapFlow } = require('imapflow');

const account = JSON.parse(readFileSync(process.argv[2], 'utf8'));
account.tls.ca = readFileSync(account.tls.ca);

async function signIn(options) {
    const client = new ImapFlow({ ...account, logger: false, ...options });
    client.on('error', err => { throw err; });
    await client.connect();
    return client;
}

// Every event of the kinds, as it comes, for those who wait until they have seen enough.
function listen(client, ...kinds) {
    const heard = [];
    for (const kind of kinds) {
        client.on(kind, event => {
            heard.push({ kind, ...event });
            client.emit('heard');
        });
    }
    return async enough => {
        while (!enough(heard)) {
            await once(client, 'heard');
        }
        return heard.splice(0);
    };
}

const flags = message => [...message.flags].filter(flag => flag !== '\\Recent').sort();

async function main() {
    const client = await signIn({});
    const other = await signIn({ disableAutoIdle: true, disableCompression: true });
    const rev2 = client.enabled.has('IMAP4REV2');
    assert.ok(client.enabled.has('CONDSTORE'));
    console.log('rev2', rev2, 'compressed', !!client._deflate);

    // Mailboxes, with letters beyond ASCII and an ampersand.
    assert.ok((await client.mailboxCreate(['Pläne', 'R&D'])).created);
    assert.ok(await client.mailboxSubscribe('Pläne/R&D'));
    const all = await client.list({ statusQuery: { messages: true, unseen: true } });
    const byPath = Object.fromEntries(all.map(box => [box.path, box]));
    assert.strictEqual(byPath['Sent'].specialUse, '\\Sent');
    assert.strictEqual(byPath['Pläne/R&D'].subscribed, true);
    assert.deepStrictEqual([byPath.INBOX.status.messages, byPath.INBOX.status.unseen], [6, 6]);

    // Reading.
    let lock = await client.getMailboxLock('INBOX');
    assert.strictEqual(client.mailbox.exists, 6);
    assert.ok(client.mailbox.permanentFlags.has('\\*'));
    const seen = [];
    for await (const message of client.fetch('1:*', { uid: true, flags: true, envelope: true, bodyStructure: true, size: true, internalDate: true })) {
        seen.push(message);
    }
    assert.deepStrictEqual(seen.map(message => message.uid), [1, 2, 3, 4, 5, 6]);
    assert.strictEqual(seen[3].envelope.subject, 'message 4');
    assert.strictEqual(seen[3].envelope.from[0].address, 'sender@example.net');
    assert.strictEqual(seen[3].bodyStructure.type, 'text/plain');
    const whole = await client.fetchOne('4', { source: true, uid: true }, { uid: true });
    assert.strictEqual(whole.source.length, seen[3].size);
    assert.ok(whole.source.includes('Subject: message 4\r\n'));
    const { content } = await client.download('4', 'TEXT', { uid: true });
    let text = '';
    for await (const chunk of content) {
        text += chunk;
    }
    assert.ok(text.startsWith('Text 4,'), text);
    assert.deepStrictEqual(await client.search({ subject: 'message 3' }, { uid: true }), [3]);
    assert.deepStrictEqual(await client.search({ seen: false, not: { uid: '1:2' }, or: [{ uid: '5' }, { subject: 'message 6' }] }, { uid: true }), [5, 6]);
    assert.deepStrictEqual(await client.search({ subject: 'nothing of the kind' }), []);

    // Flags, copies, moves, and a new message.
    assert.ok(await client.messageFlagsAdd('1:2', ['\\Seen', '$Label1'], { uid: true }));
    assert.ok(await client.messageFlagsRemove('2', ['\\Seen'], { uid: true }));
    assert.ok(await client.messageFlagsSet('3', ['\\Flagged'], { uid: true, silent: true }));
    const marked = await client.fetchAll('1:3', { uid: true, flags: true }, { uid: true });
    assert.deepStrictEqual(marked.map(flags), [['$Label1', '\\Seen'], ['$Label1'], ['\\Flagged']]);
    const copied = await client.messageCopy('1:2', 'Pläne/R&D', { uid: true });
    assert.deepStrictEqual([...copied.uidMap], [[1, 1], [2, 2]]);
    const moved = await client.messageMove('4', 'Archive', { uid: true });
    assert.deepStrictEqual([...moved.uidMap], [[4, 1]]);
    assert.strictEqual(client.mailbox.exists, 5);
    const put = await client.append('INBOX', 'Subject: appended\r\n\r\nBy imapflow.\r\n', ['\\Seen', '$Mine'], new Date('2024-02-29T12:00:00Z'));
    assert.strictEqual(put.uid, 7);
    const mine = await client.fetchOne('7', { flags: true, internalDate: true, source: true }, { uid: true });
    assert.deepStrictEqual(flags(mine), ['$Mine', '\\Seen']);
    assert.strictEqual(mine.internalDate.toISOString(), '2024-02-29T12:00:00.000Z');
    assert.strictEqual(mine.source.toString(), 'Subject: appended\r\n\r\nBy imapflow.\r\n');
    assert.ok(await client.messageDelete('5', { uid: true }));
    lock.release();

    // Push: one waits, the other works.
    const hear = listen(client, 'exists', 'flags', 'expunge');
    const idling = client.idle();
    await other.mailboxOpen('INBOX');
    await other.append('INBOX', 'Subject: pushed\r\n\r\n.\r\n');
    let heard = await hear(list => list.some(event => event.kind === 'exists' && event.count === 6));
    await other.messageFlagsAdd('6', ['\\Answered'], { uid: true });
    heard = await hear(list => list.some(event => event.kind === 'flags' && event.flags.has('\\Answered')));
    assert.ok(!heard.some(event => event.kind === 'expunge'), inspect(heard));
    await other.messageDelete('1', { uid: true });
    heard = await hear(list => list.some(event => event.kind === 'expunge'));
    // \\Deleted is a change of its own, which it may hear of before.
    assert.deepStrictEqual(heard.filter(event => event.kind !== 'flags').map(({ kind, seq, path }) => [kind, seq, path]), [['expunge', 1, 'INBOX']]);
    await client.noop(); // which ends IDLE
    await idling;
    const { uidValidity, highestModseq } = client.mailbox;
    await client.mailboxClose();

    // Away, and back by CONDSTORE and QRESYNC.
    await other.messageFlagsAdd('2', ['\\Flagged'], { uid: true });
    await other.messageDelete('3', { uid: true });
    await other.append('INBOX', 'Subject: while away\r\n\r\n.\r\n');
    lock = await client.getMailboxLock('INBOX');
    const changed = await client.fetchAll('1:*', { uid: true, flags: true }, { uid: true, changedSince: highestModseq });
    assert.deepStrictEqual(changed.map(message => message.uid), [2, 9]);
    lock.release();
    await client.logout();

    const back = await signIn({ qresync: true, disableAutoIdle: true });
    assert.ok(back.enabled.has('QRESYNC'));
    const told = listen(back, 'flags', 'expunge');
    await back.mailboxOpen('INBOX', { uidValidity, changedSince: highestModseq });
    heard = await told(list => list.length >= 4);
    // Of message 1 it knows, but EXPUNGE brought it no newer mod-sequence.
    assert.deepStrictEqual(heard.filter(event => event.kind === 'expunge').map(event => [event.uid, event.vanished, event.earlier]), [[1, true, true], [3, true, true]]);
    assert.deepStrictEqual(heard.filter(event => event.kind === 'flags').map(event => event.uid).sort(), [2, 9]);

    // And from then on by UID.
    await other.messageMove('6', 'Trash', { uid: true });
    await back.noop();
    heard = await told(list => list.length >= 1);
    assert.deepStrictEqual(heard.map(event => [event.kind, event.uid, event.vanished]), [['expunge', 6, true]]);
    await back.mailboxRename('Pläne', 'Plans');
    assert.strictEqual((await back.status('Plans/R&D', { messages: true, uidNext: true })).uidNext, 3);
    await back.logout();
    await other.logout();
}

main().then(() => console.log('done'), err => {
    console.error(err);
    process.exit(1);
});
