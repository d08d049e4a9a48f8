// What the script element and the address say, and where the script's other parts are.

/**
 * @typedef {object} Options the same as the data attributes of the script element
 * @property {string} [base] address of the service, without a slash at its end
 * @property {string} [deployment] id
 * @property {string} [button] corner of the start button, or "none"
 * @property {string} [lang]
 * @property {string} [mask] CSS selectors; so are show, block and readonly
 * @property {string} [show]
 * @property {string} [block]
 * @property {string} [readonly]
 * @property {string} [text] "private" shows no text but what show names
 */

const script = document.currentScript;

/** @type {Options} */
export const options = { base: script?.src?.replace(/\/cobrowse\/js\/.*$/, '') ?? '', ...script?.dataset };

const parts = {};

/**
 * Loads a part of the script, once, when it is needed: it calls api.__name with what it is made of.
 * @param {Record<string, any>} api the global
 * @param {'control'|'lint'} name
 */
export const part = (api, name) => parts[name] ??= new Promise((resolve, reject) => {
	api[`__${name}`] = (...made) => resolve(made);
	// It lies beside the script, of the same version. Trusted Types have nothing
	// against import, and the script's own nonce holds for it.
	const beside = script?.src?.replace(/[^/]*$/, '') || `${options.base}/cobrowse/js/`;
	import(`${beside}cobridge-${name}.js`).catch(reject);
});

/** In a frame of its own site a page is shared with the page around it. */
export const framed = () => {
	try { return window !== top && top.location.origin === location.origin; } catch { return false; }
};

/** Takes the join token out of the address, and returns it. */
export const takeToken = () => {
	const found = /[#&]cobridge=([^&]*)/.exec(location.hash);
	if (!found) return '';
	const rest = location.hash.replace(found[0], '').replace(/^&/, '#');
	history.replaceState(history.state, '', location.pathname + location.search + rest);
	return decodeURIComponent(found[1]);
};
