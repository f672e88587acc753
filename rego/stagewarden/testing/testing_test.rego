# METADATA
# title: What the tests share
# description: |
#   One example question (contract section 4), one small registry, and functions that change one thing about them. The name
#   ends in `_test`, so that no bundle carries it.
package stagewarden.testing

# METADATA
# title: A drafting agent asks to publish a post
question := {
	"version": 1,
	"time": "2026-11-21T09:00:00Z",
	"time_ns": 1795251600000000000,
	"request": {
		"method": "POST",
		"upstream": "cms",
		"host": "cms.internal",
		"path": ["wp-json", "wp", "v2", "posts"],
		"raw_path": "/wp-json/wp/v2/posts",
		"query": {},
		"headers": {"content-type": ["application/json"]},
		"body": {"status": "publish", "title": "Autumn in the valley"},
		"size": 53,
		"digest": digest,
	},
	"principal": {
		"agent": "drafter-7",
		"workflow": "newsletter",
		"credential": {"kind": "jwt", "issuer": "https://issuer.example", "expires_ns": 0},
		"chain": [
			{"kind": "human", "id": "olivia", "verified": true},
			{"kind": "service", "id": "scheduler", "verified": true},
			{"kind": "agent", "id": "drafter-7", "verified": true},
		],
		"trigger": null,
	},
	"action": {
		"upstream": "cms",
		"route": "POST /wp-json/wp/v2/posts",
		"stage": "export",
		"kind": "post.publish",
		"asset": {"id": "42", "digest": null, "state": "queued"},
		"fields": ["status", "title"],
		"data_classes": ["internal"],
		"destination": "newsroom-site",
		"external": true,
		"reversible": "compensate",
		"loopback": false,
	},
	"facts": {"claims": [], "offers": [], "recipients": {"count": 0, "tier": null}},
	"asserted": {"confidence": 0.91},
	"grants": [],
	"approval": null,
	"state": {
		"registry": "rev-1",
		"environment": "production",
		"mode": "active",
		"sample": false,
		"thresholds": [],
		"review": [],
		"release": {"fingerprint": null, "validated": true},
	},
}

digest := "sha256:6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a"

other_digest := "sha256:bb67ae8584caa73b2574a5d3a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"

# METADATA
# title: The example with some members changed, deeply
asking(changes) := object.union(question, changes)

# METADATA
# title: A drafter's act inside the house
# description: The W1 of governance section 4.
drafting(changes) := object.union(
	asking({"action": {
		"stage": "generate",
		"kind": "post.draft",
		"asset": {"id": null, "state": "none"},
		"destination": "intranet",
		"external": false,
	}}),
	changes,
)

# METADATA
# title: An approval of the example by these votes, each [person, function]
approved_by(votes) := {"approval": {
	"hold": "h_01J0000000000000000000000A",
	"state": "approved",
	"digest": digest,
	"votes": [vote |
		some [person, function] in votes
		vote := {"person": person, "function": function, "at": "2026-11-21T08:59:00Z", "view_digest": digest}
	],
	"approved_at_ns": 1795251540000000000,
	"expires_ns": 1795252440000000000,
}}

# METADATA
# title: A publisher's ordinary post
# description: The W2 of governance section 4.
sharing(changes) := object.union(
	asking({"principal": {"agent": "publisher-1"}, "action": {"kind": "post.share"}}),
	changes,
)

priced := {"request": {"body": {"title": "Now only € 19"}}}

# METADATA
# title: A publisher puts a draft into the house's own queue
queueing(changes) := object.union(
	drafting({
		"principal": {"agent": "publisher-1"},
		"action": {"stage": "queue", "kind": "post.queue", "asset": {"state": "draft"}},
	}),
	changes,
)
