/**
 * The official JavaScript SDK of Genesys Cloud, as npm has it, against a running
 * demonstration or double:
 *
 *   node story.mjs <the line of cobridge demo --json, or of cobridge mock --json>
 *
 * It offers a session, watches it over a notification channel and ends it. The
 * customer's browser, and the one in which the agent looks, are told by hand: no
 * official client has calls for them. Whoever meets a failure sees which step it was.
 */

import assert from 'node:assert/strict';
import platformClient from 'purecloud-platform-client-v2';
import { Diary } from './diary.mjs';
import { as, oursWereSeen } from './models.mjs';

const demo = JSON.parse(process.argv[2]);
const base = new URL(demo.baseUrl);
const [shop] = demo.siteOrigins;
const unknown = '00000000-dead-4bad-8000-000000000001';
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** A client of the service: setGateway is all that leads it here. */
function clientOf() {
	const client = new platformClient.ApiClientClass();
	client.setGateway({ protocol: base.protocol.slice(0, -1), host: base.hostname, port: Number(base.port) });
	return client;
}

const client = clientOf();
const conversations = new platformClient.ConversationsApi(client);
const users = new platformClient.UsersApi(client);
const tokens = new platformClient.TokensApi(client);
const notifications = new platformClient.NotificationsApi(client);
const sites = new platformClient.WebDeploymentsApi(client);

/** A customer's page: it has no access token, and its browser says where it is from. */
const page = new platformClient.WebDeploymentsApi(clientOf());
const fromShop = { customHeaders: { Origin: shop } };

/**
 * @param {string} what the program does
 * @param {() => Promise<void>} how
 */
async function step(what, how) {
	try {
		await how();
	} catch (error) {
		console.log(`FAILED: ${what}\n${error instanceof Error ? error.stack : JSON.stringify(error, null, '\t')}`);
		process.exit(1);
	}
	console.log(`ok: ${what}`);
}

/**
 * Wants a call to be refused, as the SDK reports it: it rejects with the body.
 *
 * @param {Promise<any>} call
 * @param {number} status
 * @param {string} code
 */
async function refused(call, status, code) {
	let failure;
	try {
		const got = await call;
		assert.fail(`want ${status} ${code}, got ${JSON.stringify(got)}`);
	} catch (error) {
		if (error instanceof assert.AssertionError) {
			throw error;
		}
		failure = error;
	}
	assert.deepEqual([failure.status, failure.code], [status, code], JSON.stringify(failure));
	as('ErrorBody', failure);
	assert.match(failure.contextId, uuid);
	assert.ok(failure.message);
	return failure;
}

/** What happens in a browser: the token of a join URL is redeemed. */
async function join(token) {
	const joined = await client.callApi('/api/v2/cobrowse/join', 'POST', {}, {}, {}, {}, { token, tab: 'tab-1' }, [], ['application/json'], ['application/json']);
	assert.match(joined.sessionId, uuid);
	return joined;
}

/** The participant on a side: sharer or viewer. */
const on = (side, session) => session.participants.find(({ cobrowseRole }) => cobrowseRole === side);

/** The states of both sides, for instance "offering alerting". */
const states = (session) => [on('sharer', session)?.state, on('viewer', session)?.state].join(' ');

/** A communication of the conversation's participant with this purpose. */
const communication = (conversation, purpose, id) =>
	conversation.participants.find((p) => p.purpose === purpose)?.cobrowsesessions?.find((c) => c.cobrowseSessionId === id);

const topics = {
	cobrowse: `v2.users.${demo.agentUserId}.conversations.cobrowseSessions`,
	whole: `v2.users.${demo.agentUserId}.conversations`,
};
let diary;

/**
 * Wants both topics to tell that the offered session has come to a state.
 *
 * @param {string} sides as states says it
 * @param {string} [disconnectType] of the viewer, once it is disconnected
 */
