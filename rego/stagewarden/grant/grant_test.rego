# What grants cover, and what they never lift

package stagewarden.grant_test

import data.stagewarden.main
import data.stagewarden.testing

judged(question) := {"effect": verdict.effect, "codes": {reason.code | some reason in verdict.reasons}} if {
	verdict := main.verdict with input as question with data.registry as testing.registry
}

# A grant never lifts a prohibition, nor what another topic says.
test_what_it_never_lifts[name] if {
	some name, [changes, kind, effect, code] in {
		"prohibited": [{"action": {"kind": "contact.sync"}}, "contact.sync", "deny", "prohibited"],
		"not listed": [{"action": {"kind": "post.delete"}}, "post.delete", "deny", "prohibited"],
		"an illegal state": [{"action": {"asset": {"state": "exported"}}}, "post.retitle", "deny", "illegal_transition"],
		"a mode": [{"state": {"mode": "recommend_only"}}, "post.retitle", "hold", "recommend_only"],
		"an unknown initiator": [
			{"principal": {"workflow": "launch", "chain": [{"kind": "human", "id": "rita", "verified": true}]}},
			"post.retitle",
			"deny",
			"initiator_not_allowed",
		],
	}
	question := testing.retitling(object.union(changes, {"grants": [testing.granted({"kind": kind})]}))
	verdict := judged(question)
	verdict.effect == effect
	code in verdict.codes
}

# What the agent may do anyway spends no use.
test_nothing_is_spent_where_nothing_is_needed if {
	question := testing.drafting({"grants": [testing.granted({"stage": "generate", "kind": "post.draft"})]})
	judged(question) == {"effect": "allow", "codes": {"stage_granted"}}
}

# Of two that cover, always the same one is named: it is the one whose use is reserved.
test_one_grant_is_named if {
	question := testing.retitling({"grants": [testing.granted({"id": "g_2"}), testing.granted({"id": "g_1"})]})
	verdict := main.verdict with input as question with data.registry as testing.registry
	[reason.detail | some reason in verdict.reasons] == [{"grant": "g_1"}]
	verdict.cacheable == false
}
