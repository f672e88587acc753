# The worked examples of governance section 4 that need no later topic
package stagewarden.main_test

import data.stagewarden.main
import data.stagewarden.testing

test_w1_internal_brief if {
	verdict := main.verdict with input as testing.drafting({"state": {"sample": true}})
		with data.registry as testing.registry
	verdict == {
		"effect": "allow",
		"tier": "low",
		"cacheable": false,
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
	verdict := main.verdict with input as testing.question with data.registry as testing.registry
	verdict.effect == "hold"
	verdict.tier == "medium"
	verdict.seats == [{"functions": ["reviewer"], "count": 1}]
	{reason.code | some reason in verdict.reasons} == {"restricted", "publish_not_granted"}
}
