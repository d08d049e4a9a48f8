"""Starts a cobrowse session on an active conversation and prints the join URLs.

A stand-in for the calls that a published tutorial makes, in its order and with
its habits: one base address built from the organisation's name, credentials in
the form, a token kept until 30 s before its end, a JSON content type on every
call, tokens pasted into URLs as they are.
"""

import os
import sys
import time

import httpx

ORG = os.environ["GENESYS_ORG"]
CLIENT_ID = os.environ["GENESYS_CLIENT_ID"]
CLIENT_SECRET = os.environ["GENESYS_CLIENT_SECRET"]
SUPERVISOR_ID = os.environ["SUPERVISOR_USER_ID"]

BASE = f"https://{ORG}.mypurecloud.com"


class Auth:
    """Gets an access token and keeps it while it is good."""

    def __init__(self, http):
        self.http = http
        self.token = None
        self.good_until = 0.0

    def headers(self):
        if self.token is None or time.time() > self.good_until - 30:
            answer = self.http.post(
                f"{BASE}/oauth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                },
            )
            if answer.status_code == 401:
                sys.exit("The client id or the secret is wrong.")
            if answer.status_code != 200:
                sys.exit(f"No token: {answer.text}")
            body = answer.json()
            self.token = body["access_token"]
            self.good_until = time.time() + body["expires_in"]
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}


def find_conversation(http, auth):
    answer = http.get(
        f"{BASE}/api/v2/conversations",
        headers=auth.headers(),
        params={"state": "active", "limit": 5},
    )
    answer.raise_for_status()
    found = answer.json().get("entities", [])
    if not found:
        sys.exit("There is no active conversation.")
    conversation = found[0]
    for participant in conversation["participants"]:
        if participant["role"] == "agent":
            return conversation["id"], participant["userId"]
    sys.exit("The conversation has no agent.")


def check_user(http, auth, user_id):
    answer = http.get(f"{BASE}/api/v2/users/{user_id}", headers=auth.headers())
    if answer.status_code == 404:
        sys.exit(f"There is no user {user_id}.")
    answer.raise_for_status()


def create_session(http, auth, conversation_id, agent_id):
    answer = http.post(
        f"{BASE}/api/v2/cobrowse/sessions",
        headers=auth.headers(),
        json={
            "conversationId": conversation_id,
            "participants": [
                {"userId": agent_id, "role": "agent"},
                {"userId": SUPERVISOR_ID, "role": "supervisor"},
            ],
            "settings": {"allowRemoteControl": False, "timeoutInMinutes": 10},
        },
    )
    if answer.status_code == 409:
        print("A session is active already; using it.")
        live = http.get(
            f"{BASE}/api/v2/cobrowse/sessions",
            headers=auth.headers(),
            params={"conversationId": conversation_id},
        )
        live.raise_for_status()
        return live.json()["entities"][0]["id"]
    if answer.status_code in (400, 403, 404):
        sys.exit(f"Refused with {answer.status_code}: {answer.json()}")
    answer.raise_for_status()
    return answer.json()["id"]


def join_url(http, auth, session_id, user_id):
    answer = http.post(
        f"{BASE}/api/v2/cobrowse/sessions/{session_id}/participants/{user_id}/tokens",
        headers=auth.headers(),
    )
    answer.raise_for_status()
    body = answer.json()
    print(f"Good until {body['expiresAt']}.")
    return f"{BASE}/cobrowse/join?token={body['token']}"


def main():
    with httpx.Client(timeout=10.0) as http:
        auth = Auth(http)
        conversation_id, agent_id = find_conversation(http, auth)
        for user_id in (agent_id, SUPERVISOR_ID):
            check_user(http, auth, user_id)
        session_id = create_session(http, auth, conversation_id, agent_id)
        print("Agent:", join_url(http, auth, session_id, agent_id))
        print("Supervisor:", join_url(http, auth, session_id, SUPERVISOR_ID))


if __name__ == "__main__":
    main()
