/**
 * One story, told by one version of the client over one transport:
 *
 *   node stories.mjs <story> <version> <transport> <url>
 *
 * The server is that of clients_test.go, with the channels the stories speak of.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { load, sockets } from './window.mjs';

const [story, version, transport, url] = process.argv.slice(2);
const { CometD, AckExtension } = await load(version);

/** Every wait ends. */
const patience = 15_000;

/**
 * @template T
 * @param {string} what
 * @param {(resolve: (value: T) => void, reject: (error: Error) => void) => void} start
 * @returns {Promise<T>}
 */
function wait(what, start) {
	return new Promise((resolve, reject) => {
		const late = setTimeout(() => reject(new Error(`${what}: nothing came`)), patience);
		start((value) => { clearTimeout(late); resolve(value); }, reject);
	});
}

/** The name of the transport in use: a method until version 5. */
function typeOf(cometd) {
	const used = cometd.getTransport();
	return used.type ?? used.getType();
}

/** A client with a diary of all that came, in order. */
class Person {
	constructor(options = {}) {
		this.cometd = new CometD();
		for (const type of this.cometd.getTransportTypes()) {
			if (type !== transport && !options.all) {
				this.cometd.unregisterTransport(type);
			}
		}
		if (options.ack) {
			this.cometd.registerExtension('ack', new AckExtension());
		}
		this.cometd.configure({ url, logLevel: 'warn', ...options.configure });
		this.diary = [];
		this.watchers = new Set();
		for (const channel of ['/service/test/joined', '/service/test/activated', '/service/test/count', '/service/test/join', '/service/test/echo', '/meta/handshake']) {
			this.cometd.addListener(channel, (message) => this.note(channel, message));
		}
		this.cometd.addListener('/meta/unsuccessful', (message) => this.note('unsuccessful', message));
	}

	note(channel, message) {
		this.diary.push({ channel, message });
		for (const watcher of this.watchers) {
			watcher();
		}
	}

	/** Waits until the diary has what is looked for. */
	until(what, found) {
		return wait(what, (resolve) => {
			const look = () => {
				const result = found(this.diary);
				if (result) {
					this.watchers.delete(look);
					resolve(result);
				}
			};
			this.watchers.add(look);
			look();
		});
	}

	handshake() {
		return wait('handshake', (resolve) => this.cometd.handshake({}, resolve));
	}

	async arrive() {
		const reply = await this.handshake();
		assert.equal(reply.successful, true, JSON.stringify(reply));
		assert.equal(typeOf(this.cometd), transport);
		return this;
	}

	/** Publishes and waits for the acknowledgement. */
	publish(channel, data) {
		return wait(`ack on ${channel}`, (resolve) => this.cometd.publish(channel, data, resolve));
	}

	/** Asks in the other style, where the answer itself comes back. */
	async remoteCall() {
		const answer = await wait('remoteCall', (resolve) => this.cometd.remoteCall('test/echo', { call: 1 }, 5000, resolve));
		assert.deepEqual(answer.data, { call: 1 }, JSON.stringify(answer));
	}

	/** What came with data on the channels of the application, in order. */
	heard() {
		return this.diary.filter(({ message }) => message.data !== undefined).map(({ channel }) => channel.split('/').pop());
	}

	leave() {
		return wait('disconnect', (resolve) => this.cometd.disconnect(resolve));
	}
}

/** The control side of the server under test. */
async function control(what) {
	const answer = await fetch(new URL(`/control/${what}`, url));
	assert.equal(answer.status, 200);
	return answer.json();
}

