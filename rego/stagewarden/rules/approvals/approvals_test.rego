# What is wrong with an approval that is there

package stagewarden.rules.approvals_test

import data.stagewarden.main
import data.stagewarden.testing

approval(votes, changes) := object.union(testing.approved_by(votes).approval, changes)

judged(question) := {"effect": verdict.effect, "codes": {reason.code | some reason in verdict.reasons}} if {
	verdict := main.verdict with input as question with data.registry as testing.registry
}

test_of_a_medium_export[name] if {
	some name, [votes, changes, effect, code] in {
		"good": [[["rita", "reviewer"]], {}, "allow", "approved"],
		"one too many": [[["rita", "reviewer"], ["max", "manager"]], {}, "allow", "approved"],
		"other bytes": [[["rita", "reviewer"]], {"digest": testing.other_digest}, "deny", "digest_mismatch"],
		"over": [[["rita", "reviewer"]], {"expires_ns": 1795251600000000000}, "deny", "approval_expired"],
		"a moment left": [[["rita", "reviewer"]], {"expires_ns": 1795251600000000001}, "allow", "approved"],
		"not approved": [[["rita", "reviewer"]], {"state": "pending"}, "deny", "approval_expired"],
		"no vote": [[], {}, "hold", "votes_insufficient"],
		"function not held": [[["max", "reviewer"]], {}, "hold", "votes_insufficient"],
		"function not asked": [[["lea", "legal"]], {}, "hold", "votes_insufficient"],
		"left": [[["gone", "reviewer"]], {}, "hold", "votes_insufficient"],
		"unknown": [[["nobody", "reviewer"]], {}, "hold", "votes_insufficient"],
		"the initiator": [[["olivia", "reviewer"]], {}, "hold", "self_approval"],
		"the initiator beside another": [[["olivia", "reviewer"], ["rita", "reviewer"]], {}, "allow", "approved"],
	}
	verdict := judged(testing.asking({"approval": approval(votes, changes)}))
	verdict.effect == effect
	code in verdict.codes
}

test_prohibited_stays_prohibited if {
	question := testing.asking({"action": {"kind": "contact.sync"}, "approval": approval([["rita", "reviewer"]], {})})
	judged(question) == {"effect": "deny", "codes": {"prohibited", "stage_not_granted"}}
}

test_restricted_inside_the_house if {
	question := testing.drafting({"action": {"kind": "post.retitle"}, "approval": approval([["rita", "reviewer"]], {})})
	judged(question) == {"effect": "allow", "codes": {"approved"}}
}

# Nobody asked for people: the approval is not looked at, so that dropping it could not loosen anything.
test_nobody_asked[name] if {
	some name, changes in {"good": {}, "other bytes": {"digest": testing.other_digest}, "over": {"expires_ns": 1}}
	judged(testing.drafting({"approval": approval([], changes)})).effect == "allow"
}

# Nothing lies at the upstream: all of it is in the body.
whole := {"action": {"asset": {"id": null, "state": "untracked"}}}

# A bounded template: its votes count for each request inside its bounds, for these bytes, and for no other.
test_of_a_template[name] if {
	given := {"state": "granted", "grant": "g_01J0000000000000000000000A"}
	some name, [grants, votes, changes, effect, code] in {
		"inside": [{}, [["rita", "reviewer"]], given, "allow", "approved"],
		"outside": [{"outside": ["/title"]}, [["rita", "reviewer"]], given, "hold", "template_out_of_bounds"],
		"outside, nobody says so": [{"outside": ["/title"]}, [["rita", "reviewer"]], {"state": "granted"}, "hold", "votes_insufficient"],
		"with content elsewhere": [{"content": testing.digest}, [["rita", "reviewer"]], given, "hold", "votes_insufficient"],
		"ended": [{"state": "expired"}, [["rita", "reviewer"]], given, "hold", "votes_insufficient"],
		"another template": [{"id": "g_2"}, [["rita", "reviewer"]], given, "hold", "votes_insufficient"],
		"no template": [{"template": false}, [["rita", "reviewer"]], given, "hold", "votes_insufficient"],
		"other bytes": [{}, [["rita", "reviewer"]], object.union(given, {"digest": testing.other_digest}), "deny", "digest_mismatch"],
		"too few votes": [{}, [], given, "hold", "votes_insufficient"],
		"the initiator's vote": [{}, [["olivia", "reviewer"]], given, "hold", "self_approval"],
	}
	template := object.union({"template": true, "stage": "export", "kind": "post.publish", "destination": "newsroom-site"}, grants)
	verdict := judged(testing.asking(object.union(whole, {"grants": [testing.granted(template)], "approval": approval(votes, changes)})))
	verdict.effect == effect
	code in verdict.codes
}

# Before anybody decided, a template says only what is outside it.
test_outside_a_template[name] if {
	some name, [outside, codes] in {
		"inside": [[], {"publish_not_granted", "restricted"}],
		"outside": [["/title"], {"publish_not_granted", "restricted", "template_out_of_bounds"}],
	}
	template := {"template": true, "stage": "export", "kind": "post.publish", "destination": "newsroom-site", "outside": outside}
	judged(testing.asking(object.union(whole, {"grants": [testing.granted(template)]}))) == {"effect": "hold", "codes": codes}
}

# A variant that states a price needs the people a price needs: a template they never saw is not enough.
test_a_template_never_lifts_a_seat if {
	template := testing.granted({"template": true, "stage": "export", "kind": "post.publish", "destination": "newsroom-site"})
	given := {"state": "granted", "grant": template.id}
	asked := {"grants": [template], "approval": approval([["rita", "reviewer"]], given)}
	verdict := judged(testing.asking(object.union(object.union(whole, testing.priced), asked)))
	verdict.effect == "hold"
	"votes_insufficient" in verdict.codes
}
