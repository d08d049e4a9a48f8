// The words of this edition: those of the customer script, some of them in the old
// product's manner, some more, and those that the page gives.

/** @type {Record<string, Record<string, string>>} */
const builtIn = {
	en: {
		start: 'Co-browsing', panel: 'Co-browsing', stop: 'End co-browsing',
		'question.head': 'Are you on the phone or in a chat with an agent?',
		'question.text': 'Co-browsing shows this page to the agent with whom you are in contact right now.',
		'question.yes': 'Yes', 'question.no': 'No',
		'hint.head': 'Please get in contact first', 'hint.text': 'Call us or start a chat. Then press Co-browsing again.',
		joined: '{name} has joined', pointer: '{name} can only point now',
	},
	de: {
		start: 'Co-Browsing', panel: 'Co-Browsing', stop: 'Co-Browsing beenden',
		'question.head': 'Telefonieren oder chatten Sie gerade mit uns?',
		'question.text': 'Co-Browsing zeigt diese Seite der Person, mit der Sie gerade im Kontakt sind.',
		'question.yes': 'Ja', 'question.no': 'Nein',
		'hint.head': 'Bitte nehmen Sie zuerst Kontakt auf', 'hint.text': 'Rufen Sie uns an oder beginnen Sie einen Chat. Drücken Sie danach noch einmal auf Co-Browsing.',
		joined: '{name} ist beigetreten', pointer: '{name} kann jetzt nur noch zeigen',
	},
};

// What the customer agrees to is the service's to say: which words that were is in the record.
const fixed = /^(lang$|consent\.|ask\.|(agree|allow|notNow|deny)$)/;

/** @type {Record<string, string>} */
let given = {};

/**
 * Takes the page's words. They are shown as text, whatever is in them.
 * @param {any} words by key
 * @returns {string[]} keys of words that are not taken
 */
export const localise = (words) => {
	given = {};
	const refused = [];
	for (const [key, word] of Object.entries(words && typeof words === 'object' ? words : {})) {
		if (typeof word === 'string' && !fixed.test(key)) given[key] = word;
		else refused.push(key);
	}
	return refused;
};

/**
 * A word that is not the customer script's.
 * @param {string} key
 * @param {string} language such as de-AT
 * @returns {string|undefined}
 */
export const ownWord = (key, language) => {
	if (Object.hasOwn(given, key)) return given[key];
	const words = builtIn[String(language).slice(0, 2).toLowerCase()] ?? builtIn.en;
	return Object.hasOwn(words, key) ? words[key] : undefined;
};
