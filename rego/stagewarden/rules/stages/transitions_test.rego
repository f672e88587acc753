# Every pair of stage and state: the legal ones are these, all others are denied

package stagewarden.rules.stages_test

import data.stagewarden.main
import data.stagewarden.testing

legal := {
	"generate": {"none", "draft", "untracked"},
	"edit": {"draft", "queued", "approved", "untracked"},
	"queue": {"draft", "untracked"},
	"approve": {"queued", "untracked"},
	"export": {"none", "draft", "queued", "approved", "exported", "retracted", "untracked"},
}

pairs := {name: [stage, state] |
	some stage, _ in legal
	some state in (legal.export | {"queue", ""})
	name := concat(" ", [stage, state])
}

# An agent with every stage but generate, and one with generate, so that only the pair decides.
judged(stage, state) := verdict if {
	holder := {true: "drafter-7", false: "publisher-1"}[stage == "generate"]
	verdict := main.verdict with data.registry as testing.registering({"agents": {"publisher-1": {"stages": [
		"edit",
		"queue",
		"approve",
		"export",
	]}}})
		with input as testing.drafting({
			"principal": {"agent": holder},
			"action": {"stage": stage, "asset": {"state": state}},
		})
}

test_pair[name] if {
	some name, [stage, state] in pairs
	codes(judged(stage, state).reasons) == expected(stage, state)
}

default expected(_, _) := {"illegal_transition"}

expected(stage, state) := {"stage_granted"} if state in legal[stage]

expected("export", _) := {"stage_granted"}
