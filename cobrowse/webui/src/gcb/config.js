// The page's options, _genesys, and what of them has a meaning here.

/** Where the old products kept what we call an option, and what to say of it if it changes nothing. */
const without = {
	cometdConfig: 'there is no CometD between this script and the service',
	disableWebSockets: 'the page is sent over a WebSocket, there is no other way',
	setDocumentDomain: 'document.domain is left alone; frames of the same origin are shared with the page, others never are',
	enableStaticResourceService: 'nothing is uploaded; list the origins of pictures and fonts in assetOrigins of the deployment',
	apikey: 'the service knows the page by its origin',
};
const known = ['debug', 'disableBuiltInUI', 'primaryMedia', 'onReady', 'css', 'localization', 'cobrowse', ...Object.keys(without)];

const object = (it) => (it && typeof it === 'object' ? it : {});

/**
 * @typedef {object} Config
 * @property {boolean} enabled false: the page switches co-browsing off
 * @property {boolean} debug
 * @property {'left'|'right'} side of the built-in button
 * @property {boolean} button there is one
 * @property {boolean} headless no user interface of ours
 * @property {any} media the page's adapter, or null
 * @property {any} localization object or address; undefined = none
 * @property {any[]} owners where handlers of onReady are: objects with a member of that name
 * @property {Record<string, any>} effective what api.configuration says
 * @property {string[]} notes for the page's owner
 */

/**
 * @param {any} genesys window._genesys
 * @param {string} [address] of the script, whose query the hosted product used
 * @returns {Config}
 */
export const readConfig = (genesys, address = '') => {
	const g = object(genesys);
	const c = object(g.cobrowse);
	const notes = [];
	const note = (option, why) => notes.push(`co-browse: ${option} has no effect: ${why}`);
	const old = object(object(g.integration).buttons);
	const buttons = { ...old, ...object(g.buttons) };
	const given = { ...object(c.cobrowse), ...c };
	for (const option in without) if (given[option] || option === 'cometdConfig' && given[option] !== undefined) note(`cobrowse.${option}`, without[option]);
	if (!given.apikey && /[?&]apikey=/.test(address)) note('apikey in the address of the script', without.apikey);
	const css = object(given.css);
	if (css.server || css.browser === false) note('cobrowse.css', 'style sheets are read in the customer\'s browser, as with css.browser; nothing is fetched by the service');
	if (g.chat && g.chat !== true || buttons.chat === true) note('chat', 'this script has no chat');
	if (buttons.position !== undefined && !['left', 'right'].includes(buttons.position)) note('buttons.position', 'it is neither "left" nor "right"');
	const others = Object.keys(given).filter((name) => !known.includes(name));
	if (others.length) note(others.map((name) => `cobrowse.${name}`).join(', '), 'not known here');
	const effective = {
		debug: Boolean(g.debug || given.debug),
		disableBuiltInUI: Boolean(given.disableBuiltInUI),
		buttons: { position: buttons.position === 'right' ? 'right' : 'left', cobrowse: buttons.cobrowse !== false, chat: false },
		primaryMedia: given.primaryMedia ?? null,
		localization: given.localization,
	};
	return {
		enabled: g.cobrowse !== false, debug: effective.debug, side: effective.buttons.position, button: effective.buttons.cobrowse && !effective.disableBuiltInUI,
		headless: effective.disableBuiltInUI, media: effective.primaryMedia, localization: effective.localization,
		owners: [c, object(c.cobrowse), object(g.integration)].filter((owner) => owner.onReady !== undefined).slice(0, 1),
		effective: Object.freeze({ ...effective, buttons: Object.freeze(effective.buttons) }), notes,
	};
};

/**
 * Calls the page's handlers: a function, or several in an array, to which more may be pushed at any time.
 * @param {any} owner has the member onReady
 * @param {(fn: any) => void} call
 */
export const handReady = (owner, call) => {
	const given = owner?.onReady;
	if (!Array.isArray(given)) {
		call(given);
		return;
	}
	given.splice(0).forEach(call);
	given.push = (...more) => {
		more.forEach(call);
		return 0;
	};
};
