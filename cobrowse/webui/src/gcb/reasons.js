// Why a session ended, in the old product's words.

// Our end reasons, and what keeps a page from a session: codes of the API and of
// the script. What is not here is an error.
const reasons = {
	'': 'self', // the customer, in this tab
	participantLeft: 'external', conversationEnded: 'external', stopped: 'external', ended: 'external', removed: 'external',
	inactive: 'inactivityTimeout', neverJoined: 'inactivityTimeout',
	connectionLost: 'timeout', maxDuration: 'timeout',
	'not.found': 'timeout', 'cobrowse.session.ended': 'timeout', 'resume.invalid': 'timeout',
	'join.token.invalid': 'timeout', 'join.token.expired': 'timeout', 'join.token.used': 'timeout',
	lost: 'serverUnavailable', unavailable: 'serverUnavailable',
	'cobrowse.agent.busy': 'sessionsOverLimit',
};

/**
 * The reason that onSessionEnded says.
 * @param {string} why end reason of a session; empty = the customer has left
 * @returns {'self'|'external'|'timeout'|'inactivityTimeout'|'serverUnavailable'|'sessionsOverLimit'|'error'}
 */
export const reasonOf = (why) => /** @type {any} */ (Object.hasOwn(reasons, why) ? reasons[why] : 'error');

/**
 * The same when something failed: a code. None says nothing about the customer.
 * @param {string|undefined} code
 */
export const reasonOfFailure = (code) => (code ? reasonOf(code) : 'error');
