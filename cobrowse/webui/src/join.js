// The join page: redeems the join token and keeps its place over reloads. What
// follows is the session's window (viewer/session.js).

import { setup } from './viewer/page.js';
import { makeSession, storage, thisTab } from './viewer/session.js';

// Base of all paths: the page may lie behind a gateway's prefix.
const base = location.pathname.replace(/\/cobrowse\/join\/?$/, '');

const place = {
	token: '', // join token that has not been redeemed
	session: '',
	participant: '',
};
const secretKey = () => `cobridge.resume.${place.session}.${place.participant}`;
const streamOf = (session) => `${base}/api/v2/cobrowse/sessions/${encodeURIComponent(session)}/stream`;

/** The names by which a viewer's cookie is found; a sharer has a secret instead. */
const names = (secret) => (secret ? {} : { participant: place.participant, tab: thisTab });

const session = makeSession({
	start,
	enter() {
		const secret = storage.get(secretKey());
		return {
			address: streamOf(place.session),
			query: names(secret),
			hello: secret ? { participant: place.participant, resume: { token: secret } } : {},
		};
	},
	async refused() {
		const query = String(new URLSearchParams(names(storage.get(secretKey()))));
		try {
			const response = await fetch(`${streamOf(place.session)}/check${query && `?${query}`}`);
			if (![401, 403, 404, 410].includes(response.status)) return '';
			const body = await response.json().catch(() => ({}));
			return body.code || 'failed';
		} catch { // offline, or the service is not there
			return '';
		}
	},
	mayConnect: () => !place.token,
	welcomed(frame) {
		if (session.state.sharer && frame.resume) storage.set(secretKey(), frame.resume.token);
	},
	ended: () => storage.remove(secretKey()),
});

/** Takes token and names out of the address, and the token off it. */
function readAddress() {
	const query = new URLSearchParams(location.search);
	const fragment = new URLSearchParams(location.hash.slice(1));
	place.token = fragment.get('token') ?? query.get('token') ?? '';
	place.session = query.get('session') ?? setup.session ?? '';
	place.participant = query.get('participant') ?? setup.participant ?? '';
	replaceAddress();
}

function replaceAddress() {
	const query = place.session && place.participant ? `?${new URLSearchParams({ session: place.session, participant: place.participant })}` : '';
	history.replaceState(null, '', location.pathname + query);
}

function start() {
	session.state.over = false;
	session.show({ screen: 'connecting' });
	if (place.token) redeem();
	else if (place.session && place.participant) session.connect();
	else session.refuse('missing');
}

async function redeem() {
	let response;
	try {
		response = await fetch(`${base}/api/v2/cobrowse/join`, {
			method: 'POST',
			headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
			body: JSON.stringify({ token: place.token, tab: thisTab }),
		});
	} catch {
		session.again(redeem);
		return;
	}
	const body = await response.json().catch(() => ({}));
	if (response.status === 429 || response.status === 503) {
		session.again(redeem, Number(response.headers.get('Retry-After')) * 1000);
		return;
	}
	if (!response.ok) {
		session.refuse(response.status === 409 ? 'busy' : body.code);
		return;
	}
	place.token = '';
	place.session = body.sessionId;
	place.participant = body.participantId;
	replaceAddress();
	if (body.resume) {
		storage.set(secretKey(), body.resume);
	} else if (setup.session !== body.sessionId) {
		// The page came without the token, and so without the policy of this session,
		// which names where the pictures of the sharer's page may come from.
		location.replace(location.href);
		return;
	}
	session.begin();
	session.connect();
}

readAddress();
start();
