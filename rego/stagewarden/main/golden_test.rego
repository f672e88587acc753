# The worked examples of governance section 4 that need no later topic

package stagewarden.main_test

import data.stagewarden.main
import data.stagewarden.testing

judged(question) := verdict if {
	verdict := main.verdict with input as question with data.registry as testing.registry
}

codes(verdict) := {reason.code | some reason in verdict.reasons}

test_w1_internal_brief if {
	judged(testing.drafting({"state": {"sample": true}})) == {
		"effect": "allow",
		"tier": "low",
		"cacheable": true,
		"reasons": [{
			"code": "stage_granted",
			"rule": "stagewarden.rules.stages",
			"text": "The workflow allows this kind and the agent holds this stage",
		}],
		"seats": [],
		"obligations": {"response_fields": null, "review": "sampled", "settle": null},
	}
}

test_w2_social_post if {
	judged(testing.sharing({})) == {
		"effect": "hold",
		"tier": "medium",
		"cacheable": false,
		"reasons": [{
			"code": "publish_not_granted",
			"rule": "stagewarden.rules.stages",
			"text": "Nothing is published before people approved exactly this",
			"detail": {"destination": "newsroom-site"},
		}],
		"seats": [{"functions": ["reviewer"], "count": 1}],
		"obligations": {"response_fields": null, "review": "human", "settle": null},
	}
}

test_w2_after_approval if {
	verdict := judged(testing.sharing(testing.approved_by([["rita", "reviewer"]])))
	verdict.effect == "allow"
	verdict.tier == "medium"
	codes(verdict) == {"approved"}
	verdict.seats == []
	verdict.obligations.review == "human"
}

test_w2_prepared_by_the_drafter if {
	verdict := judged(testing.question)
	verdict.effect == "hold"
	verdict.seats == [{"functions": ["reviewer"], "count": 1}]
	codes(verdict) == {"publish_not_granted", "restricted"}
	approved := judged(testing.asking(testing.approved_by([["rita", "reviewer"]])))
	approved.effect == "allow"
}

test_w6_same_agent_by_consequence if {
	outline := judged(testing.drafting({}))
	[outline.effect, outline.tier] == ["allow", "low"]
	launch := judged(testing.asking(testing.priced))
	[launch.effect, launch.tier] == ["hold", "high"]
	"legal_or_price" in codes(launch)
	launch.seats == [
		{"functions": ["compliance", "legal", "reviewer"], "count": 1},
		{"functions": ["manager", "reviewer"], "count": 1},
	]
}

test_w6_takes_two_people if {
	asking := testing.asking(testing.priced)
	one := judged(object.union(asking, testing.approved_by([["rita", "reviewer"], ["rita", "reviewer"]])))
	one.effect == "hold"
	"votes_insufficient" in codes(one)
	two := judged(object.union(asking, testing.approved_by([["rita", "reviewer"], ["lea", "legal"]])))
	[two.effect, two.tier] == ["allow", "high"]
}

# Subject-line drafter: draft, publish, contact sync.
test_w8[name] if {
	some name, [kind, stage, effect, code] in {
		"draft": ["post.draft", "generate", "allow", "stage_granted"],
		"publish": ["post.unlisted", "export", "deny", "prohibited"],
		"contact sync": ["contact.sync", "edit", "deny", "prohibited"],
	}
	verdict := judged(testing.drafting({"action": {"kind": kind, "stage": stage, "asset": {"state": "draft"}}}))
	verdict.effect == effect
	code in codes(verdict)
}

# Export to a destination that cannot revoke.
test_w15[name] if {
	some name, [destination, external, effect] in {
		"public": ["billboard", true, "deny"],
		"internal": ["archive", false, "hold"],
	}
	verdict := judged(testing.sharing({"action": {"destination": destination, "external": external}}))
	verdict.effect == effect
	"destination_cannot_enforce" in codes(verdict)
}
