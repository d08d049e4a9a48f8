// Web sites of customers: a server on loopback with pages of the tests and pages
// that others built and published.

import { readFile, stat } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

/** @type {Record<string, string>} */
const types = {
	'.css': 'text/css; charset=utf-8',
	'.html': 'text/html; charset=utf-8',
	'.ico': 'image/x-icon',
	'.jpg': 'image/jpeg',
	'.js': 'text/javascript; charset=utf-8',
	'.json': 'application/json',
	'.mjs': 'text/javascript; charset=utf-8',
	'.png': 'image/png',
	'.svg': 'image/svg+xml',
	'.woff': 'font/woff',
	'.woff2': 'font/woff2',
};

/**
 * @typedef {{status?: number, headers?: Record<string, string>, body?: string | Buffer}} Answer
 * @typedef {(request: http.IncomingMessage) => Answer | Promise<Answer | undefined> | undefined} Handler
 */

export class Site {
	/** @type {{prefix: string, handle: Handler}[]} */
	#mounts = [];
	/** Paths that were asked for. @type {string[]} */
	requests = [];
	origin = '';
	/** Stands in the head of each page: the service's script. */
	script = '';
	#server;

	constructor() {
		this.#server = http.createServer((request, response) => {
			void this.#answer(request).then(({ status = 200, headers = {}, body = '' }) => {
				response.writeHead(status, { 'cache-control': 'no-store', ...headers }).end(body);
			});
		});
	}

	/** @param {string} [host] as browsers name it */
	async listen(host = '127.0.0.1') {
		await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
		this.origin = `http://${host}:${/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port}`;
		return this;
	}

	close() {
		this.#server.closeAllConnections();
		this.#server.close();
	}

	/**
	 * Sets the tag that embeds the customer script.
	 * @param {string} base of the service
	 * @param {string} deployment
	 * @param {string} [more] attributes
	 */
	embed(base, deployment, more = '') {
		this.script = tag(base, deployment, more);
	}

	/** The longest prefix wins. @param {string} prefix @param {Handler} handle */
	mount(prefix, handle) {
		this.#mounts.push({ prefix, handle });
		this.#mounts.sort((a, b) => b.prefix.length - a.prefix.length);
		return this;
	}

	/**
	 * A page as HTML; the customer script's tag takes the place of %script%, else it goes to the end of the head.
	 * @param {string} target
	 * @param {string} html
	 * @param {Record<string, string>} [headers]
	 */
	page(target, html, headers = {}) {
		return this.mount(target, (request) => {
			if (new URL(/** @type {string} */ (request.url), this.origin).pathname !== target) {
				return undefined;
			}
			return { headers: { 'content-type': types['.html'], ...headers }, body: this.#withScript(html) };
		});
	}

	/** A file for the target. @param {string} target @param {string} type @param {string} body */
	file(target, type, body) {
		return this.mount(target, () => ({ headers: { 'content-type': types[type] }, body }));
	}

	/**
	 * What a directory holds, with the customer script in each page.
	 * @param {string} prefix
	 * @param {string} dir relative to this one
	 */
	directory(prefix, dir) {
		return this.mount(prefix, async (request) => {
			const { pathname } = new URL(/** @type {string} */ (request.url), this.origin);
			let file = path.join(here, dir, path.normalize(decodeURIComponent(pathname.slice(prefix.length))));
			try {
				if ((await stat(file)).isDirectory()) {
					file = path.join(file, 'index.html');
				}
				const content = await readFile(file);
				const type = types[path.extname(file)] ?? 'application/octet-stream';
				return { headers: { 'content-type': type }, body: type === types['.html'] ? this.#withScript(content.toString()) : content };
			} catch {
				return undefined;
			}
		});
	}

	/** React and what draws it, as one script that defines React and ReactDOM. @param {string} target */
	react(target) {
		return this.mount(target, async () => {
			const modules = { scheduler: 'scheduler/cjs/scheduler.production.js', react: 'react/cjs/react.production.js', 'react-dom': 'react-dom/cjs/react-dom.production.js', client: 'react-dom/cjs/react-dom-client.production.js' };
			let body = 'const have = {}; const require = (name) => have[name];\n';
			for (const [name, file] of Object.entries(modules)) {
				const [pkg, ...rest] = file.split('/');
				const source = await readFile(path.join(path.dirname(require.resolve(`${pkg}/package.json`)), ...rest), 'utf8');
				body += `(() => { const module = { exports: {} }; const exports = module.exports; const process = { env: {} };\n${source}\n;have[${JSON.stringify(name)}] = module.exports; })();\n`;
			}
			return { headers: { 'content-type': types['.js'] }, body: `(() => {\n${body}window.React = have.react; window.ReactDOM = have.client;\n})();` };
		});
	}

	/** @param {string} html */
	#withScript(html) {
		if (html.includes('%script%')) {
			return html.replace('%script%', this.script);
		}
		return /<\/head>/i.test(html) ? html.replace(/<\/head>/i, (end) => this.script + end) : this.script + html;
	}

	/** @param {http.IncomingMessage} request @returns {Promise<Answer>} */
	async #answer(request) {
		const target = /** @type {string} */ (request.url);
		this.requests.push(target);
		const { pathname } = new URL(target, this.origin);
		for (const { prefix, handle } of this.#mounts) {
			const answer = pathname.startsWith(prefix) ? await handle(request) : undefined;
			if (answer) {
				return answer;
			}
		}
		return { status: 404, headers: { 'content-type': 'text/plain' }, body: 'nothing here' };
	}
}

/** @param {string} base @param {string} deployment @param {string} more */
export function tag(base, deployment, more = '') {
	return `<script async src="${base}/cobrowse/js/cobridge.js" data-deployment="${deployment}" ${more}></script>`;
}
