# Counting votes
#
# 1. A vote counts when its person is registered and active, holds the function today, has no part in the asking, and no
#    conflict is marked.
# 2. A human being counts once, whatever ids they have.
# 3. The seats are filled when every choice of seats has as many different people able to sit in it as it needs
#    (Hall's theorem: then, and only then, one assignment serves them all).

package stagewarden.approval

import data.stagewarden.humans
import data.stagewarden.parties
import data.stagewarden.seats

# METADATA
# title: Different eligible people fill every seat
default filled := false

filled if {
	count(seats.required) > 0
	not _short
}

_short if {
	asked := seats.required
	some choice in numbers.range(1, bits.lsh(1, count(asked)) - 1)
	chosen := {index | some index, _ in asked; bits.and(choice, bits.lsh(1, index)) != 0}
	able := {human | some index in chosen; some [human, function] in _counting; function in asked[index].functions}
	count(able) < sum([asked[index].count | some index in chosen])
}

# (1), (2): the human being and the function of each vote that counts.
_counting contains [humans.one(vote.person), vote.function] if {
	some vote in input.approval.votes
	_eligible(vote)
	not vote.person in own_voters
	not humans.one(vote.person) in _conflicted
}

_eligible(vote) if {
	person := data.registry.people[vote.person]
	person.active == true
	vote.function in person.functions
}

# Whom the registry marks as having a conflict with this agent or workflow, under whichever of their ids.
_conflicted contains humans.one(id) if {
	some id, person in data.registry.people
	some mark in person.conflicts
	mark in {sprintf("agent:%s", [input.principal.agent]), sprintf("workflow:%s", [input.principal.workflow])}
}

# METADATA
# title: People who voted on what they asked for themselves
own_voters contains vote.person if {
	some vote in input.approval.votes
	some asker in _askers
	humans.one(asker) == humans.one(vote.person)
}

# Everyone proven in the chain that asked, as named there and as registered.
_askers contains link.id if {
	some link in input.principal.chain
	link.verified == true
}

_askers contains person if {
	some link in input.principal.chain
	link.verified == true
	some person, entry in data.registry.people
	entry.identity.subject == link.id
}

# Where no human being is proven, the agent's human owner counts as the initiator.
_askers contains parties.agent.owners.human if not _human_proven

_human_proven if {
	some link in input.principal.chain
	link.kind == "human"
	link.verified == true
}
