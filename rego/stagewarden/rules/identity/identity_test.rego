# Who asks

package stagewarden.rules.identity_test

import data.stagewarden.rules.identity
import data.stagewarden.testing

denied(question, changes) := {reason.code | some reason in reasons} if {
	reasons := identity.deny with input as question with data.registry as testing.registering(changes)
}

details(question, changes) := {reason.detail | some reason in reasons} if {
	reasons := identity.deny with input as question with data.registry as testing.registering(changes)
}

human(id, verified) := {"kind": "human", "id": id, "verified": verified}

workload := {"kind": "agent", "id": "drafter-7", "verified": true}

chained(chain) := testing.drafting({"principal": {"chain": chain}})

test_denied[name] if {
	reuse := {"agents": {"drafter-7": {"stages": ["generate", "export"]}}}
	some name, [question, changes, expected] in {
		"nothing": [testing.drafting({}), {}, set()],
		"unknown agent": [testing.drafting({"principal": {"agent": "x"}}), {}, {"unregistered"}],
		"unknown workflow": [testing.drafting({"principal": {"workflow": "x"}}), {}, {"unregistered", "shared_identity"}],
		"no workflow settled": [testing.drafting({"principal": {"workflow": null}}), {}, {"shared_identity"}],
		"another agent's workflow": [
			testing.drafting({"principal": {"workflow": "launch"}}),
			{"agents": {"drafter-7": {"workflows": ["newsletter"]}}},
			{"shared_identity"},
		],
		"generates and exports": [testing.drafting({}), reuse, {"stage_identity_reuse"}],
		"exports only": [testing.sharing({}), {}, set()],
		"a person presents the credential": [chained([workload, human("max", true)]), {}, {"human_credential"}],
		"registered as its owner": [
			testing.drafting({}),
			{"people": {"olivia": {"identity": {"issuer": "https://issuer.example", "subject": "drafter"}}}},
			{"human_credential"},
		],
		"its owner is somebody else there": [
			testing.drafting({}),
			{"people": {"olivia": {"identity": {"issuer": "https://issuer.example", "subject": "olivia"}}}},
			set(),
		],
	}
	denied(question, changes) == expected
}

test_unregistered_names_what_is_missing if {
	details(testing.drafting({"principal": {"agent": "x", "workflow": "y"}}), {}) == {{"agent": "x"}, {"workflow": "y"}}
}

test_initiator[name] if {
	listed := {"workflows": {"newsletter": {"initiators": ["olivia"]}}}
	aliased := object.union(listed, {"people": {"olivia": {"aliases": ["liv"]}}})
	identified := object.union(listed, {"people": {"olivia": {"identity": {
		"issuer": "https://issuer.example",
		"subject": "0042",
	}}}})
	foreign := object.union(listed, {"people": {"olivia": {"identity": {"issuer": "https://other.example", "subject": "0042"}}}})
	some name, [chain, changes, expected] in {
		"listed": [[human("olivia", true), workload], listed, set()],
		"not listed": [[human("max", true), workload], listed, {"initiator_not_allowed"}],
		"nobody lists any": [[human("max", true), workload], {}, set()],
		"not proven": [[human("max", false), workload], listed, set()],
		"two, one not listed": [[human("olivia", true), human("max", true), workload], listed, {"initiator_not_allowed"}],
		"by another id": [[human("liv", true), workload], aliased, set()],
		"by the issuer's subject": [[human("0042", true), workload], identified, set()],
		"by another issuer's subject": [[human("0042", true), workload], foreign, {"initiator_not_allowed"}],
	}
	denied(chained(chain), changes) == expected
}
