/**
 * Browsers of several people in one process: each has cookies of its own and may
 * lose its connection. The published clients and what they need of a window are
 * those of package bayeux.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';

const clients = new URL('../../bayeux/testdata/clients/window.mjs', import.meta.url);
const { load, origin } = await import(clients);
const WebSocket = createRequire(clients)('ws');

export { load, origin };

/** Whose page runs: it stays the same in whatever the page has started. */
const current = new AsyncLocalStorage();

export class Page {
	offline = false;
	/** WebSockets that are open. */
	sockets = new Set();
	#cookies = new Map();
	#waiting = new Set();
	/** Fulfilled when the computer that sleeps wakes up. */
	awake;
	#wake;

	/**
	 * @template T
	 * @param {() => T} what
	 * @returns {T} what it returns
	 */
	run(what) {
		return current.run(this, what);
	}

	/** The computer sleeps: nothing that is under way arrives, and that is noticed afterwards. */
	sleep() {
		this.offline = true;
		this.awake = new Promise((resolve) => { this.#wake = resolve; });
		for (const stop of this.#waiting) {
			stop.abort(lost());
		}
		for (const socket of this.sockets) {
			socket.terminate();
		}
	}

	wake() {
		this.offline = false;
		this.#wake();
	}

	get cookie() {
		return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
	}

	/** @param {string[]} lines of Set-Cookie */
	keep(lines) {
		for (const line of lines) {
			const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
			this.#cookies.set(name, value);
		}
	}

	/** @param {string} name */
	cookieOf(name) {
		return this.#cookies.get(name);
	}

	async fetch(url, options = {}) {
		if (this.offline) {
			await this.awake;
			throw lost();
		}
		const stop = new AbortController();
		this.#waiting.add(stop);
		try {
			const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
			const answer = await network(url, { ...options, signal, headers: { ...options.headers, cookie: this.cookie } });
			this.keep(answer.headers.getSetCookie());
			const text = await answer.text();
			return { ok: answer.ok, status: answer.status, statusText: answer.statusText, headers: answer.headers, text: async () => text, json: async () => JSON.parse(text) };
		} catch (error) {
			if (this.offline) {
				await this.awake;
			}
			throw error;
		} finally {
			this.#waiting.delete(stop);
		}
	}

	/** Asks the REST API as a page of the shop does. */
	rest(method, url) {
		return this.fetch(url, { method, headers: { origin } });
	}
}

function lost() {
	return new TypeError('the connection is lost');
}

const network = globalThis.fetch;
globalThis.fetch = (url, options) => (current.getStore()?.fetch(url, options) ?? network(url, options));

globalThis.WebSocket = class extends WebSocket {
	#page = current.getStore();

	constructor(url) {
		const page = current.getStore();
		super(url, { origin, headers: { cookie: page.cookie } });
		this.on('upgrade', (answer) => page.keep(answer.headers['set-cookie'] ?? []));
		page.sockets.add(this);
		this.addEventListener('close', () => page.sockets.delete(this));
	}

	emit(name, ...args) {
		if (this.#page.offline) {
			this.#page.awake.then(() => this.#page.run(() => super.emit(name, ...args)));
			return true;
		}
		return super.emit(name, ...args);
	}
};