async function told(sides, disconnectType) {
	const frame = await diary.next(topics.cobrowse, (body) => body.id === demo.conversationId && states(body) === sides && on('viewer', body).cobrowseSessionId === offer.id);
	assert.equal(frame.version, '2');
	assert.match(frame.metadata.CorrelationId, uuid);
	const eventBody = as('ConversationCobrowseEventTopicCobrowseConversation', frame.eventBody);
	for (const p of eventBody.participants) {
		assert.match(p.id, uuid);
		assert.equal(p.viewerUrl, undefined, 'a notification lets nobody in');
		assert.ok(Array.isArray(p.controlling) && Array.isArray(p.mediaRoles));
	}
	const sharer = on('sharer', eventBody);
	const viewer = on('viewer', eventBody);
	assert.equal(sharer.purpose, 'customer');
	assert.equal(viewer.purpose, 'agent');
	assert.equal(viewer.disconnectType, disconnectType);
	assert.ok(Array.isArray(eventBody.otherMediaUris));

	const whole = await diary.next(topics.whole, (body) => body.id === demo.conversationId && communication(body, 'agent', offer.id)?.state === viewer.state && communication(body, 'customer', offer.id)?.state === sharer.state);
	as('ConversationEventTopicConversation', whole.eventBody);
	const { id, cobrowseRole, disconnectType: why } = communication(whole.eventBody, 'agent', offer.id);
	assert.deepEqual([id, cobrowseRole, why], [viewer.communicationId, 'viewer', disconnectType]);
	return { sharer, viewer };
}

/**
 * Offers a session and looks at what the SDK makes of the answer.
 *
 * @param {{ customHeaders?: Record<string, string> }} [opts]
 */
async function offerOne(opts) {
	offer = as('CobrowseWebMessagingSession', await conversations.postConversationCobrowse(demo.conversationId, opts));
	assert.match(offer.id, uuid);
	assert.match(offer.joinCode, /^\d{9}$/);
	assert.match(offer.dateOfferEnds, date);
	assert.equal(offer.websocketUrl, `wss://${base.host}/api/v2/cobrowse/sessions/${offer.id}/stream`);
	assert.equal(offer.communicationType, 'Message');
	assert.equal(offer.selfUri, `/api/v2/conversations/cobrowsesessions/${demo.conversationId}`);
}

let offer;
let agent; // the viewer's participant in the conversation
let customer;

await step('it does not log in with a wrong secret', async () => {
	await assert.rejects(clientOf().loginClientCredentialsGrant(demo.clientId, 'a wrong secret'), ({ response }) => {
		assert.equal(response.status, 401);
		assert.equal(response.data.error, 'invalid_client');
		assert.ok(response.data.error_description);
		return true;
	});
});

await step('it logs in with client credentials', async () => {
	const { accessToken, tokenExpiryTime } = await client.loginClientCredentialsGrant(demo.clientId, demo.clientSecret);
	assert.ok(accessToken);
	assert.ok(tokenExpiryTime > Date.now() + 60_000);
});

await step('it asks for its token', async () => {
	const me = as('TokenInfo', await tokens.getTokensMe());
	assert.equal(me.organization.id, demo.orgId);
	assert.equal(me.OAuthClient.id, demo.clientId);
	assert.ok(me.authorizedScope.includes('conversations'));
	await tokens.headTokensMe();
	await refused(users.getUsersMe(), 400, 'not.a.user');
	client.setReturnExtendedResponses(true);
	const { status, headers } = await tokens.getTokensMe();
	client.setReturnExtendedResponses(false);
	assert.equal(status, 200);
	assert.match(headers['inin-correlation-id'], uuid);
});

await step('it lists conversations', async () => {
	const { entities, total } = as('ConversationEntityListing', await conversations.getConversations());
	assert.equal(entities.length, total);
	const one = entities.find(({ id }) => id === demo.conversationId);
	assert.match(one.startTime, date);
	assert.equal(one.endTime, undefined);
	agent = one.participants.find(({ purpose }) => purpose === 'agent');
	customer = one.participants.find(({ purpose }) => purpose === 'customer');
	assert.equal(agent.userId, demo.agentUserId);
	assert.deepEqual(agent.cobrowsesessions, []);
	assert.equal((await conversations.getConversation(demo.conversationId)).id, demo.conversationId);
	await refused(conversations.getConversation(unknown), 404, 'conversation.error.conversation.not.found');
});

