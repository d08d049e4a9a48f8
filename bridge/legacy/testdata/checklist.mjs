/**
 * Rows of a checklist, each told by one version of the client over one transport:
 *
 *   node checklist.mjs <version> <transport> <base URL> <access token> <row>...
 *
 * A line of JSON says how each row went.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { load, origin, Page } from './pages.mjs';

const [version, transport, base, token, ...rows] = process.argv.slice(2);
const { CometD } = await load(version);

/** Every wait ends. */
const patience = 30_000;

/**
 * @template T
 * @param {string} what
 * @param {(resolve: (value: T) => void) => void} start
 * @returns {Promise<T>}
 */
function wait(what, start) {
	return new Promise((resolve, reject) => {
		const late = setTimeout(() => reject(new Error(`${what}: nothing came`)), patience);
		start((value) => { clearTimeout(late); resolve(value); });
	});
}

const told = ['joined', 'activated', 'deactivated'];

/** Somebody with a browser, a client in it and a diary of what came. */
class Person {
	/** @param {Page} page whose browser it is */
	constructor(page = new Page()) {
		this.page = page;
		this.diary = [];
		this.watchers = new Set();
		this.page.run(() => {
			this.cometd = new CometD();
			for (const type of this.cometd.getTransportTypes()) {
				if (type !== transport) {
					this.cometd.unregisterTransport(type);
				}
			}
			this.cometd.configure({ url: `${base}/cometd`, logLevel: 'error' });
			for (const name of told) {
				this.cometd.addListener(`/service/session/${name}`, (message) => this.note(name, message.data));
			}
			this.cometd.addListener('/meta/handshake', (message) => this.note(message.successful ? 'arrived' : 'handshake', message));
			this.cometd.addListener('/meta/unsuccessful', (message) => this.note('unsuccessful', message));
		});
	}

	note(name, data) {
		this.diary.push({ name, data });
		for (const watcher of this.watchers) {
			watcher();
		}
	}

	/** Waits until the diary has this many entries of a name, and returns the last. */
	until(name, count = 1) {
		return wait(name, (resolve) => {
			const look = () => {
				const found = this.diary.filter((entry) => entry.name === name);
				if (found.length >= count) {
					this.watchers.delete(look);
					resolve(found.at(-1).data);
				}
			};
			this.watchers.add(look);
			look();
		});
	}

	/** What the session's other members were heard of, in order. */
	heard() {
		return this.diary.filter(({ name }) => told.includes(name)).map(({ name }) => name);
	}

	/** @param {object} more members of the handshake */
	async arrive(more = {}) {
		const reply = await wait('handshake', (resolve) => this.page.run(() => this.cometd.handshake(more, resolve)));
		assert.equal(reply.successful, true, JSON.stringify(reply));
		return this;
	}

	/** Agents and controllers show an access token. */
	atDesk() {
		return this.arrive({ ext: { authorization: `Bearer ${token}` } });
	}

	/** Asks in the style of a listener: the acknowledgement first, then the answer on the channel. */
	ask(what, data) {
		const channel = `/service/session/${what}`;
		return wait(what, (resolve) => this.page.run(() => {
			const listener = this.cometd.addListener(channel, (message) => {
				if (message.data !== undefined) {
					this.cometd.removeListener(listener);
					assert.equal(acknowledged, true, `${what}: the answer came before the acknowledgement`);
					resolve(message);
				}
			});
			let acknowledged = false;
			this.cometd.publish(channel, data, (reply) => {
				acknowledged = reply.successful;
				if (!reply.successful) {
					this.cometd.removeListener(listener);
					resolve(reply);
				}
			});
		}));
	}

	/** Asks in the other style, where the answer itself comes back. */
	call(what, data) {
		return wait(what, (resolve) => this.page.run(() => this.cometd.remoteCall(`session/${what}`, data, patience, resolve)));
	}

	async must(what, data) {
		const answer = await this.ask(what, data);
		assert.ok(answer.data, `${what}: ${JSON.stringify(answer)}`);
		return answer.data;
	}

	async refused(what, data, error) {
		const answer = await this.ask(what, data);
		assert.equal(answer.successful, false, JSON.stringify(answer));
		assert.match(answer.error, error);
	}

	leave() {
		return wait('disconnect', (resolve) => this.page.run(() => this.cometd.disconnect(resolve)));
	}
}

const nineDigits = /^[0-9]{9}$/;

