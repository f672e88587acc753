# Which act an agent may do at all

package stagewarden.rules.stages_test

import data.stagewarden.rules.stages
import data.stagewarden.testing

codes(reasons) := {reason.code | some reason in reasons}

said(question) := {"allow": codes(allowed), "hold": codes(held), "deny": codes(denied), "tier": tier} if {
	allowed := stages.allow with input as question with data.registry as testing.registry
	held := stages.hold with input as question with data.registry as testing.registry
	denied := stages.deny with input as question with data.registry as testing.registry
	tier := stages.tier with input as question with data.registry as testing.registry
}

test_said[name] if {
	some name, [question, expected] in {
		"allowed draft": [testing.drafting({}), {"allow": {"stage_granted"}}],
		"allowed internal export": [
			testing.sharing({"action": {"destination": "intranet", "external": false}}),
			{"allow": {"stage_granted"}},
		],
		"internal in the registry, external to the gate": [
			testing.sharing({"action": {"destination": "intranet"}}),
			{"hold": {"publish_not_granted"}, "tier": {"medium"}},
		],
		"internal to the gate, public in the registry": [
			testing.sharing({"action": {"external": false}}),
			{"hold": {"publish_not_granted"}, "tier": {"medium"}},
		],
		"public export": [testing.sharing({}), {"hold": {"publish_not_granted"}, "tier": {"medium"}}],
		"high-risk workflow": [
			testing.sharing({"principal": {"workflow": "launch"}}),
			{"hold": {"publish_not_granted"}, "tier": {"medium", "high"}},
		],
		"restricted edit without the stage": [
			testing.drafting({"principal": {"agent": "publisher-1"}, "action": {"kind": "post.retitle"}}),
			{"hold": {"restricted"}, "tier": {"medium"}},
		],
		"restricted, granted": [
			testing.retitling({"grants": [testing.granted({})]}),
			{"allow": {"grant_covers"}, "tier": {"medium"}},
		],
		"prohibited": [testing.drafting({"action": {"kind": "contact.sync"}}), {"deny": {"prohibited"}}],
		"not listed": [testing.drafting({"action": {"kind": "post.delete"}}), {"deny": {"prohibited"}}],
		"stage not held": [testing.sharing({"principal": {"agent": "drafter-7"}}), {
			"hold": {"publish_not_granted"},
			"deny": {"stage_not_granted"},
			"tier": {"medium"},
		}],
		"unknown workflow": [testing.drafting({"principal": {"workflow": "other"}}), {}],
	}
	said(question) == object.union({"allow": set(), "hold": set(), "deny": set(), "tier": set()}, expected)
}

# The stricter class wins where a kind is listed twice.
test_class_of_a_kind_listed_twice[name] if {
	some name, [lists, effects] in {
		"allowed and restricted": [{"allowed": ["k"], "restricted": ["k"]}, [set(), {"restricted"}, set()]],
		"allowed and prohibited": [{"allowed": ["k"], "prohibited": ["k"]}, [set(), set(), {"prohibited"}]],
		"restricted and prohibited": [{"restricted": ["k"], "prohibited": ["k"]}, [set(), set(), {"prohibited"}]],
	}
	question := testing.drafting({"action": {"kind": "k"}})
	registry := testing.registering({"workflows": {"newsletter": {"actions": lists}}})
	allowed := stages.allow with input as question with data.registry as registry
	held := stages.hold with input as question with data.registry as registry
	denied := stages.deny with input as question with data.registry as registry
	[codes(allowed), codes(held), codes(denied)] == effects
}