await step('it finds users', async () => {
	const { entities } = as('UserEntityListing', await users.getUsers({ pageSize: 100 }));
	for (const user of [demo.agentUserId, demo.supervisorUserId]) {
		assert.ok(entities.some(({ id }) => id === user), `${user} is not listed`);
	}
	const one = as('User', await users.getUser(demo.supervisorUserId));
	assert.deepEqual([one.id, one.name, one.state], [demo.supervisorUserId, 'Sam Supervisor', 'active']);
	assert.ok(Number.isInteger(one.version));
	await refused(users.getUser(unknown), 404, 'general.resource.not.found');
});

await step('it finds the site and its published settings', async () => {
	// How a site is set up, the official API leaves to the administrators' pages.
	await client.callApi('/api/v2/cobrowse/deployments/{id}', 'PUT', { id: demo.deploymentId }, {}, {}, {}, {
		name: 'The shop',
		allowedOrigins: [shop],
		defaultFor: ['customer'],
		allowAgentControl: true,
		allowAgentNavigation: true,
		allowDraw: false,
		maskSelectors: ['[data-private]'],
		readonlySelectors: ['[data-fixed]'],
		pauseCriteria: [{ urlFragment: '/shop/payment', condition: 'Includes' }],
	}, ['PureCloud OAuth'], ['application/json'], ['application/json']);
	const { entities, total } = as('ExpandableWebDeploymentEntityListing', await sites.getWebdeploymentsDeployments());
	assert.equal(entities.length, total);
	const site = as('WebDeployment', await sites.getWebdeploymentsDeployment(demo.deploymentId));
	assert.deepEqual(entities.find(({ id }) => id === demo.deploymentId), site);
	assert.deepEqual([site.name, site.status, site.allowAllDomains, site.allowedDomains], ['The shop', 'Active', false, [new URL(shop).host]]);
	const published = as('WebDeploymentConfigurationVersion', await sites.getWebdeploymentsConfigurationVersion(site.configuration.id, site.configuration.version));
	assert.equal(published.selfUri, site.configuration.selfUri);
	assert.deepEqual(published.cobrowse, {
		enabled: true,
		allowAgentControl: true,
		allowAgentNavigation: true,
		allowDraw: false,
		channels: ['Webmessaging', 'Voice'],
		maskSelectors: ['[data-private]'],
		readonlySelectors: ['[data-fixed]'],
		pauseCriteria: [{ urlFragment: '/shop/payment', condition: 'Includes' }],
	});
	await refused(sites.getWebdeploymentsConfigurationVersion(site.configuration.id, '0'), 404, 'not.found');
});

await step('it opens a notification channel, subscribes and connects', async () => {
	const { entities: available } = as('AvailableTopicEntityListing', await notifications.getNotificationsAvailabletopics());
	assert.ok(available.some(({ id }) => id === 'v2.users.{id}.conversations.cobrowseSessions'));
	const channel = as('Channel', await notifications.postNotificationsChannels());
	assert.match(channel.expires, date);
	await notifications.headNotificationsChannel(channel.id);
	const { entities } = as('ChannelTopicEntityListing', await notifications.postNotificationsChannelSubscriptions(channel.id, [{ id: topics.cobrowse }, { id: topics.whole }]));
	assert.deepEqual(entities.map(({ id, state }) => [id, state]).sort(), [[topics.whole, 'Permitted'], [topics.cobrowse, 'Permitted']]);
	assert.equal((await notifications.getNotificationsChannelSubscriptions(channel.id)).entities.length, 2);
	await refused(notifications.postNotificationsChannelSubscriptions(channel.id, [{ id: 'v2.no.such.topic' }]), 400, 'notification.invalid.topic');
	diary = new Diary(channel.connectUri);
	await diary.open();
	diary.send({ message: 'ping' });
	await diary.next('channel.metadata', ({ message }) => message === 'pong');
});

