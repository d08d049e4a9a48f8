import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

globalThis.document = /** @type {any} */ ({ currentScript: null, documentElement: { lang: 'en' } });
const { edition } = await import('../edition.js');
const { consentOfPage, getSettings, startSession } = await import('../service.js');

let calls;
let answers;
beforeEach(() => {
	Object.assign(edition, { app: 'https://cob.example/cobrowse', headless: false, onFailed() {} });
	calls = [];
	answers = [];
	globalThis.fetch = async (address, init) => {
		calls.push([init?.method ?? 'GET', address, init?.body, init?.credentials, init?.headers?.['Content-Type']]);
		const [status, body] = answers.shift() ?? [];
		if (!status) throw new TypeError('offline');
		return /** @type {any} */ ({ status, ok: status < 300, json: async () => JSON.parse(body) });
	};
});

test('a session is created as by other programs of the old world, and joined as its customer', async () => {
	answers = [
		[200, '{"sessionToken":"012345678","sessionServerName":"cob-a"}'],
		[200, '{"userToken":"u","userId":1,"users":[],"sessionHistoryId":"0b5c3a52-2f6e-11ef-9c1e-0242ac120002","participantId":"p","joinToken":"j","expiresAt":1}'],
	];
	assert.deepEqual(await startSession('Kim Customer'), { id: '0b5c3a52-2f6e-11ef-9c1e-0242ac120002', participantId: 'p', token: 'j', sessionToken: '012345678' });
	assert.deepEqual(calls, [
		['POST', 'https://cob.example/cobrowse/rest/live/sessions', undefined, 'include', undefined],
		['POST', 'https://cob.example/cobrowse/rest/live/sessions/012345678/join', '{"role":1,"name":"Kim Customer"}', 'include', 'application/json'],
	]);
});

test('why it cannot', async () => {
	for (const [given, code] of [
		[[], 'unavailable'], [[[503, '']], 'unavailable'], [[[429, '']], 'unavailable'], [[[403, '']], 'not.authorized'], [[[200, '<html>']], 'unavailable'],
		[[[200, '{"sessionToken":"012345678"}'], [410, '']], 'cobrowse.session.ended'], [[[200, '{"sessionToken":"012345678"}'], [404, '']], 'not.found'],
	]) {
		answers = /** @type {any} */ (given);
		await assert.rejects(startSession(), { code });
	}
});

test('where the page asks in its own words, the record says so', async () => {
	const settings = '{"consent":{"version":"7","sharing":"words"},"texts":{}}';
	answers = [[200, settings], [200, settings]];
	assert.equal((await getSettings()).consent.version, '7');
	edition.headless = true;
	const { consent } = await getSettings();
	assert.equal(consent.version, consentOfPage);
	assert.ok(consentOfPage.length <= 64);
	assert.ok(consent.sharing); // else nobody would be asked
});

test('settings that do not come are told', async () => {
	const failed = [];
	edition.onFailed = (problem) => failed.push(problem.code);
	answers = [[403, '{}']];
	await assert.rejects(getSettings(), { code: 'not.authorized' });
	assert.deepEqual(failed, ['not.authorized']);
});
