// A network that can be bad: a TCP relay in front of the service. It reads the
// head of each connection to know whose it is, and can then cut, refuse or slow
// down the streams of one side without touching the others.

import net from 'node:net';

/** @typedef {'sharer' | 'viewer' | 'other'} Side whose stream; other is everything that is no stream */

/**
 * @typedef {object} Link one relayed connection
 * @property {Side} side
 * @property {string} target path and query of its first request
 * @property {net.Socket} client
 * @property {net.Socket} server
 */

export class SlowLink {
	/** @type {Set<Link>} */
	#links = new Set();
	/** @type {(link: {side: Side, target: string}) => boolean} */
	#refused = () => false;
	/** @type {(link: {side: Side, target: string}) => boolean} */
	#stalled = () => false;
	/** @type {net.Server} */
	#server;
	/** Where the service listens. */
	port = 0;

	constructor() {
		this.#server = net.createServer({ pauseOnConnect: false }, (client) => this.#accept(client));
	}

	/** Listens on a free port and returns it. */
	async listen() {
		await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
		return /** @type {net.AddressInfo} */ (this.#server.address()).port;
	}

	close() {
		this.#server.close();
		for (const link of this.#links) {
			drop(link);
		}
	}

	/**
	 * Cuts the streams that match and refuses new ones until the returned function is called.
	 * @param {(link: {side: Side, target: string}) => boolean} match
	 */
	cut(match) {
		this.#refused = match;
		for (const link of this.#links) {
			if (match(link)) {
				drop(link);
			}
		}
		return () => {
			this.#refused = () => false;
		};
	}

	/**
	 * Takes nothing more from the service for the streams that match, as a network
	 * that has stopped moving, until the returned function is called.
	 * @param {(link: {side: Side, target: string}) => boolean} match
	 */
	stall(match) {
		this.#stalled = match;
		for (const link of this.#links) {
			if (match(link)) {
				link.server.pause();
			}
		}
		return () => {
			this.#stalled = () => false;
			for (const link of this.#links) {
				link.server.resume();
			}
		};
	}

	/** How many connections of a side are open. @param {Side} side */
	open(side) {
		return [...this.#links].filter((link) => link.side === side).length;
	}

	/** @param {net.Socket} client */
	#accept(client) {
		let head = Buffer.alloc(0);
		client.on('error', () => client.destroy());
		const hear = (/** @type {Buffer} */ chunk) => {
			head = Buffer.concat([head, chunk]);
			const end = head.indexOf('\r\n');
			if (end < 0) {
				return;
			}
			client.off('data', hear);
			client.pause();
			this.#relay(client, head, head.subarray(0, end).toString().split(' ')[1] ?? '');
		};
		client.on('data', hear);
	}

	/**
	 * @param {net.Socket} client
	 * @param {Buffer} head what it sent already
	 * @param {string} target
	 */
	#relay(client, head, target) {
		const [path, query] = target.split('?');
		/** @type {Side} */
		const side = !path.endsWith('/stream') ? 'other' : query?.includes('participant=') ? 'viewer' : 'sharer';
		if (this.#refused({ side, target })) {
			client.destroy();
			return;
		}
		const server = net.connect(this.port, '127.0.0.1');
		const link = { side, target, client, server };
		this.#links.add(link);
		const over = () => {
			this.#links.delete(link);
			drop(link);
		};
		for (const socket of [client, server]) {
			socket.setNoDelay(true);
			socket.on('error', over);
			socket.on('close', over);
		}
		server.write(head);
		server.on('data', (chunk) => {
			if (!client.write(chunk) || this.#stalled(link)) {
				server.pause();
			}
		});
		client.on('drain', () => {
			if (!this.#stalled(link)) {
				server.resume();
			}
		});
		client.on('data', (chunk) => {
			if (!server.write(chunk)) {
				client.pause();
				server.once('drain', () => client.resume());
			}
		});
		client.on('end', () => server.end());
		server.on('end', () => client.end());
		client.resume();
	}
}

/** @param {Link} link */
function drop(link) {
	link.client.destroy();
	link.server.destroy();
}