await step('it offers a session on the conversation', async () => {
	await refused(conversations.getConversationsCobrowsesession(demo.conversationId), 404, 'not.found');
	const once = { customHeaders: { 'Idempotency-Key': `story ${demo.conversationId}` } };
	await offerOne(once);
	await told('offering alerting');
	const first = offer;
	await offerOne(once); // as after an answer that was lost
	assert.deepEqual(offer, first);
});

await step('it finds it among the cobrowse sessions', async () => {
	const { entities } = as('CobrowseConversationEntityListing', await conversations.getConversationsCobrowsesessions());
	assert.deepEqual(entities.map(({ id }) => id), [demo.conversationId]);
	assert.equal(on('viewer', entities[0]).viewerUrl, undefined);
	const one = as('CobrowseConversation', await conversations.getConversationsCobrowsesession(demo.conversationId));
	assert.equal(one.selfUri, offer.selfUri);
	assert.equal(states(one), 'offering alerting');
	assert.equal(on('sharer', one).id, customer.id);
	const viewer = on('viewer', one);
	assert.deepEqual([viewer.id, viewer.user.id, viewer.cobrowseSessionId, viewer.held], [agent.id, demo.agentUserId, offer.id, false]);
	assert.equal(new URL(viewer.viewerUrl).origin, base.origin);
});

await step('a second offer is refused, and names the first', async () => {
	const conflict = await refused(conversations.postConversationCobrowse(demo.conversationId), 409, 'request.conflict');
	assert.deepEqual([conflict.id, conflict.sessionId, conflict.conversationId, conflict.entityId], [offer.id, offer.id, demo.conversationId, offer.id]);
});

await step('the customer comes with the join code, and the agent with viewerUrl', async () => {
	await refused(page.getWebdeploymentsDeploymentCobrowseSessionId(demo.deploymentId, offer.joinCode, { customHeaders: { Origin: 'https://elsewhere.invalid' } }), 403, 'not.authorized');
	await refused(page.getWebdeploymentsDeploymentCobrowseSessionId(demo.deploymentId, offer.id, fromShop), 404, 'not.found');
	const seen = as('CobrowseWebMessagingSession', await page.getWebdeploymentsDeploymentCobrowseSessionId(demo.deploymentId, offer.joinCode, fromShop));
	assert.deepEqual([seen.id, seen.joinCode, seen.dateOfferEnds], [offer.id, offer.joinCode, offer.dateOfferEnds]);
	assert.equal((await join(seen.sessionJoinToken)).cobrowseRole, 'sharer');
	await told('connected alerting');
	const { viewerUrl } = on('viewer', await conversations.getConversationsCobrowsesession(demo.conversationId));
	assert.equal((await join(new URL(viewerUrl).searchParams.get('token'))).cobrowseRole, 'viewer');
	const { viewer } = await told('connected connected');
	assert.match(viewer.connectedTime, date);
	assert.equal(states(await conversations.getConversationsCobrowsesession(demo.conversationId)), 'connected connected');
});

await step('wrap-up, recording and attributes', async () => {
	const id = demo.conversationId;
	assert.deepEqual(as('AssignedWrapupCode', await conversations.getConversationsCobrowsesessionParticipantWrapup(id, agent.id)), {});
	assert.deepEqual(await conversations.getConversationsCobrowsesessionParticipantWrapupcodes(id, agent.id), []);
	assert.equal(await conversations.putConversationsCobrowsesessionRecordingstate(id, { recordingState: 'NONE' }), 'NONE');
	await refused(conversations.putConversationsCobrowsesessionRecordingstate(id, { recordingState: 'ACTIVE' }), 400, 'constraint.validation');
	const set = as('ParticipantAttributes', await conversations.patchConversationsCobrowsesessionParticipantAttributes(id, agent.id, { body: { attributes: { desk: '7' } } }));
	assert.equal(set.attributes.desk, '7');
	const frame = await diary.next(topics.whole, (body) => body.participants.some((p) => p.id === agent.id && p.attributes.desk === '7'));
	assert.equal(frame.eventBody.id, id);
	await refused(conversations.patchConversationsCobrowsesessionParticipantAttributes(id, unknown, { body: { attributes: {} } }), 404, 'conversation.error.participant.not.found');
});

