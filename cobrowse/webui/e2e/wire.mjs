// All that a browser sent and received: every frame of every WebSocket, and every
// request with its address, its headers and its body.

export class Wire {
	/** Frames that left, in order. @type {string[]} */
	sent = [];
	/** Frames that came, in order. @type {string[]} */
	received = [];
	/** Requests: method, address, headers and body. @type {string[]} */
	requests = [];

	/** @param {import('playwright-core').BrowserContext} context */
	constructor(context) {
		context.on('page', (page) => {
			page.on('websocket', (socket) => {
				socket.on('framesent', ({ payload }) => this.sent.push(String(payload)));
				socket.on('framereceived', ({ payload }) => this.received.push(String(payload)));
			});
		});
		context.on('request', (request) => {
			this.requests.push([request.method(), request.url(), JSON.stringify(request.headers()), request.postDataBuffer()?.toString() ?? ''].join(' '));
		});
	}

	/** Frames of one kind, decoded. @param {'sent' | 'received'} way @param {string} kind */
	frames(way, kind) {
		return this[way].filter((frame) => frame.startsWith(`{"t":"${kind}"`)).map((frame) => JSON.parse(frame));
	}

	/** Everything that left the browser towards the service. @param {string} service its base URL */
	left(service) {
		return [...this.sent, ...this.requests.filter((request) => request.includes(service))];
	}
}

/**
 * Where a secret, or a part of it that would give it away, stands in the texts. Secrets are looked for as they are,
 * without their spaces, and by each piece of six or more letters and digits.
 * @param {string[]} texts
 * @param {string[]} secrets
 * @returns {string[]} one line per find
 */
export function leaks(texts, secrets) {
	/** @type {string[]} */
	const found = [];
	for (const secret of secrets) {
		const forms = new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), secret.replaceAll(/\s/g, ''), ...parts(secret)]);
		for (const form of forms) {
			const text = form.length >= 4 ? texts.find((t) => t.includes(form)) : undefined;
			if (text !== undefined) {
				const at = text.indexOf(form);
				found.push(`${secret} (as ${form}) in …${text.slice(Math.max(0, at - 160), at + 160)}…`);
				break;
			}
		}
	}
	return found;
}

/**
 * What typing a secret leaves behind when it is sent as it grows: its beginnings of six letters and more.
 * @param {string} secret
 */
function parts(secret) {
	const all = [];
	for (let end = 6; end < secret.length; end++) {
		all.push(secret.slice(0, end));
	}
	return all;
}