const stories = {
	/** Both styles of asking, and refusals. */
	async calls() {
		const kim = await new Person().arrive();
		await kim.remoteCall();
		const ack = await kim.publish('/service/test/echo', { n: 2 });
		assert.equal(ack.successful, true);
		await kim.until('echo', (diary) => diary.find(({ message }) => message.data?.n === 2));
		const no = await kim.publish('/service/test/refuse', { token: '407215938' });
		assert.deepEqual([no.successful, no.error], [false, '404:407215938:No such session']);
		const refused = await kim.publish('/news', {});
		assert.deepEqual([refused.successful, refused.error], [false, '403:/news:Forbidden']);
		const subscribed = await wait('subscribe', (resolve) => kim.cometd.subscribe('/service/test/other', () => {}, {}, resolve));
		assert.equal(subscribed.successful, true);
		await wait('batch', (resolve) => kim.cometd.batch(() => {
			kim.cometd.publish('/service/test/echo', { n: 3 });
			kim.cometd.publish('/service/test/echo', { n: 4 }, resolve);
		}));
		await kim.until('both echoes', (diary) => [3, 4].every((n) => diary.some(({ message }) => message.data?.n === n)));
		await kim.leave();
	},

	/** Customer, controller and agent, as the legacy product has them. */
	async roles() {
		const [customer, controller, agent] = await Promise.all([1, 2, 3].map(() => new Person().arrive()));
		await customer.publish('/service/test/join', { role: 1 });
		await controller.publish('/service/test/join', { role: 3 });
		await agent.publish('/service/test/join', { role: 2 });
		for (const person of [customer, controller, agent]) {
			await person.until('activated', (diary) => diary.some(({ channel }) => channel.endsWith('activated')));
		}
		assert.deepEqual(customer.heard(), ['join', 'joined', 'joined', 'activated']);
		assert.deepEqual(controller.heard(), ['join', 'joined', 'activated']);
		assert.deepEqual(agent.heard(), ['join', 'activated']);
		await Promise.all([customer, controller, agent].map((person) => person.leave()));
	},

	/** Nothing happens for longer than the client's patience with an answer. */
	async idle() {
		const kim = await new Person({ configure: { maxNetworkDelay: 3000 } }).arrive();
		await new Promise((resolve) => setTimeout(resolve, 5000));
		assert.equal(kim.diary.filter(({ channel }) => channel === 'unsuccessful').length, 0);
		assert.equal(kim.diary.filter(({ channel }) => channel === '/meta/handshake').length, 1);
		await kim.remoteCall();
		await kim.leave();
	},

	/** The server has forgotten its clients: they come back by themselves. */
	async forgotten() {
		const kim = await new Person().arrive();
		await control('forget');
		await kim.until('second handshake', (diary) => diary.filter(({ channel, message }) => channel === '/meta/handshake' && message.successful).length === 2);
		await kim.remoteCall();
		await kim.leave();
	},

	/** A disconnect leaves nothing open: the server would wait for longer than we do. */
	async goodbye() {
		const kim = await new Person().arrive();
		const closed = Promise.all([...sockets].map((socket) => once(socket, 'close')));
		await kim.leave();
		await wait('the end of the socket', (resolve) => closed.then(resolve));
		assert.equal(sockets.size, 0);
	},

	/** Every event once and in order, over connections that break. */
	async acknowledged() {
		const kim = await new Person({ ack: true }).arrive();
		await kim.publish('/service/test/events', { count: 300 });
		for (let i = 0; i < 3; i++) {
			await new Promise((resolve) => setTimeout(resolve, 60));
			await control('cut');
		}
		await kim.until('all events', (diary) => diary.filter(({ channel }) => channel.endsWith('count')).length >= 300);
		assert.deepEqual(kim.diary.filter(({ channel }) => channel.endsWith('count')).map(({ message }) => message.data.n), Array.from({ length: 300 }, (_, i) => i));
		await kim.leave();
	},

	/** No transport in common ends the attempt for good. */
	async negotiation() {
		const kim = new Person();
		const reply = await kim.handshake();
		assert.equal(reply.successful, false);
		await new Promise((resolve) => setTimeout(resolve, 1500));
		assert.equal(kim.diary.filter(({ channel }) => channel === '/meta/handshake').length, 1);
		assert.equal(kim.cometd.isDisconnected(), true);
	},

	/** The application refuses: no second attempt. */
	async refused() {
		const kim = new Person({ configure: { url: `${url}?refuse` } });
		const reply = await wait('handshake', (resolve) => kim.cometd.handshake({ ext: { refuse: true } }, resolve));
		assert.deepEqual([reply.successful, reply.error], [false, '403::Not today']);
		await new Promise((resolve) => setTimeout(resolve, 1500));
		assert.equal(kim.diary.filter(({ channel }) => channel === '/meta/handshake').length, 1);
	},

	/** WebSocket is off at the server: the client finds the other way by itself. */
	async fallback() {
		const kim = new Person({ all: true });
		await kim.handshake();
		await kim.until('handshake', (diary) => diary.some(({ channel, message }) => channel === '/meta/handshake' && message.successful));
		assert.equal(typeOf(kim.cometd), transport);
		await kim.remoteCall();
		await kim.leave();
	},
};

await stories[story]();
console.log('told');
process.exit(0);
