# Why a grant that is there does not cover what is asked

package stagewarden.rules.grants_test

import data.stagewarden.main
import data.stagewarden.testing

judged(question) := {"effect": verdict.effect, "codes": {reason.code | some reason in verdict.reasons}} if {
	verdict := main.verdict with input as question with data.registry as testing.registry
}

# W4, W5: allowed under a grant, else held; each member that differs, is missing or malformed covers nothing.
test_a_restricted_kind[name] if {
	elsewhere := ["hold", {"restricted", "grant_out_of_scope"}]
	some name, [changes, [effect, codes]] in {
		"covered": [{}, ["allow", {"grant_covers"}]],
		"its asset": [{"asset": "42"}, ["allow", {"grant_covers"}]],
		"its digest": [{"digest": testing.digest}, ["allow", {"grant_covers"}]],
		"over": [{"expires_ns": 1795251600000000000}, ["hold", {"restricted", "grant_expired"}]],
		"expired": [{"state": "expired"}, ["hold", {"restricted", "grant_expired"}]],
		"lapsed": [{"state": "lapsed"}, ["hold", {"restricted", "grant_expired"}]],
		"no use left": [{"uses_left": 0}, ["hold", {"restricted", "grant_exhausted"}]],
		"spent": [{"state": "spent", "uses_left": 0}, ["hold", {"restricted", "grant_exhausted"}]],
		"uses as text": [{"uses_left": "2"}, ["hold", {"restricted"}]],
		"end as text": [{"expires_ns": "later"}, ["hold", {"restricted"}]],
		"another agent": [{"agent": "publisher-1"}, elsewhere],
		"another workflow": [{"workflow": "launch"}, elsewhere],
		"another purpose": [{"purpose": "profiling"}, elsewhere],
		"another stage": [{"stage": "queue"}, elsewhere],
		"another kind": [{"kind": "post.edit"}, elsewhere],
		"another upstream": [{"upstream": "crm"}, elsewhere],
		"another destination": [{"destination": "archive"}, elsewhere],
		"another asset": [{"asset": "43"}, elsewhere],
		"no asset": [{"asset": null}, elsewhere],
		"another digest": [{"digest": testing.other_digest}, elsewhere],
		"fewer fields": [{"fields": ["title"]}, elsewhere],
		"fewer classes": [{"classes": []}, elsewhere],
		"outside its bounds": [{"outside": ["/title"]}, elsewhere],
		"bounds not told": [{"outside": null}, elsewhere],
		"a template": [{"template": true}, ["hold", {"restricted"}]],
		"neither": [{"template": null}, ["hold", {"restricted"}]],
	}
	judged(testing.retitling({"grants": [testing.granted(changes)]})) == {"effect": effect, "codes": codes}
}

# A missing stage: the grant takes its place, and a deny says why it does not.
test_a_missing_stage[name] if {
	some name, [changes, effect, codes] in {
		"covered": [{}, "allow", {"grant_covers"}],
		"over": [{"state": "expired"}, "deny", {"stage_not_granted", "grant_expired"}],
		"no use left": [{"uses_left": 0}, "deny", {"stage_not_granted", "grant_exhausted"}],
		"another asset": [{"asset": "43"}, "deny", {"stage_not_granted", "grant_out_of_scope"}],
	}
	question := testing.asking({
		"action": {
			"stage": "queue",
			"kind": "post.queue",
			"asset": {"state": "draft"},
			"destination": "intranet",
			"external": false,
		},
		"grants": [testing.granted(object.union({"stage": "queue", "kind": "post.queue"}, changes))],
	})
	judged(question) == {"effect": effect, "codes": codes}
}

# What leaves the house leaves by one use of one digest, and never for an identity that also writes the text.
test_a_publication[name] if {
	one := {"digest": testing.digest, "uses": 1, "uses_left": 1}
	whole := {"action": {"asset": {"id": null, "state": "untracked"}}}
	elsewhere := {"action": {"asset": {"digest": testing.other_digest}}}
	some name, [question, changes, effect, codes] in {
		"covered": [testing.sharing(whole), one, "allow", {"grant_covers"}],
		"what lies there, by digest": [
			testing.sharing(elsewhere),
			object.union(one, {"content": testing.other_digest}),
			"allow",
			{"grant_covers"},
		],
		"what lies there, changed": [
			testing.sharing(elsewhere),
			object.union(one, {"content": testing.digest}),
			"hold",
			{"publish_not_granted", "grant_out_of_scope"},
		],
		"what lies there, unseen": [testing.sharing(elsewhere), one, "hold", {"publish_not_granted", "grant_out_of_scope"}],
		"not looked up": [testing.sharing({}), one, "hold", {"publish_not_granted", "grant_out_of_scope"}],
		"any digest": [testing.sharing(whole), {"uses": 1, "uses_left": 1}, "hold", {"publish_not_granted", "grant_out_of_scope"}],
		"two uses": [
			testing.sharing(whole),
			object.union(one, {"uses": 2}),
			"hold",
			{"publish_not_granted", "grant_out_of_scope"},
		],
		"the writer": [
			testing.asking(whole),
			object.union(one, {"agent": "drafter-7", "kind": "post.publish"}),
			"hold",
			{"publish_not_granted", "restricted", "grant_out_of_scope"},
		],
	}
	grant := testing.granted(object.union(
		{"agent": "publisher-1", "stage": "export", "kind": "post.share", "destination": "newsroom-site"},
		changes,
	))
	judged(object.union(question, {"grants": [grant]})) == {"effect": effect, "codes": codes}
}

# Just in time: in such a workflow an agent's stages alone only make a text.
test_just_in_time[name] if {
	edit := {"stage": "edit", "kind": "post.edit", "asset": {"state": "draft"}}
	grant := testing.granted({"kind": "post.edit"})
	some name, [action, grants, effect, codes] in {
		"a text": [{}, [], "allow", {"stage_granted"}],
		"a write": [edit, [], "deny", {"stage_not_granted"}],
		"a write, granted": [edit, [grant], "allow", {"grant_covers"}],
	}
	registry := testing.registering({"workflows": {"newsletter": {"delegation": "jit"}}})
	verdict := main.verdict with input as testing.drafting({"action": action, "grants": grants}) with data.registry as registry
	verdict.effect == effect
	{reason.code | some reason in verdict.reasons} == codes
}
