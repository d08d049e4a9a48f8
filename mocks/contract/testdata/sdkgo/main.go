// Command sdkgo tells the official Go SDK's story against a running demonstration,
// whose line of "cobridge demo --json" is its argument. It prints what it does and
// ends with 1 at the first thing that is not as it should be.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	sdk "github.com/mypurecloud/platform-client-sdk-go/v157/platformclientv2"
)

type demo struct {
	BaseURL          string   `json:"baseUrl"`
	OrgID            string   `json:"orgId"`
	ClientID         string   `json:"clientId"`
	ClientSecret     string   `json:"clientSecret"`
	ConversationID   string   `json:"conversationId"`
	AgentUserID      string   `json:"agentUserId"`
	SupervisorUserID string   `json:"supervisorUserId"`
	DeploymentID     string   `json:"deploymentId"`
	SiteOrigins      []string `json:"siteOrigins"`
}

// story ends at the first failure.
type story struct{ step string }

func (s *story) begin(step string) {
	if s.step != "" {
		fmt.Println("ok:", s.step)
	}
	s.step = step
}

func (s *story) want(ok bool, format string, args ...any) {
	if !ok {
		fmt.Printf("FAILED: %s\n%s\n", s.step, fmt.Sprintf(format, args...))
		os.Exit(1)
	}
}

// good wants a call to have succeeded, with a correlation id.
func (s *story) good(r *sdk.APIResponse, err error) {
	s.want(err == nil && r != nil && r.IsSuccess && r.CorrelationID != "", "%v: %+v", err, r)
}

