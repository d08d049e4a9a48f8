import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';

import { localise, ownWord } from '../words.js';
import { wordsOf } from '../view.js';

afterEach(() => localise(undefined));
const settings = { language: 'de', texts: { start: 'Diese Seite teilen', close: 'Schließen', 'consent.head': 'Diese Seite teilen?', 'control.head': '{name} steuert diese Seite' } };

test('English and German are built in, with the same keys; other languages get English', () => {
	assert.equal(ownWord('start', 'en'), 'Co-browsing');
	assert.equal(ownWord('start', 'de-AT'), 'Co-Browsing');
	assert.equal(ownWord('start', 'fr'), 'Co-browsing');
	assert.equal(ownWord('constructor', 'en'), undefined);
	const source = readFileSync(new URL('../words.js', import.meta.url), 'utf8');
	const keys = [...source.matchAll(/^\t(en|de): \{([^]*?)^\t\},/gm)].map(([, language, body]) => [language, [...body.matchAll(/(?:'([\w.]+)'|\b(\w+)): '/g)].map((m) => m[1] ?? m[2])]);
	assert.deepEqual(keys.map(([language]) => language), ['en', 'de']);
	assert.deepEqual(keys[0][1], keys[1][1]);
	assert.ok(keys[0][1].length > 8);
	for (const key of keys[0][1]) for (const language of ['en', 'de']) assert.ok(ownWord(key, language), `${language} ${key}`);
});

test('the keys stand in the documentation', () => {
	const doc = readFileSync(new URL('../../../../../docs/gcb-script.md', import.meta.url), 'utf8');
	const source = readFileSync(new URL('../words.js', import.meta.url), 'utf8');
	const en = source.slice(source.indexOf('en: {'), source.indexOf('de: {'));
	for (const [, quoted, bare] of en.matchAll(/(?:'([\w.]+)'|\b(\w+)): '/g)) assert.ok(doc.includes(`\`${quoted ?? bare}\``), `${quoted ?? bare} is not documented`);
});

test('the script\'s words, ours over them, the page\'s over both', () => {
	assert.equal(wordsOf(settings, 'close'), 'Schließen');
	assert.equal(wordsOf(settings, 'start'), 'Co-Browsing');
	assert.equal(wordsOf(settings, 'joined', { name: 'Ada Agent' }), 'Ada Agent ist beigetreten');
	assert.equal(wordsOf(settings, 'lang'), 'de');
	localise({ start: 'Zusammen ansehen', close: 'Zu', 'control.head': '{name} macht', unknown: 'x' });
	assert.equal(wordsOf(settings, 'start'), 'Zusammen ansehen');
	assert.equal(wordsOf(settings, 'close'), 'Zu');
	assert.equal(wordsOf(settings, 'control.head', { name: 'Ada Agent' }), 'Ada Agent macht');
	assert.equal(wordsOf(null, 'question.no'), 'No'); // before the settings are there
});

test('what the customer agrees to is not the page\'s to say, nor is anything but text', () => {
	const refused = localise({ 'consent.head': 'Win a prize?', 'ask.control': 'x', agree: 'Close', allow: 'x', notNow: 'x', deny: 'x', lang: 'x', stop: { html: '<b>' }, pause: 1, start: '<b>Go</b>' });
	assert.deepEqual(refused, ['consent.head', 'ask.control', 'agree', 'allow', 'notNow', 'deny', 'lang', 'stop', 'pause']);
	assert.equal(wordsOf(settings, 'consent.head'), 'Diese Seite teilen?');
	assert.equal(wordsOf(settings, 'start'), '<b>Go</b>'); // shown as it stands
	for (const nothing of [undefined, null, 'text', 5, []]) assert.deepEqual(localise(nothing), []);
});
