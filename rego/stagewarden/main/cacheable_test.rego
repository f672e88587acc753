# Which verdicts may be given again

package stagewarden.main_test

import data.stagewarden.testing

test_cacheable[name] if {
	some name, [question, effect, cacheable] in {
		"a draft": [testing.drafting({}), "allow", true],
		"into the house's own queue": [testing.queueing({}), "allow", true],
		"with the last link proven or not": [testing.drafting({"principal": {"chain": []}}), "allow", true],
		"an export inside the house": [
			testing.sharing({"action": {"destination": "intranet", "external": false}}),
			"allow",
			false,
		],
		"what people approved": [testing.sharing(testing.approved_by([["rita", "reviewer"]])), "allow", false],
		"a draft with an approval nobody asked for": [
			testing.drafting(testing.approved_by([["rita", "reviewer"]])),
			"allow",
			false,
		],
		"a draft with a grant": [testing.drafting({"grants": [{"id": "g_1"}]}), "allow", false],
		"a hold": [testing.drafting({"action": {"kind": "post.retitle"}}), "hold", false],
		"a denial": [testing.drafting({"action": {"kind": "contact.sync"}}), "deny", false],
		"a question that is not sound": [testing.drafting({"time": 1}), "deny", false],
	}
	verdict := judged(question)
	[verdict.effect, verdict.cacheable] == [effect, cacheable]
}

test_what_is_cacheable_does_not_change_with_the_clock[name] if {
	some name, [time, time_ns] in {
		"the beginning": ["1970-01-01T00:00:00Z", 0],
		"long before": ["2019-01-01T00:00:00Z", 1546300800000000000],
		"a year later": ["2027-12-31T23:59:59Z", 1830297599000000000],
		"the end": ["9999-12-31T23:59:59Z", 253402300799000000000],
	}
	every question in [testing.drafting({}), testing.queueing({})] {
		verdict := judged(question)
		verdict.cacheable
		judged(object.union(question, {"time": time, "time_ns": time_ns})) == verdict
	}
}