// refused wants a call to have been refused, as the SDK reports it.
func (s *story) refused(r *sdk.APIResponse, err error, status int, code string) {
	s.want(err != nil && r != nil && r.Error != nil && r.StatusCode == status && r.Error.Code == code && r.Error.ContextID == r.CorrelationID,
		"%v: %+v, want %d %s", err, r, status, code)
	s.want(strings.HasPrefix(err.Error(), fmt.Sprintf("API Error: %d - ", status)), "the error reads %q", err)
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// recent tells a moment of this run from the year 1, which the SDK makes of dates that it cannot read.
func recent(t *time.Time) bool { return t != nil && time.Since(*t).Abs() < time.Hour }

func on(side string, c *sdk.Cobrowseconversation) sdk.Cobrowsemediaparticipant {
	for _, p := range deref(c.Participants) {
		if deref(p.CobrowseRole) == side {
			return p
		}
	}
	return sdk.Cobrowsemediaparticipant{}
}

// configuration leads to the service, without an access token.
func configuration(d demo) *sdk.Configuration {
	c := sdk.NewConfiguration()
	c.BasePath = d.BaseURL // a login host is derived from //api. alone
	return c
}

func main() {
	var d demo
	s := &story{}
	s.begin("it reads its argument")
	err := json.Unmarshal([]byte(os.Args[1]), &d)
	s.want(err == nil, "%v", err)

	s.begin("it does not log in with a wrong secret")
	err = configuration(d).AuthorizeClientCredentials(d.ClientID, "a wrong secret")
	s.want(err != nil && strings.HasPrefix(err.Error(), "Auth Error: 401 - invalid_client ("), "%v", err)

	s.begin("it logs in with client credentials")
	config := configuration(d)
	err = config.AuthorizeClientCredentials(d.ClientID, d.ClientSecret)
	s.want(err == nil && config.AccessToken != "", "%v", err)
	conversations, tokens := sdk.NewConversationsApiWithConfig(config), sdk.NewTokensApiWithConfig(config)
	users, sites, notifications := sdk.NewUsersApiWithConfig(config), sdk.NewWebDeploymentsApiWithConfig(config), sdk.NewNotificationsApiWithConfig(config)

	s.begin("it asks for its token")
	me, r, err := tokens.GetTokensMe(false)
	s.good(r, err)
	s.want(deref(me.Organization.Id) == d.OrgID && deref(me.OAuthClient.Id) == d.ClientID, "%v", me)
	r, err = tokens.HeadTokensMe()
	s.good(r, err)

	s.begin("it lists conversations")
	list, r, err := conversations.GetConversations("")
	s.good(r, err)
	var agent, customer sdk.Participant
	for _, c := range deref(list.Entities) {
		if deref(c.Id) == d.ConversationID {
			s.want(recent(c.StartTime) && c.EndTime == nil, "start %v, end %v", c.StartTime, c.EndTime)
			for _, p := range deref(c.Participants) {
				switch deref(p.Purpose) {
				case "agent":
					agent = p
				case "customer":
					customer = p
				}
			}
		}
	}
	s.want(deref(agent.UserId) == d.AgentUserID && deref(customer.Id) != "", "agent %v, customer %v", agent, customer)
	_, r, err = conversations.GetConversation("00000000-dead-4bad-8000-000000000001")
	s.refused(r, err, http.StatusNotFound, "conversation.error.conversation.not.found")

	s.begin("it finds users")
	people, r, err := users.GetUsers(100, 1, nil, nil, "", nil, "", "")
	s.good(r, err)
	s.want(len(deref(people.Entities)) == 2, "%v", people)
	user, r, err := users.GetUser(d.SupervisorUserID, nil, "", "")
	s.good(r, err)
	s.want(deref(user.Name) == "Sam Supervisor" && deref(user.State) == "active", "%v", user)

	s.begin("it finds the site and its published settings")
	all, r, err := sites.GetWebdeploymentsDeployments(nil)
	s.good(r, err)
	s.want(deref(all.Total) == len(deref(all.Entities)), "%v", all)
	site, r, err := sites.GetWebdeploymentsDeployment(d.DeploymentID, nil)
	s.good(r, err)
	published, r, err := sites.GetWebdeploymentsConfigurationVersion(deref(site.Configuration.Id), deref(site.Configuration.Version))
	s.good(r, err)
	s.want(published.Cobrowse != nil && deref(published.Cobrowse.Enabled) && deref(published.Cobrowse.AllowAgentControl) && len(deref(published.Cobrowse.MaskSelectors)) == 1 && recent(published.DateCreated), "%v", published)

	s.begin("it opens a notification channel and subscribes")
	channel, r, err := notifications.PostNotificationsChannels()
	s.good(r, err)
	s.want(channel.Expires != nil && channel.Expires.After(time.Now()) && strings.HasPrefix(deref(channel.ConnectUri), "ws"), "%v", channel)
	topic := "v2.users." + d.AgentUserID + ".conversations.cobrowseSessions"
	subscribed, r, err := notifications.PostNotificationsChannelSubscriptions(deref(channel.Id), []sdk.Channeltopic{{Id: &topic}}, false)
	s.good(r, err)
	s.want(len(deref(subscribed.Entities)) == 1 && deref(deref(subscribed.Entities)[0].State) == "Permitted", "%v", subscribed)

	s.begin("it offers a session")
	offer, r, err := conversations.PostConversationCobrowse(d.ConversationID)
	s.good(r, err)
	s.want(len(deref(offer.JoinCode)) == 9 && offer.DateOfferEnds != nil && offer.DateOfferEnds.After(time.Now()) && deref(offer.CommunicationType) == "Message", "%v", offer)
	_, r, err = conversations.PostConversationCobrowse(d.ConversationID)
	s.refused(r, err, http.StatusConflict, "request.conflict")

	s.begin("it finds it among the cobrowse sessions")
	live, r, err := conversations.GetConversationsCobrowsesessions()
	s.good(r, err)
	s.want(len(deref(live.Entities)) == 1 && deref(deref(live.Entities)[0].Id) == d.ConversationID, "%v", live)
	one, r, err := conversations.GetConversationsCobrowsesession(d.ConversationID)
	s.good(r, err)
	sharer, viewer := on("sharer", one), on("viewer", one)
	s.want(deref(sharer.State) == "offering" && deref(viewer.State) == "alerting" && viewer.User != nil && deref(viewer.User.Id) == d.AgentUserID && deref(viewer.CobrowseSessionId) == deref(offer.Id), "%v", one)
	_, err = url.Parse(deref(viewer.ViewerUrl))
	s.want(err == nil && strings.HasPrefix(deref(viewer.ViewerUrl), d.BaseURL), "viewerUrl: %v", err)

	s.begin("the customer's page sees it with the join code")
	page := configuration(d)
	page.AddDefaultHeader("Origin", d.SiteOrigins[0])
	customers := sdk.NewWebDeploymentsApiWithConfig(page)
	seen, r, err := customers.GetWebdeploymentsDeploymentCobrowseSessionId(d.DeploymentID, deref(offer.JoinCode))
	s.good(r, err)
	s.want(deref(seen.Id) == deref(offer.Id), "%v", seen)
	_, r, err = customers.GetWebdeploymentsDeploymentCobrowseSessionId(d.DeploymentID, deref(offer.Id))
	s.refused(r, err, http.StatusNotFound, "not.found")

	s.begin("wrap-up, recording, attributes and another viewer")
	_, r, err = conversations.GetConversationsCobrowsesessionParticipantWrapup(d.ConversationID, deref(agent.Id), false)
	s.good(r, err)
	codes, r, err := conversations.GetConversationsCobrowsesessionParticipantWrapupcodes(d.ConversationID, deref(agent.Id))
	s.good(r, err)
	s.want(len(codes) == 0, "%v", codes)
	none := "NONE"
	state, r, err := conversations.PutConversationsCobrowsesessionRecordingstate(d.ConversationID, sdk.Setrecordingstate{RecordingState: &none})
	s.good(r, err)
	s.want(strings.Contains(deref(state), none), "%q", deref(state))
	attributes := map[string]string{"desk": "7"}
	set, r, err := conversations.PatchConversationsCobrowsesessionParticipantAttributes(d.ConversationID, deref(agent.Id), sdk.Participantattributes{Attributes: &attributes})
	s.good(r, err)
	s.want(deref(set.Attributes)["desk"] == "7", "%v", set)
	r, err = conversations.PostConversationsCobrowsesessionParticipantReplace(d.ConversationID, deref(agent.Id), sdk.Transferrequest{UserId: &d.SupervisorUserID})
	s.good(r, err)
	one, r, err = conversations.GetConversationsCobrowsesession(d.ConversationID)
	s.good(r, err)
	viewer = on("viewer", one)
	s.want(viewer.User != nil && deref(viewer.User.Id) == d.SupervisorUserID, "%v", viewer)

	s.begin("it ends the session")
	disconnected := "disconnected"
	ended, r, err := conversations.PatchConversationsCobrowsesession(d.ConversationID, sdk.Conversation{State: &disconnected})
	s.good(r, err)
	for _, p := range deref(ended.Participants) {
		if deref(p.Id) == deref(customer.Id) {
			com := deref(p.Cobrowsesessions)
			s.want(len(com) == 1 && deref(com[0].State) == disconnected && deref(com[0].DisconnectType) == "client" && recent(com[0].DisconnectedTime), "%v", com)
		}
	}
	live, r, err = conversations.GetConversationsCobrowsesessions()
	s.good(r, err)
	s.want(len(deref(live.Entities)) == 0, "%v", live)

	s.begin("the customer declines the next offer, and the conversation ends")
	offer, r, err = conversations.PostConversationCobrowse(d.ConversationID)
	s.good(r, err)
	_, r, err = customers.DeleteWebdeploymentsDeploymentCobrowseSessionId(d.DeploymentID, deref(offer.JoinCode))
	s.good(r, err)
	_, r, err = conversations.PostConversationDisconnect(d.ConversationID)
	s.good(r, err)
	over, r, err := conversations.GetConversation(d.ConversationID)
	s.good(r, err)
	s.want(recent(over.EndTime), "end %v", over.EndTime)

	s.begin("it logs out")
	r, err = tokens.DeleteTokensMe()
	s.good(r, err)
	_, r, err = conversations.GetConversations("")
	s.refused(r, err, http.StatusUnauthorized, "bad.credentials")
	s.begin("")
	fmt.Println("told")
}
