# Which questions can be judged

package stagewarden.question_test

import data.stagewarden.question
import data.stagewarden.testing

changed(path, value) := json.patch(testing.question, [{"op": "replace", "path": path, "value": value}])

approved := testing.asking(testing.approved_by([["rita", "reviewer"]]))

test_sound[name] if {
	some name, example in {
		"the example": testing.question,
		"with an approval": approved,
		"without a workflow": changed(["principal", "workflow"], null),
		"with a trigger": changed(["principal", "trigger"], {"kind": "cron"}),
		"without a body": object.union(changed(["request", "body"], null), {"action": {"fields": []}}),
		"with an opaque body": object.union(changed(["request", "body"], "text"), {"action": {"fields": []}}),
	}
	question.sound with input as example
	faults := question.faults with input as example
	faults == set()
}

test_faults[name] if {
	some name, [path, value, faults] in {
		"version": ["version", 2, {"version"}],
		"time": ["time", 1, {"time"}],
		"time_ns": ["time_ns", "1", {"time_ns"}],
		"method": ["request/method", null, {"request.method"}],
		"upstream": ["request/upstream", null, {"request.upstream"}],
		"digest": ["request/digest", null, {"request.digest"}],
		"headers": ["request/headers", [], {"request.headers"}],
		"body": ["request/body", null, {"request.body"}],
		"a member of the body": ["request/body", {"status": "publish"}, {"request.body"}],
		"agent": ["principal/agent", null, {"principal.agent"}],
		"workflow": ["principal/workflow", ["a"], {"principal.workflow"}],
		"credential": ["principal/credential", null, {"principal.credential.kind", "principal.credential.issuer"}],
		"trigger": ["principal/trigger", "cron", {"principal.trigger"}],
		"chain": ["principal/chain", {}, {"principal.chain"}],
		"kind of link": ["principal/chain/0/kind", "robot", {"principal.chain"}],
		"id of link": ["principal/chain/0/id", null, {"principal.chain"}],
		"proof of link": ["principal/chain/0/verified", "yes", {"principal.chain"}],
		"route": ["action/route", null, {"action.route"}],
		"stage": ["action/stage", "publish", {"action.stage"}],
		"kind": ["action/kind", null, {"action.kind"}],
		"state": ["action/asset/state", null, {"action.asset.state"}],
		"asset": ["action/asset", null, {"action.asset.state"}],
		"fields": ["action/fields", null, {"action.fields", "request.body"}],
		"data classes": ["action/data_classes", null, {"action.data_classes"}],
		"destination": ["action/destination", null, {"action.destination"}],
		"external": ["action/external", "yes", {"action.external"}],
		"reversible": ["action/reversible", null, {"action.reversible"}],
		"claims": ["facts/claims", null, {"facts.claims"}],
		"offers": ["facts/offers", {}, {"facts.offers"}],
		"asserted": ["asserted", null, {"asserted"}],
		"grants": ["grants", null, {"grants"}],
		"approval": ["approval", true, {"approval", "approval.state", "approval.digest", "approval.votes", "approval.expires_ns"}],
		"registry": ["state/registry", null, {"state.registry"}],
		"environment": ["state/environment", "test", {"state.environment"}],
		"mode": ["state/mode", null, {"state.mode"}],
	}
	example := changed(split(path, "/"), value)
	question.sound == false with input as example
	found := question.faults with input as example
	found == faults
}

test_faults_of_an_approval[name] if {
	some name, [path, value, fault] in {
		"state": ["approval/state", null, "approval.state"],
		"digest": ["approval/digest", null, "approval.digest"],
		"expiry": ["approval/expires_ns", "1", "approval.expires_ns"],
		"votes": ["approval/votes", {}, "approval.votes"],
		"a vote's person": ["approval/votes/0/person", null, "approval"],
		"a vote's function": ["approval/votes/0/function", null, "approval"],
	}
	example := json.patch(approved, [{"op": "replace", "path": split(path, "/"), "value": value}])
	question.sound == false with input as example
	found := question.faults with input as example
	found == {"approval", fault}
}
