/**
 * What the clients need of a browser, over Node's own HTTP: one cookie jar, one
 * origin, XMLHttpRequest, WebSocket, and scripts as JSONP has them.
 */

import vm from 'node:vm';
import WebSocket from 'ws';

/** Where the page of all clients is from. */
export const origin = 'https://shop.example';

class XMLHttpRequest {
	static UNSENT = 0;
	readyState = 0;
	status = 0;
	statusText = '';
	responseText = '';
	#headers = { origin };
	#stop = new AbortController();

	open(method, url) {
		Object.assign(this, { method, url, readyState: 1 });
	}

	setRequestHeader(name, value) {
		this.#headers[name] = value;
	}

	/** Answers that a browser would not show to the page are errors. */
	async send(body) {
		try {
			const answer = await fetch(this.url, { method: this.method, headers: this.#headers, body, signal: this.#stop.signal });
			const text = await answer.text();
			if (answer.headers.get('access-control-allow-origin') !== origin || answer.headers.get('access-control-allow-credentials') !== 'true') {
				throw new Error('refused by CORS');
			}
			Object.assign(this, { status: answer.status, statusText: answer.statusText, responseText: text, readyState: 4 });
		} catch (error) {
			this.readyState = 4;
			(error.name === 'AbortError' ? this.onabort : this.onerror)?.();
			return;
		}
		this.onload?.();
	}

	abort() {
		this.#stop.abort();
	}
}

/** The sockets that are open, so that a test can see that none is left. */
export const sockets = new Set();

class Socket extends WebSocket {
	constructor(url) {
		super(url, { origin });
		sockets.add(this);
		this.addEventListener('close', () => sockets.delete(this));
	}
}

const head = {
	async appendChild(script) {
		// Two clients in one window choose the same names.
		const name = new URL(script.src).searchParams.get('jsonp');
		const callback = globalThis[name];
		try {
			const answer = await fetch(script.src, { headers: { referer: `${origin}/page` } });
			const type = answer.headers.get('content-type') ?? '';
			if (!answer.ok || !type.startsWith('text/javascript')) {
				throw new Error(`${answer.status} ${type}`);
			}
			globalThis[name] = callback;
			vm.runInThisContext(await answer.text());
		} catch (error) {
			script.onerror?.({ type: String(error) });
		}
	},
	removeChild() {},
};

Object.assign(globalThis, {
	window: globalThis,
	XMLHttpRequest,
	WebSocket: Socket,
	location: { host: 'shop.example' },
	document: { getElementsByTagName: () => [head], createElement: () => ({}) },
});

/**
 * @param {string} version '3', '5' or '9'
 * @returns {Promise<{CometD: Function, AckExtension: Function}>}
 */
export async function load(version) {
	if (version === '9') {
		return import('cometd9');
	}
	const { CometD } = (await import(`cometd${version}/cometd.js`)).default;
	return { CometD, AckExtension: (await import(`cometd${version}/AckExtension.js`)).default };
}