await step('another user takes the place of the agent', async () => {
	await conversations.postConversationsCobrowsesessionParticipantReplace(demo.conversationId, agent.id, { body: { transferType: 'Unattended', userId: demo.supervisorUserId } });
	const frame = await diary.next(topics.cobrowse, (body) => on('viewer', body)?.user.id === demo.supervisorUserId);
	assert.equal(states(frame.eventBody), 'connected alerting');
	const viewer = on('viewer', await conversations.getConversationsCobrowsesession(demo.conversationId));
	assert.deepEqual([viewer.user.id, viewer.state, viewer.purpose], [demo.supervisorUserId, 'alerting', 'agent']);
	await refused(conversations.postConversationsCobrowsesessionParticipantReplace(demo.conversationId, viewer.id, { body: { queueId: demo.orgId } }), 400, 'conversations.error.queue.not.found');
	await refused(conversations.patchConversationsCobrowsesessionParticipantCommunication(demo.conversationId, viewer.id, viewer.communicationId, { state: 'connected' }), 400, 'communication.state.required');
});

await step('it ends the session', async () => {
	// The SDK's types want a whole conversation.
	const before = await conversations.getConversation(demo.conversationId);
	const ended = as('Conversation', await conversations.patchConversationsCobrowsesession(demo.conversationId, { ...before, state: 'disconnected' }));
	const { state, disconnectType, disconnectedTime } = communication(ended, 'customer', offer.id);
	assert.deepEqual([ended.id, state, disconnectType], [demo.conversationId, 'disconnected', 'client']);
	assert.match(disconnectedTime, date);
	const frame = await diary.next(topics.cobrowse, (body) => states(body) === 'disconnected disconnected');
	assert.deepEqual([on('sharer', frame.eventBody).disconnectType, on('sharer', frame.eventBody).cobrowseSessionId], ['client', offer.id]);
	await diary.next(topics.whole, (body) => communication(body, 'customer', offer.id)?.state === 'disconnected');
	assert.deepEqual((await conversations.getConversationsCobrowsesessions()).entities, []);
	const conversation = as('Conversation', await conversations.getConversation(demo.conversationId));
	assert.equal(conversation.endTime, undefined, 'the conversation goes on');
	assert.equal(communication(conversation, 'customer', offer.id).state, 'disconnected');
});

await step('the customer declines the next offer', async () => {
	await offerOne();
	await told('offering alerting');
	await page.deleteWebdeploymentsDeploymentCobrowseSessionId(demo.deploymentId, offer.joinCode, fromShop);
	await told('disconnected disconnected', 'endpoint');
	await refused(page.getWebdeploymentsDeploymentCobrowseSessionId(demo.deploymentId, offer.joinCode, fromShop), 410, 'cobrowse.session.ended');
});

await step('a participant hangs up on the third', async () => {
	await offerOne();
	await told('offering alerting');
	await conversations.patchConversationsCobrowsesessionParticipant(demo.conversationId, agent.id, { body: { state: 'disconnected' } });
	await told('disconnected disconnected', 'client');
});

await step('a session ends with its conversation', async () => {
	await offerOne();
	await told('offering alerting');
	await conversations.postConversationDisconnect(demo.conversationId);
	await told('disconnected disconnected', 'system');
	assert.match((await conversations.getConversation(demo.conversationId)).endTime, date);
	await refused(conversations.postConversationCobrowse(demo.conversationId), 404, 'conversation.error.conversation.not.found');
});

await step('it logs out: the token is dead, and so is the channel', async () => {
	await tokens.deleteTokensMe();
	await refused(conversations.getConversations(), 401, 'bad.credentials');
	assert.equal(await diary.end(), 4401);
});

await step('all that the service says beside the official words was seen', async () => oursWereSeen());

console.log('told');
process.exit(0); // the SDK watches a file
