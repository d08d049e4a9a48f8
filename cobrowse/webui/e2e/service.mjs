// The program under test, as its users start it: the demonstration, or a service
// with a configuration of its own behind a network that can be bad.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { SlowLink } from './slowlink.mjs';

const binary = process.env.COBRIDGE_E2E_BINARY ?? fail('COBRIDGE_E2E_BINARY has to name the program');
const startLimit = 30_000; // ms

/** @param {string} why @returns {never} */
function fail(why) {
	throw new Error(why);
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => {
	for (const child of running) {
		child.kill('SIGKILL');
	}
});

/**
 * Starts the program and waits for the line that says where it listens.
 * @param {string[]} args
 * @param {'stdout' | 'stderr'} stream
 * @param {(line: string) => any} ready what the line says, or undefined
 */
async function start(args, stream, ready) {
	// The program takes COBRIDGE_ variables for its configuration.
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('COBRIDGE_')));
	const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
	running.add(child);
	const ended = new Promise((resolve) => child.once('close', resolve));
	void ended.then(() => running.delete(child));
	/** @type {string[]} */
	const log = [];
	const said = await new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`the program does not listen:\n${log.join('\n')}`)), startLimit);
		void ended.then((code) => reject(new Error(`the program ended with ${code}:\n${log.join('\n')}`)));
		for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
			createInterface(child[name]).on('line', (line) => {
				log.push(line);
				const found = name === stream ? ready(line) : undefined;
				if (found !== undefined) {
					clearTimeout(timer);
					resolve(found);
				}
			});
		}
	});
	const stop = async () => {
		child.kill('SIGTERM');
		const late = setTimeout(() => child.kill('SIGKILL'), startLimit);
		await ended;
		clearTimeout(late);
	};
	return { said, log, stop };
}

/**
 * The demonstration. info is its line of JSON.
 */
export async function startDemo() {
	const { said, log, stop } = await start(['demo', '--json', '--listen', '127.0.0.1:0'], 'stdout', (line) => JSON.parse(line));
	const api = new API(said.baseUrl, said.clientId, said.clientSecret);
	return { info: said, api, log, stop };
}

const ids = { org: randomUUID(), agent: randomUUID(), supervisor: randomUUID(), client: randomUUID() };
const secret = `e2e-${randomUUID()}-${randomUUID()}`;

/**
 * @typedef {object} Deployment as in the configuration file, without what is the same for all
 * @property {string} [startUrl]
 */

/**
 * A service with one organisation, an agent, a supervisor, and the given
 * deployments by name. Everybody reaches it through link.
 * @param {object} options
 * @param {string[]} options.origins of the customers' web sites
 * @param {Record<string, Record<string, any>>} options.deployments rules by name
 * @param {Record<string, any> | ((about: {port: number, deploymentIds: Record<string, string>}) => Record<string, any>)} [options.settings] of the configuration file
 */
export async function startService({ origins, deployments, settings = {} }) {
	const link = new SlowLink();
	const port = await link.listen();
	const dir = mkdtempSync(path.join(tmpdir(), 'cobridge-e2e-'));
	/** @type {Record<string, string>} */
	const deploymentIds = {};
	for (const name of Object.keys(deployments)) {
		deploymentIds[name] = randomUUID();
	}
	const file = path.join(dir, 'cobridge.yaml'); // JSON is YAML
	writeFileSync(file, JSON.stringify({
		listen: '127.0.0.1:0',
		baseUrl: `http://127.0.0.1:${port}`,
		store: `bolt:${path.join(dir, 'store.db')}`,
		log: { format: 'json' },
		limits: { startsPerMinute: 0, addressPerMinute: 0, tokenPerMinute: 0 },
		// The scenarios leave sessions behind, and have one agent.
		session: { oneSessionPerAgent: false },
		...(typeof settings === 'function' ? settings({ port, deploymentIds }) : settings),
		organisations: [{
			id: ids.org,
			name: 'Example',
			users: [
				{ id: ids.agent, name: 'Ada Agent', cobrowse: { voice: true, digital: true } },
				{ id: ids.supervisor, name: 'Sam Supervisor', cobrowse: { voice: true, digital: true } },
			],
			clients: [{ id: ids.client, name: 'e2e', secret, scopes: ['cobrowse:session:read', 'cobrowse:session:write', 'conversations:read', 'conversations:write', 'user:read'] }],
			deployments: Object.entries(deployments).map(([name, rules]) => ({
				id: deploymentIds[name], name, allowedOrigins: origins, startUrl: `${origins[0]}/`, allowAgentControl: true, allowAgentNavigation: true, allowDraw: true, ...rules,
			})),
		}],
	}, null, '\t'));
	const { said, log, stop } = await start(['serve', '--config', file], 'stderr', (line) => {
		const entry = line.startsWith('{') ? JSON.parse(line) : {};
		return entry.msg === 'listening' ? entry : undefined;
	});
	link.port = Number(/** @type {string} */ (said.address).split(':').pop());
	const baseUrl = `http://127.0.0.1:${port}`;
	return {
		baseUrl,
		link,
		log,
		deploymentIds,
		api: new API(baseUrl, ids.client, secret),
		stop: async () => {
			link.close();
			await stop();
			rmSync(dir, { recursive: true, force: true });
		},
	};
}

