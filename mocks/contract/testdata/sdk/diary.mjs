/**
 * What came over the WebSocket of a notification channel, in order. It is read from
 * the front: a frame that was looked at, or passed over, does not count again.
 */

import { once } from 'node:events';
import { WebSocket } from 'ws';

/** Every wait ends, in milliseconds. */
const patience = 15_000;

export class Diary {
	/** @param {string} connectUri of a channel; it needs no access token */
	constructor(connectUri) {
		this.frames = [];
		this.socket = new WebSocket(connectUri);
		this.socket.on('message', (text, binary) => {
			this.frames.push(binary ? { topicName: 'a binary frame' } : JSON.parse(text.toString()));
			this.look?.();
		});
		this.closed = once(this.socket, 'close').then(([code]) => code);
	}

	/** Waits until the channel is connected: its first heartbeat came. */
	async open() {
		await this.next('channel.metadata', ({ message }) => message === 'WebSocket Heartbeat');
	}

	/** @param {object} frame */
	send(frame) {
		this.socket.send(JSON.stringify(frame));
	}

	/**
	 * Waits for the next frame of a topic that is wanted, passing over the others.
	 *
	 * @param {string} topic
	 * @param {(eventBody: any) => boolean} wanted
	 */
	next(topic, wanted) {
		const passed = [];
		return new Promise((resolve, reject) => {
			const late = setTimeout(() => {
				this.look = undefined;
				reject(new Error(`nothing wanted came on ${topic}; what came:\n${passed.map((frame) => JSON.stringify(frame)).join('\n')}`));
			}, patience);
			this.look = () => {
				for (let i = 0; i < this.frames.length; i++) {
					const frame = this.frames[i];
					if (frame.topicName === topic && wanted(frame.eventBody)) {
						this.frames.splice(0, i + 1);
						this.look = undefined;
						clearTimeout(late);
						resolve(frame);
						return;
					}
				}
				passed.splice(0, passed.length, ...this.frames);
			};
			this.look();
		});
	}

	/** Waits until the service closes the socket, and returns the close code. */
	end() {
		return Promise.race([
			this.closed,
			new Promise((_, reject) => { setTimeout(() => reject(new Error('the socket stays open')), patience).unref(); }),
		]);
	}
}
