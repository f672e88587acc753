# One person more, where recent reviews look hurried

package stagewarden.seats_test

import data.stagewarden.seats

anybody := ["compliance", "legal", "manager", "reviewer"]

asked(topics, named, state) := answer if {
	answer := seats.required with data.stagewarden.rules as topics
		with data.registry as {"tiers": {}, "workflows": {"newsletter": {"second_person": named}}}
		with input as {"principal": {"workflow": "newsletter"}, "state": state}
}

test_one_more_person[name] if {
	high := {"a": {"tier": {"high"}}}
	privacy := {"a": {"tier": {"medium"}, "seats": {seat(["privacy"])}}}
	two := [{"functions": ["reviewer"], "count": 2}]
	some name, [topics, named, state, expected] in {
		"nobody says so": [{}, [], {"review": ["run", "fast"]}, [reviewer]],
		"another signal": [{}, ["fast"], {"review": ["run"]}, [reviewer]],
		"no signal": [{}, ["fast", "run"], {"review": []}, [reviewer]],
		"its signal": [{}, ["fast", "run"], {"review": ["run"]}, two],
		"several are one person": [{}, ["fast", "run"], {"review": ["run", "fast"]}, two],
		"not said": [{}, ["run"], {}, two],
		"null": [{}, ["run"], {"review": null}, two],
		"of another type": [{}, ["run"], {"review": "fast"}, two],
		"not said, and nobody cares": [{}, [], {}, [reviewer]],
		"high": [high, ["run"], {"review": ["run"]}, [seat(anybody), high_two, high_one]],
		"beside a domain seat": [privacy, ["run"], {"review": ["run"]}, [seat(["privacy"]), reviewer]],
	}
	asked(topics, named, state) == expected
}

# Every seat that was asked for is asked for still.
test_never_fewer if {
	every topics in [{}, {"a": {"tier": {"high"}}}, {"a": {"seats": {seat(["privacy"]), seat(["business"])}}}] {
		without := asked(topics, ["run"], {"review": []})
		more := asked(topics, ["run"], {"review": ["run"]})
		every one in without {
			some other in more
			other.functions == one.functions
			other.count >= one.count
		}
		sum([one.count | some one in more]) == sum([one.count | some one in without]) + 1
	}
}
