# A seat more, and why

package stagewarden.main_test

import data.stagewarden.main
import data.stagewarden.testing

hurried(question) := verdict if {
	registry := testing.registering({"workflows": {"newsletter": object.union(testing.workflow, {"second_person": ["run"]})}})
	verdict := main.verdict with input as question with data.registry as registry
}

# For the properties: nobody gets rid of the second person by leaving a field out.
one_of_two := [
	testing.sharing(object.union(testing.approved_by([["rita", "reviewer"]]), run)),
	{"workflows": {"newsletter": {"second_person": ["run"]}}},
]

crossed := {
	"code": "threshold_crossed",
	"rule": "stagewarden.main",
	"text": "Recent reviews of this workflow look hurried; one more person is asked",
	"detail": {"signals": ["run"]},
}

run := {"state": {"review": ["always", "run"]}}

test_a_hold_asks_one_more_and_says_why if {
	verdict := hurried(testing.sharing(run))
	verdict.effect == "hold"
	verdict.seats == [{"functions": ["reviewer"], "count": 2}]
	crossed in verdict.reasons
	calm := hurried(testing.sharing({}))
	calm.seats == [{"functions": ["reviewer"], "count": 1}]
	not crossed in calm.reasons
}

test_what_nobody_is_asked_about_stays_allowed if {
	verdict := hurried(testing.drafting(run))
	verdict.effect == "allow"
	verdict.seats == []
	not crossed in verdict.reasons
}

# One reviewer's yes is enough while nothing looks hurried, and not while it does.
test_votes_are_counted_against_the_seats_asked_for_now if {
	approved := testing.approved_by([["rita", "reviewer"]])
	hurried(testing.sharing(approved)).effect == "allow"
	hurried(testing.sharing(object.union(approved, run))).effect == "hold"
	hurried(testing.sharing(object.union(testing.approved_by([["rita", "reviewer"], ["olivia", "reviewer"]]), run))).effect == "hold"
}

test_two_different_reviewers_fill_both if {
	approved := testing.approved_by([["rita", "reviewer"], ["max", "reviewer"]])
	registry := testing.registering({
		"people": {"max": testing.person(["manager", "reviewer"])},
		"workflows": {"newsletter": object.union(testing.workflow, {"second_person": ["run"]})},
	})
	verdict := main.verdict with input as testing.sharing(object.union(approved, run)) with data.registry as registry
	verdict.effect == "allow"
}
