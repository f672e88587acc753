# Counting votes

package stagewarden.approval_test

import data.stagewarden.approval
import data.stagewarden.testing

reviewer := {"functions": ["reviewer"], "count": 1}

reviewers(number) := {"functions": ["reviewer"], "count": number}

second := {"functions": ["legal", "reviewer"], "count": 1}

manager := {"functions": ["manager", "reviewer"], "count": 1}

# Olivia asks; Rita has another id, and Rob is a reviewer too.
registry := testing.registering({"people": {
	"rita": {"aliases": ["rita-old"]},
	"rita-old": testing.person(["manager"]),
	"rob": testing.person(["reviewer"]),
	"olivia": {"aliases": ["olivia-old"]},
	"subject": object.union(testing.person(["reviewer"]), {"identity": {"issuer": "i", "subject": "olivia"}}),
	"olivia-old": testing.person(["reviewer"]),
	"ria": object.union(testing.person(["reviewer"]), {"conflicts": ["agent:drafter-7"], "aliases": ["ria-old"]}),
	"ria-old": testing.person(["reviewer"]),
	"rune": object.union(testing.person(["reviewer"]), {"conflicts": ["workflow:newsletter"]}),
	"rolf": object.union(testing.person(["reviewer"]), {"conflicts": ["agent:publisher-1", "workflow:launch"]}),
}})

test_filled[name] if {
	some name, [seats, votes, filled] in {
		"one": [[reviewer], [["rita", "reviewer"]], true],
		"none": [[reviewer], [], false],
		"no seats": [[], [["rita", "reviewer"]], false],
		"another function": [[reviewer], [["lea", "legal"]], false],
		"two of one kind": [[reviewers(2)], [["rita", "reviewer"], ["rob", "reviewer"]], true],
		"the same person twice": [[reviewers(2)], [["rita", "reviewer"], ["rita", "reviewer"]], false],
		"two ids of one human being": [[manager, second], [["rita", "reviewer"], ["rita-old", "manager"]], false],
		"two seats": [[manager, second], [["max", "manager"], ["lea", "legal"]], true],
		"one fits both, the other one": [[manager, second], [["rita", "reviewer"], ["lea", "legal"]], true],
		"whatever the order": [[manager, second], [["rita", "reviewer"], ["max", "manager"]], true],
		"both fit only one": [[manager, second], [["max", "manager"], ["max", "manager"]], false],
		"three seats, two people": [[manager, reviewer, second], [["rita", "reviewer"], ["rob", "reviewer"]], false],
		"three seats": [[manager, reviewer, second], [["rita", "reviewer"], ["rob", "reviewer"], ["lea", "legal"]], true],
		"votes in two functions": [[manager, second], [["rita-old", "manager"], ["lea", "legal"]], true],
		"the initiator": [[reviewer], [["olivia", "reviewer"]], false],
		"another id of the initiator": [[reviewer], [["olivia-old", "reviewer"]], false],
		"a conflict with the agent": [[reviewer], [["ria", "reviewer"]], false],
		"another id of the conflicted": [[reviewer], [["ria-old", "reviewer"]], false],
		"a conflict with the workflow": [[reviewer], [["rune", "reviewer"]], false],
		"a conflict with others": [[reviewer], [["rolf", "reviewer"]], true],
		"the initiator as registered": [[reviewer], [["subject", "reviewer"]], false],
	}
	question := testing.asking(testing.approved_by(votes))
	approval.filled == filled with input as question
		with data.registry as registry
		with data.stagewarden.seats.required as seats
}

# Without a proven human being the agent's owner counts as the initiator; what is not verified proves nothing.
test_own_voters[name] if {
	some name, [chain, own] in {
		"proven": [[{"kind": "human", "id": "rob", "verified": true}], {"rob"}],
		"not verified": [[{"kind": "human", "id": "rob", "verified": false}], {"olivia"}],
		"nobody": [[{"kind": "agent", "id": "drafter-7", "verified": true}], {"olivia"}],
		"an editor beside nobody": [[{"kind": "editor", "id": "rob", "verified": true}], {"olivia", "rob"}],
		"a service of that name": [[{"kind": "service", "id": "rob", "verified": true}], {"olivia", "rob"}],
	}
	question := object.union(
		testing.asking({"principal": {"chain": chain}}),
		testing.approved_by([["olivia", "reviewer"], ["rob", "reviewer"], ["lea", "legal"]]),
	)
	approval.own_voters == own with input as question with data.registry as registry
}