/** What an integration does, over HTTP. */
export class API {
	#base;
	#client;
	#secret;
	#token = '';

	/** @param {string} base @param {string} client @param {string} clientSecret */
	constructor(base, client, clientSecret) {
		this.#base = base;
		this.#client = client;
		this.#secret = clientSecret;
	}

	/**
	 * Calls the API; anything but 2xx is thrown, unless status is expected.
	 * @param {string} method
	 * @param {string} target
	 * @param {any} [body]
	 * @param {number} [status] the expected one
	 */
	async call(method, target, body, status) {
		if (!this.#token) {
			const answer = await fetch(`${this.#base}/oauth/token`, {
				method: 'POST',
				body: new URLSearchParams({ grant_type: 'client_credentials', client_id: this.#client, client_secret: this.#secret }),
			});
			this.#token = /** @type {any} */ (await answer.json()).access_token ?? fail(`no access token: ${answer.status}`);
		}
		const answer = await fetch(this.#base + target, {
			method,
			headers: { authorization: `Bearer ${this.#token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
			body: body ? JSON.stringify(body) : undefined,
		});
		const text = await answer.text();
		if (status ? answer.status !== status : !answer.ok) {
			throw new Error(`${method} ${target} = ${answer.status} ${text}`);
		}
		return text ? JSON.parse(text) : undefined;
	}

	/** A conversation with a customer and the agent. @returns {Promise<string>} its id */
	async conversation(agent = ids.agent) {
		const made = await this.call('POST', '/api/v2/conversations', {
			mediaType: 'call',
			participants: [{ purpose: 'customer', name: 'Kim Customer' }, { purpose: 'agent', userId: agent }],
		});
		return made.id;
	}

	/**
	 * A session on a new conversation.
	 * @param {{role: string, userId?: string, name?: string}[]} participants
	 * @returns {Promise<{id: string, joinUrl: (role: string) => string}>}
	 */
	async session(participants, more = {}) {
		const made = await this.call('POST', '/api/v2/cobrowse/sessions', { conversationId: await this.conversation(), participants, ...more });
		return { id: made.id, joinUrl: (role) => made.participants.find((/** @type {any} */ p) => p.role === role).joinUrl };
	}

	/**
	 * Ties a session that a customer's page started to a conversation of the agent, and lets a supervisor in.
	 * @param {string} sessionToken nine digits
	 */
	async attach(sessionToken) {
		const made = await this.call('POST', '/api/v2/cobrowse/sessions/attach', {
			sessionToken, conversationId: await this.conversation(), participant: { userId: ids.agent, role: 'agent' },
		});
		return { id: made.id, agent: made.participants.find((/** @type {any} */ p) => p.role === 'agent').joinUrl };
	}

	/** Lets the supervisor in as well. @param {string} session @returns {Promise<string>} the join URL */
	async supervisor(session) {
		return (await this.call('POST', `/api/v2/cobrowse/sessions/${session}/participants`, { userId: ids.supervisor, role: 'supervisor' })).joinUrl;
	}

	/** @param {string} session */
	async end(session) {
		await this.call('DELETE', `/api/v2/cobrowse/sessions/${session}`);
	}

	/** The history record. @param {string} session */
	async record(session) {
		return this.call('GET', `/api/v2/cobrowse/history/${session}`);
	}
}

export { ids };