/** Customer, controller and agent in one session. */
async function session() {
	const kim = await new Person().arrive();
	const [sam, ada] = await Promise.all([new Person().atDesk(), new Person().atDesk()]);
	const { sessionToken } = await kim.must('create', {});
	assert.match(sessionToken, nineDigits);
	const customer = await kim.must('join', { sessionToken, role: 1, name: 'Kim Customer' });
	const controller = await sam.must('join', { sessionToken, role: 3 });
	const agent = await ada.must('join', { sessionToken, role: 2, name: 'Ada Agent' });
	return { sessionToken, kim, sam, ada, customer, controller, agent };
}

function end({ kim, sam, ada }) {
	return Promise.all([kim, sam, ada].map((person) => person.leave()));
}

const stories = {
	/** Create over REST; found by Get, with the cookie for load balancers; not after the end. */
	async 1() {
		const page = new Page();
		const created = await page.rest('POST', `${base}/rest/live/sessions`);
		assert.equal(created.status, 200);
		const { sessionToken, sessionServerName } = await created.json();
		assert.match(sessionToken, nineDigits);
		assert.equal(page.cookieOf('gcbSessionServer'), sessionServerName);
		const address = `${base}/rest/live/sessions/${sessionToken}`;
		assert.deepEqual(await (await page.rest('GET', address)).json(), { sessionToken, sessionServerName });
		const sam = await new Person().atDesk();
		const { userToken } = await sam.must('join', { sessionToken, role: 3 });
		await sam.must('stop', { userToken });
		await sam.until('deactivated');
		assert.equal((await page.rest('GET', address)).status, 404);
		await sam.leave();
	},

	/** Get wants an Origin or a Referer of the list. */
	async 2() {
		const page = new Page();
		const { sessionToken } = await (await page.rest('POST', `${base}/rest/live/sessions`)).json();
		const get = async (headers) => (await page.fetch(`${base}/rest/live/sessions/${sessionToken}`, { headers })).status;
		assert.equal(await get({}), 403);
		assert.equal(await get({ origin: 'https://evil.example' }), 403);
		assert.equal(await get({ referer: 'https://evil.example/page' }), 403);
		assert.equal(await get({ origin }), 200);
		assert.equal(await get({ referer: `${origin}/page` }), 200);
	},

	/** Everybody hears what they should, in order, in both styles of asking. */
	async 3() {
		const all = await session();
		const { sessionToken, kim, sam, ada, customer, controller, agent } = all;
		assert.deepEqual([customer.userId, controller.userId, agent.userId], [1, 2, 3]);
		assert.deepEqual(customer.users, []);
		assert.deepEqual(agent.users, [{ userId: '1', role: 1, name: 'Kim Customer' }, { userId: '2', role: 3 }]);
		assert.equal(customer.sessionHistoryId, agent.sessionHistoryId);
		for (const [person, heard] of [[kim, ['joined', 'joined', 'activated']], [sam, ['joined', 'activated']], [ada, ['activated']]]) {
			await person.until('activated');
			assert.deepEqual(person.heard(), heard);
		}
		assert.deepEqual(await sam.until('joined'), { userId: '3', role: 2, name: 'Ada Agent' });
		assert.equal(typeof (await sam.until('activated')).activationTime, 'number');

		const other = await new Person().atDesk();
		const answer = await other.call('join', { sessionToken, role: 3 });
		assert.equal(answer.data?.userId, 4, JSON.stringify(answer));
		const created = await kim.call('create', {});
		assert.match(created.data?.sessionToken ?? JSON.stringify(created), nineDigits);
		const failed = await kim.call('join', { sessionToken: '12345678', role: 1 });
		assert.deepEqual([failed.successful, failed.error], [false, '404::No such session']);
		await other.leave();
		await end(all);
	},

	/** Nothing is published without an acknowledgement, and idle sockets stay open. */
	async 5() {
		const all = await session();
		await new Promise((resolve) => setTimeout(resolve, 15_000));
		for (const person of [all.kim, all.sam, all.ada]) {
			assert.equal(person.page.sockets.size, transport === 'websocket' ? 1 : 0);
			assert.deepEqual(person.diary.filter(({ name }) => name === 'unsuccessful'), []);
			assert.equal(person.diary.filter(({ name }) => name === 'arrived').length, 1);
		}
		await end(all);
	},

	/** Only a controller stops, over CometD and over REST alike. */
	async 6() {
		const all = await session();
		const { kim, sam, ada, customer, controller, agent } = all;
		await ada.refused('stop', { userToken: agent.userToken }, /^403:/);
		await kim.refused('stop', { userToken: customer.userToken }, /^403:/);
		const rest = (userToken) => new Page().rest('GET', `${base}/rest/live/users/${userToken}/session/stop`);
		assert.equal((await rest(agent.userToken)).status, 403);
		assert.equal((await rest('nobody')).status, 404);
		assert.deepEqual(await sam.must('stop', { userToken: controller.userToken }), {});
		const stamps = await sam.until('deactivated');
		assert.deepEqual(Object.keys(stamps).sort(), ['activationTime', 'deactivationTime']);
		assert.equal(stamps.activationTime, (await sam.until('activated')).activationTime);
		for (const person of [kim, ada]) {
			assert.deepEqual(await person.until('deactivated'), stamps);
		}
		const again = await rest(controller.userToken);
		assert.deepEqual([again.status, await again.json()], [200, stamps]);
		await end(all);

		const second = await session();
		const stopped = await rest(second.controller.userToken);
		assert.deepEqual(await second.kim.until('deactivated'), await stopped.json());
		await end(second);
	},

	/** Whom nobody lets in. */
	async 7() {
		const all = await session();
		const { sessionToken, kim, sam, ada, agent } = all;
		const eve = await new Person().atDesk();
		await eve.refused('join', { sessionToken, role: 2 }, /^409:/);
		const stranger = await new Person().arrive();
		await stranger.refused('join', { sessionToken, role: 1 }, /^409:/);
		await stranger.refused('join', { sessionToken, role: 2 }, /^403:/);
		const { sessionToken: another } = await stranger.must('create', {});
		await ada.refused('join', { sessionToken: another, role: 2 }, /^409:/);
		const secondTab = await new Person(ada.page).atDesk();
		await secondTab.refused('join', { sessionToken: another, role: 2 }, /^409:/);
		await eve.must('join', { sessionToken: another, role: 2 });

		await ada.must('exit', { userToken: agent.userToken });
		for (const person of [kim, sam, ada]) {
			await person.until('deactivated');
			await person.refused('join', { sessionToken, role: 1 }, person === kim ? /^410:/ : /^4(03|10):/);
		}
		await sam.refused('join', { sessionToken, role: 3 }, /^410:/);
		await ada.must('join', { sessionToken: (await kim.must('create', {})).sessionToken, role: 2 });
		await Promise.all([eve.leave(), stranger.leave(), secondTab.leave(), end(all)]);
	},

	/** The server forgets a client that sleeps; it recovers, and the customer is the same one. */
	async 8() {
		const all = await session();
		const { sessionToken, kim, sam, ada, customer } = all;
		await Promise.all([kim, sam, ada].map((person) => person.until('activated')));
		const lost = (await control()).ConnectionLost;
		kim.page.sleep();
		while ((await control()).ConnectionLost === lost) {
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		kim.page.wake();
		await kim.until('arrived', 2);
		const forgotten = kim.diary.find(({ name, data }) => name === 'unsuccessful' && data.error === '402::Unknown client');
		assert.equal(forgotten?.data.advice.reconnect, 'handshake', JSON.stringify(kim.diary));
		const again = await kim.must('join', { sessionToken, role: 1 });
		assert.equal(again.userId, customer.userId);
		assert.deepEqual(again.users.map(({ role }) => role), [3, 2]);
		await kim.until('activated', 2);
		assert.deepEqual([sam.heard(), ada.heard()], [['joined', 'activated'], ['activated']]);
		await end(all);
	},

	/** A disconnect leaves no socket open. */
	async 9() {
		const all = await session();
		const sockets = [all.kim, all.sam, all.ada].flatMap(({ page }) => [...page.sockets]);
		assert.equal(sockets.length, transport === 'websocket' ? 3 : 0);
		const closed = Promise.all(sockets.map((socket) => once(socket, 'close')));
		await end(all);
		await wait('the end of the sockets', (resolve) => closed.then(resolve));
		assert.deepEqual([all.kim, all.sam, all.ada].map(({ page }) => page.sockets.size), [0, 0, 0]);
	},
};

/** What the server under test has come to. */
async function control() {
	const answer = await fetch(new URL('/control/stats', base));
	return answer.json();
}

// Side by side: most of them wait most of the time.
await Promise.all(rows.map(async (row) => {
	const failure = await stories[row]().then(() => '', (error) => error.stack);
	console.log(JSON.stringify({ row, failure }));
}));
process.exit(0);
