# How topics become one verdict

package stagewarden.main_test

import data.stagewarden.main
import data.stagewarden.testing

drafted(custom) := verdict if {
	verdict := main.verdict with input as testing.drafting({})
		with data.registry as testing.registry
		with data.stagewarden.rules.custom as custom
}

no := {"code": "no", "text": "No"}

test_deny_beats_hold_beats_allow[name] if {
	some name, [custom, effect] in {
		"nothing more": [{}, "allow"],
		"hold": [{"hold": {no}}, "hold"],
		"deny": [{"deny": {no}}, "deny"],
		"both": [{"deny": {no}, "hold": {no}}, "deny"],
		"allow adds nothing": [{"allow": {no}}, "allow"],
	}
	drafted(custom).effect == effect
}

test_reason_names_its_package if {
	drafted({"deny": {no}}).reasons == [{"code": "no", "text": "No", "rule": "stagewarden.rules.custom"}]
}

test_reasons_are_sorted_and_keep_their_detail if {
	reasons := drafted({"deny": {{"code": "b", "text": "B"}, {"code": "a", "text": "A", "detail": {"n": 1}}}}).reasons
	reasons == [
		{"code": "a", "text": "A", "detail": {"n": 1}, "rule": "stagewarden.rules.custom"},
		{"code": "b", "text": "B", "rule": "stagewarden.rules.custom"},
	]
}

# A customer's rule that answers in another form than the sets of governance section 2 is a no, never left out.
test_what_is_not_understood_denies[name] if {
	some name, custom in {
		"deny is a boolean": {"deny": true},
		"deny is an object": {"deny": {"why": "no"}},
		"deny holds a string": {"deny": {"no"}},
		"deny holds no text": {"deny": {{"code": "no"}}},
		"deny holds an unknown member": {"deny": {{"code": "no", "text": "No", "tier": "low"}}},
		"deny holds a detail that is no object": {"deny": {{"code": "no", "text": "No", "detail": 1}}},
		"hold is a boolean": {"hold": true},
		"tier is a string": {"tier": "high"},
		"seats is a list": {"seats": [{"functions": ["legal"], "count": 1}]},
		"a seat without functions": {"seats": {{"function": ["legal"], "count": 1}}},
		"a seat for nobody": {"seats": {{"functions": ["legal"], "count": 0}}},
	}
	verdict := drafted(custom)
	verdict.effect == "deny"
	codes(verdict) == {"cannot_tell"}
}

test_a_malformed_hold_still_holds if {
	verdict := drafted({"hold": {"wait"}})
	verdict.effect == "hold"
	codes(verdict) == {"cannot_tell"}
}

test_a_malformed_allow_allows_nothing if {
	verdict := main.verdict with input as testing.drafting({})
		with data.registry as testing.registry
		with data.stagewarden.rules as {"custom": {"allow": {"yes"}}}
	verdict.effect == "deny"
}

test_silence_denies[name] if {
	some name, [question, code] in {
		"inside": [testing.drafting({}), "stage_not_granted"],
		"export": [testing.question, "publish_not_granted"],
	}
	verdict := main.verdict with input as question with data.registry as testing.registry with data.stagewarden.rules as {}
	verdict.effect == "deny"
	verdict.seats == []
	[[reason.code, reason.rule] | some reason in verdict.reasons] == [[code, "stagewarden.main"]]
}

test_registry_stale[name] if {
	some name, registry in {"another": {"revision": "rev-2"}, "none": {}, "null": {"revision": null}}
	verdict := main.verdict with input as testing.drafting({})
		with data.registry as object.union(object.remove(testing.registry, ["revision"]), registry)
	verdict.effect == "deny"
	codes(verdict) == {"registry_stale"}
}

test_malformed_question_names_its_fields if {
	verdict := main.verdict with input as object.remove(testing.drafting({}), ["approval", "facts"])
		with data.registry as testing.registry
	verdict.effect == "deny"
	verdict.tier == "low"
	[reason.detail.fields | some reason in verdict.reasons] == [["approval", "facts.claims", "facts.offers"]]
}

test_no_question_at_all[name] if {
	some name, question in {"empty": {}, "null": null, "list": [], "text": "allow"}
	verdict := main.verdict with input as question with data.registry as testing.registry
	verdict.effect == "deny"
}

test_review[name] if {
	some name, [changes, review] in {
		"nobody": [{}, "auto"],
		"drawn": [{"state": {"sample": true}}, "sampled"],
		"people": [{"action": {"kind": "post.retitle"}}, "human"],
		"denied": [{"action": {"kind": "contact.sync"}, "state": {"sample": true}}, "auto"],
	}
	judged(testing.drafting(changes)).obligations == {"response_fields": null, "review": review, "settle": null}
}

test_a_hold_settles_as_its_tier_says[name] if {
	settling := testing.registering({"tiers": {"medium": {"settle": "10m"}}})
	some name, [changes, settle] in {
		"hold": [{"action": {"kind": "post.retitle"}}, "10m"],
		"allow": [{}, null],
		"deny": [{"action": {"kind": "contact.sync"}}, null],
	}
	verdict := main.verdict with input as testing.drafting(changes) with data.registry as settling
	verdict.obligations.settle == settle
}

test_a_topic_asks_for_its_own_seats if {
	verdict := drafted({"hold": {no}, "tier": {"high"}, "seats": {{"functions": {"privacy"}, "count": 2}}})
	[verdict.effect, verdict.tier] == ["hold", "high"]
	verdict.seats == [{"functions": ["privacy"], "count": 2}]
}
