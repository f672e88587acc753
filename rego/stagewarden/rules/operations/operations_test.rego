# The mode an agent is in

package stagewarden.rules.operations_test

import data.stagewarden.rules.operations
import data.stagewarden.testing

test_mode[name] if {
	some name, [mode, method, held, denied] in {
		"active": ["active", "POST", set(), set()],
		"recommend only": ["recommend_only", "POST", {"recommend_only"}, set()],
		"recommend only, reading": ["recommend_only", "GET", set(), set()],
		"paused": ["paused", "GET", set(), {"paused"}],
		"revoked": ["revoked", "GET", set(), {"revoked"}],
		"unknown": ["resting", "GET", set(), {"paused"}],
	}
	question := testing.drafting({"request": {"method": method}, "state": {"mode": mode}})
	holds := operations.hold with input as question
	denies := operations.deny with input as question
	tier := operations.tier with input as question
	[codes(holds), codes(denies), tier] == [held, denied, {"medium" | count(held) > 0}]
}

codes(reasons) := {reason.code | some reason in reasons}
