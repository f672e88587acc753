# What holds for every question, as tables over the noes
#
# A no is anything but an allow. The free content (body, asserted, other facts) is the request itself, not a field of ours.

package stagewarden.main_test

import data.stagewarden.main
import data.stagewarden.testing

# name: what is changed in the ordinary draft, and in the registry.
noes := {
	"held: publish": [testing.question, {}],
	"held: price": [testing.queueing(testing.priced), {}],
	"held: restricted": [testing.drafting({"action": {"kind": "post.retitle"}}), {}],
	"held: recommend only": [testing.drafting({"state": {"mode": "recommend_only"}}), {}],
	"held: offer": [testing.queueing({"facts": {"offers": [1]}}), {}],
	"held: internal export": [testing.sharing({"action": {"destination": "archive", "external": false}}), {}],
	"held: too few votes": [testing.asking(testing.approved_by([["max", "manager"]])), {}],
	"held: one vote of two": one_of_two,
	"held: own vote": [testing.asking(testing.approved_by([["olivia", "reviewer"]])), {}],
	"denied: stage": [testing.drafting({"action": {"stage": "queue", "asset": {"state": "draft"}}}), {}],
	"denied: kind": [testing.drafting({"action": {"kind": "contact.sync"}}), {}],
	"denied: state": [testing.drafting({"action": {"asset": {"state": "exported"}}}), {}],
	"denied: agent": [testing.drafting({"principal": {"agent": "nobody"}}), {}],
	"denied: workflow": [testing.drafting({"principal": {"workflow": null}}), {}],
	"denied: paused": [testing.drafting({"state": {"mode": "paused"}}), {}],
	"denied: sandbox": [testing.sharing({"state": {"environment": "sandbox"}}), {}],
	"denied: destination": [testing.drafting({"action": {"destination": "elsewhere"}}), {}],
	"denied: other bytes": [
		object.union(
			testing.asking(testing.approved_by([["rita", "reviewer"]])),
			{"approval": {"digest": testing.other_digest}},
		),
		{},
	],
	"denied: too late": [
		object.union(testing.asking(testing.approved_by([["rita", "reviewer"]])), {"approval": {"expires_ns": 1}}),
		{},
	],
	"denied: initiator": [testing.drafting({}), {"workflows": {"newsletter": {"initiators": ["max"]}}}],
	"denied: chain": [
		testing.drafting({"principal": {"chain": [{"kind": "agent", "id": "drafter-7", "verified": true}]}}),
		{"workflows": {"newsletter": {"delegation": "jit"}}},
	],
	"held: grant": [testing.retitling({"grants": [testing.granted({"asset": "43"})]}), {}],
	"held: grant outside": [testing.retitling({"grants": [testing.granted({"outside": ["/title"]})]}), {}],
	"held: grant over": [testing.retitling({"grants": [testing.granted({"state": "expired"})]}), {}],
	"held: grant of an export": [
		testing.asking({"grants": [testing.granted({
			"stage": "export",
			"kind": "post.publish",
			"destination": "newsroom-site",
			"digest": testing.digest,
			"uses": 1,
			"uses_left": 1,
		})]}),
		{},
	],
	"held: template": [
		object.union(
			testing.asking(object.union(
				testing.approved_by([["rita", "reviewer"]]),
				{"grants": [testing.granted({
					"template": true,
					"stage": "export",
					"kind": "post.publish",
					"destination": "newsroom-site",
					"outside": ["/title"],
				})]},
			)),
			{"approval": {"state": "granted", "grant": "g_01J0000000000000000000000A"}},
		),
		{},
	],
	"denied: just in time": [
		testing.drafting({"action": {"stage": "edit", "kind": "post.edit", "asset": {"state": "draft"}}}),
		{"workflows": {"newsletter": {"delegation": "jit"}}},
	],
	"denied: owner": [testing.drafting({}), {"people": {"olivia": {"active": false}}}],
}

# A field of ours: not the free content, and not a whole element of a list.
ours(path) if {
	count(path) > 0
	not is_number(path[count(path) - 1])
	not path[0] == "asserted"
	not array.slice(path, 0, 2) == ["facts", "recipients"]
	not free_body(path)
}

free_body(path) if {
	count(path) > 2
	array.slice(path, 0, 2) == ["request", "body"]
}

effect(question, registry) := verdict.effect if {
	verdict := main.verdict with input as question with data.registry as registry
}

fields(question) := [path | walk(question, [path, _]); ours(path)]

test_these_are_noes[name] if {
	some name, [question, changes] in noes
	effect(question, testing.registering(changes)) != "allow"
}

# Every no, field and wrong type are tried on the compiled policy, which is fast enough (tests/unit/rego/test_properties.py);
# here one no with each of its outer fields as null.
test_with_any_field_null_a_no_stays_a_no[name] if {
	question := testing.queueing(testing.priced)
	some name, path in {concat("/", path): path | some path in fields(question); count(path) < 3}
	effect(json.patch(question, [{"op": "replace", "path": path, "value": null}]), testing.registry) != "allow"
}

test_an_assertion_never_loosens[name] if {
	asserted := {"asserted": {"confidence": 1, "claims": [], "approved": true, "effect": "allow", "tier": "low"}}
	some name, [question, changes] in noes
	effect(object.union(question, asserted), testing.registering(changes)) != "allow"
}

test_votes_never_loosen_a_deny[name] if {
	some name, [question, changes] in {name: scenario | some name, scenario in noes; startswith(name, "denied")}
	votes := [[person, function] | some person, entry in testing.people; some function in entry.functions]
	more := object.union(testing.approved_by(votes).approval, approval_of(question))
	effect(object.union(question, {"approval": more}), testing.registering(changes)) == "deny"
}

# What is wrong with the approval that is there stays wrong.
approval_of(question) := object.remove(question.approval, ["votes"]) if is_object(question.approval)

approval_of(question) := {} if question.approval == null

test_an_empty_registry_allows_nothing[name] if {
	some name, registry in {
		"none": {},
		"only a revision": {"revision": "rev-1"},
		"empty sections": {
			"revision": "rev-1",
			"people": {}, "processes": {}, "workflows": {}, "agents": {}, "destinations": {}, "tiers": {}, "triggers": {},
		},
		"null sections": {"revision": "rev-1", "people": null, "workflows": null, "agents": null, "destinations": null},
	}
	every question in [testing.question, testing.drafting({}), testing.sharing(testing.approved_by([["rita", "reviewer"]]))] {
		effect(question, registry) == "deny"
	}
}
