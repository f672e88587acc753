# How an agent acts for people, and who answers for it

package stagewarden.rules.identity_test

import data.stagewarden.testing

test_delegation[name] if {
	inherit := {"workflows": {"newsletter": {"delegation": "inherit"}}}
	jit := {"workflows": {"newsletter": {"delegation": "jit"}}}
	proven := [human("olivia", true), workload]
	some name, [changes, chain, method, stage, expected] in {
		"service account, nobody proven": [{}, [workload], "POST", "generate", set()],
		"just in time, proven": [jit, proven, "POST", "generate", set()],
		"just in time, nobody": [jit, [workload], "POST", "generate", {"chain_incomplete"}],
		"just in time, person not proven": [jit, [human("olivia", false), workload], "POST", "generate", {"chain_incomplete"}],
		"just in time, one link not proven": [
			jit,
			[human("olivia", true), object.union(workload, {"verified": false})],
			"POST",
			"generate",
			{"chain_incomplete"},
		],
		"inherited read": [inherit, proven, "GET", "generate", set()],
		"inherited write": [inherit, proven, "POST", "generate", {"inherited_write"}],
		"inherited read that is none": [inherit, proven, "GET", "edit", {"inherited_write"}],
		"inherited, nobody": [inherit, [workload], "HEAD", "generate", {"chain_incomplete"}],
	}
	question := testing.drafting({
		"request": {"method": method},
		"principal": {"chain": chain},
		"action": {"stage": stage},
	})
	denied(question, changes) == expected
}

test_owner_missing[name] if {
	some name, [changes, owners] in {
		"agent's owner left": [{"agents": {"drafter-7": {"owners": {"human": "gone"}}}}, ["agent.human"]],
		"agent's owner unknown": [{"agents": {"drafter-7": {"owners": {"human": "nobody"}}}}, ["agent.human"]],
		"agent without owner": [{"agents": {"drafter-7": {"owners": {"human": null}}}}, ["agent.human"]],
		"agent's technical owner left": [{"agents": {"drafter-7": {"owners": {"technical": "gone"}}}}, ["agent.technical"]],
		"service account is nobody": [{"agents": {"drafter-7": {"owners": {"service_account": "gone"}}}}, []],
		"workflow without business owner": [
			{"workflows": {"newsletter": {"owners": {"business": null}}}},
			["workflow.business"],
		],
		"workflow's owners left": [
			{"workflows": {"newsletter": {"owners": {"security": "gone", "privacy": "nobody"}}}},
			["workflow.privacy", "workflow.security"],
		],
		"workflow without privacy owner": [{"workflows": {"newsletter": {"owners": {"privacy": null}}}}, []],
	}
	[detail.owners | some detail in details(testing.drafting({}), changes)] == [owners | owners != []]
	denied(testing.drafting({}), changes) == {"owner_missing" | owners != []}
}

test_owners_not_distinct[name] if {
	same := {"workflows": {"launch": {"owners": {"privacy": "sam"}}}}
	aliased := {"people": {"sam": {"aliases": ["petra"]}}}
	missing := {"workflows": {"launch": {"owners": {"security": null}}}}
	launch := {"principal": {"workflow": "launch"}}
	some name, [question, changes, expected] in {
		"three people": [testing.sharing(launch), {}, set()],
		"two people": [testing.sharing(launch), same, {"owners_not_distinct"}],
		"two ids of one": [testing.sharing(launch), aliased, {"owners_not_distinct"}],
		"one missing": [testing.sharing(launch), missing, {"owners_not_distinct"}],
		"drafting goes on": [testing.drafting(launch), same, set()],
		"medium risk": [testing.sharing({}), {"workflows": {"newsletter": {"owners": {"privacy": "sam"}}}}, set()],
	}
	denied(question, changes) == expected
}
