import assert from 'node:assert/strict';
import { test } from 'node:test';

import { handReady, readConfig } from '../config.js';

test('without options the defaults of the old product hold', () => {
	for (const nothing of [undefined, null, {}, { cobrowse: {} }, 'text', 1]) {
		const { effective, notes, owners, ...config } = readConfig(nothing);
		assert.deepEqual(config, { enabled: true, debug: false, side: 'left', button: true, headless: false, media: null, localization: undefined });
		assert.deepEqual(notes, []);
		assert.deepEqual(owners, []);
		assert.deepEqual(effective, { debug: false, disableBuiltInUI: false, buttons: { position: 'left', cobrowse: true, chat: false }, primaryMedia: null, localization: undefined });
	}
});

test('each option has its meaning', () => {
	const media = { isAgentConnected: () => true };
	const cases = [
		[{ cobrowse: false }, 'enabled', false],
		[{ cobrowse: true }, 'enabled', true],
		[{ debug: true }, 'debug', true],
		[{ cobrowse: { debug: true } }, 'debug', true],
		[{ buttons: { position: 'right' } }, 'side', 'right'],
		[{ integration: { buttons: { position: 'right' } } }, 'side', 'right'],
		[{ integration: { buttons: { position: 'right' } }, buttons: { position: 'left' } }, 'side', 'left'],
		[{ buttons: { cobrowse: false } }, 'button', false],
		[{ integration: { buttons: { cobrowse: false } } }, 'button', false],
		[{ cobrowse: { disableBuiltInUI: true } }, 'headless', true],
		[{ cobrowse: { disableBuiltInUI: true } }, 'button', false],
		[{ cobrowse: { primaryMedia: media } }, 'media', media],
		[{ cobrowse: { localization: 'words.json' } }, 'localization', 'words.json'],
	];
	for (const [genesys, name, want] of cases) assert.equal(readConfig(genesys)[name], want, JSON.stringify([genesys, name]));
	assert.throws(() => { readConfig({}).effective.buttons.position = 'right'; }, TypeError);
});

test('what has no meaning here is said, once each, and what is right is not', () => {
	const said = (genesys, address) => readConfig(genesys, address).notes;
	for (const [genesys, option, address] of [
		[{ cobrowse: { cometdConfig: { logLevel: 'debug' } } }, 'cobrowse.cometdConfig'],
		[{ cobrowse: { cobrowse: { cometdConfig: {} } } }, 'cobrowse.cometdConfig'],
		[{ cobrowse: { disableWebSockets: true } }, 'cobrowse.disableWebSockets'],
		[{ cobrowse: { setDocumentDomain: true } }, 'cobrowse.setDocumentDomain'],
		[{ cobrowse: { enableStaticResourceService: true } }, 'cobrowse.enableStaticResourceService'],
		[{ cobrowse: { apikey: 'key' } }, 'cobrowse.apikey', 'https://cob.example/cobrowse/js/gcb.min.js?apikey=key'],
		[{}, 'apikey in the address', 'https://cob.example/cobrowse/js/gcb.min.js?apikey=key'],
		[{ cobrowse: { css: { server: true } } }, 'cobrowse.css'],
		[{ chat: { onReady: [] } }, 'chat'],
		[{ buttons: { chat: true } }, 'chat'],
		[{ buttons: { position: 'top' } }, 'buttons.position'],
		[{ cobrowse: { useChat: false } }, 'cobrowse.useChat'],
	]) {
		const notes = said(genesys, address);
		assert.equal(notes.length, 1, JSON.stringify([genesys, notes]));
		assert.ok(notes[0].startsWith(`co-browse: ${option}`), notes[0]);
		assert.ok(!notes[0].includes('=key'), 'the key is not said');
	}
	for (const genesys of [
		{ debug: true, chat: false, buttons: { position: 'right', chat: false }, cobrowse: { css: { browser: true, server: false }, disableWebSockets: false, onReady() {} } },
		{ widgets: { cobrowse: { src: 'https://cob.example/cobrowse/js/gcb.min.js', url: 'https://cob.example/cobrowse' } } },
	]) assert.deepEqual(said(genesys), []);
});

test('onReady: a function, an array, more pushed later, and the old place', () => {
	const heard = [];
	const call = (fn) => fn?.(heard);
	for (const [genesys, want] of [
		[{ cobrowse: { onReady: (h) => h.push('function') } }, ['function']],
		[{ cobrowse: { onReady: [(h) => h.push('a'), (h) => h.push('b')] } }, ['a', 'b']],
		[{ integration: { onReady: (h) => h.push('old') } }, ['old']],
		[{ integration: { onReady: (h) => h.push('old') }, cobrowse: { onReady: (h) => h.push('new') } }, ['new']],
		[{}, []],
	]) {
		heard.length = 0;
		for (const owner of readConfig(genesys).owners) handReady(owner, call);
		assert.deepEqual(heard, want);
	}
	heard.length = 0;
	const genesys = { cobrowse: { onReady: [] } };
	handReady(readConfig(genesys).owners[0], call);
	genesys.cobrowse.onReady.push((h) => h.push('later'));
	assert.deepEqual(heard, ['later']);
});
