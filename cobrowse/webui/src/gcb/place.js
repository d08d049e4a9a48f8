// Where the script comes from, and so where the service is.

const ids = ['genesys-js', 'gcb-js']; // seen in pages

/**
 * The page's script element. While the script runs the browser says so itself,
 * unless something else has fetched and run it.
 * @param {Document} page
 * @returns {any} an element, or null
 */
export const findScript = (page) => {
	const current = /** @type {any} */ (page.currentScript);
	if (current && (current.dataset?.gcbUrl || /\/gcb\.min\.js/.test(current.src))) return current;
	return ids.map((id) => page.getElementById(id)).find((el) => el?.localName === 'script')
		?? page.querySelector('script[data-gcb-url]') ?? page.querySelector('script[src*="/gcb.min.js"]');
};

/**
 * The old application's address, without a slash at its end; '' if the page does not say it.
 * @param {any} script element, or null
 * @param {any} genesys window._genesys
 * @param {string} page address that relative ones start from
 */
export const appOf = (script, genesys, page) => {
	const widget = genesys?.widgets?.cobrowse;
	const ofFile = (address) => (/^(.*)\/js\/(?:[0-9a-f]{12}\/)?gcb\.min\.js(?:[?#]|$)/.exec(address ?? '') ?? [])[1];
	for (const given of [script?.dataset?.gcbUrl, ofFile(script?.src), widget?.url, ofFile(widget?.src)]) {
		if (!given) continue;
		try {
			const { protocol, origin, pathname } = new URL(given, page);
			if (/^https?:$/.test(protocol)) return origin + pathname.replace(/\/+$/, '');
		} catch { /* none that leads anywhere */ }
	}
	return '';
};
