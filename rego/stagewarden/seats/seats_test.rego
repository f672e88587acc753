# Tiers and seats, from what topics ask for

package stagewarden.seats_test

import data.stagewarden.seats

seat(functions) := {"functions": functions, "count": 1}

reviewer := seat(["reviewer"])

high_one := seat(["manager", "reviewer"])

high_two := seat(["compliance", "legal", "reviewer"])

required(topics, tiers) := answer if {
	answer := seats.required with data.stagewarden.rules as topics with data.registry as {"tiers": tiers}
}

test_tier[name] if {
	some name, [topics, tier] in {
		"nobody": [{}, "low"],
		"low": [{"a": {"tier": {"low"}}}, "low"],
		"highest": [{"a": {"tier": {"low", "medium"}}, "b": {"tier": {"high"}}}, "high"],
		"medium": [{"a": {"tier": {"low"}}, "b": {"tier": {"medium"}}}, "medium"],
		"unknown counts as high": [{"a": {"tier": {"severe"}}}, "high"],
	}
	seats.tier == tier with data.stagewarden.rules as topics
}

test_settle[name] if {
	high := {"a": {"tier": {"high"}}}
	some name, [topics, tiers, settle] in {
		"the tier's own": [high, {"high": {"seats": [], "settle": "10m"}}, "10m"],
		"another tier's": [high, {"medium": {"seats": [], "settle": "10m"}}, null],
		"not said": [high, {"high": {"seats": []}}, null],
		"said to be none": [high, {"high": {"settle": null}}, null],
		"a registry that says nothing": [high, {}, null],
	}
	seats.settle == settle with data.stagewarden.rules as topics with data.registry as {"tiers": tiers}
}

test_wanted[name] if {
	some name, [topics, wanted] in {
		"nobody": [{"a": {"tier": {"low"}}}, false],
		"a tier": [{"a": {"tier": {"medium"}}}, true],
		"a seat": [{"a": {"seats": {seat(["privacy"])}}}, true],
	}
	seats.wanted == wanted with data.stagewarden.rules as topics
}

test_required[name] if {
	privacy := seat(["privacy"])
	business := seat(["business"])
	some name, [topics, expected] in {
		"nobody said how many": [{}, [reviewer]],
		"medium": [{"a": {"tier": {"medium"}}}, [reviewer]],
		"high": [{"a": {"tier": {"high"}}}, [high_two, high_one]],
		"a domain seat counts": [{"a": {"tier": {"medium"}, "seats": {privacy}}}, [privacy]],
		"the missing one is added": [{"a": {"tier": {"high"}, "seats": {business}}}, [business, high_one]],
		"the one no domain seat resembles": [
			{"a": {"tier": {"high"}, "seats": {seat({"legal", "compliance"})}}},
			[seat(["compliance", "legal"]), high_one],
		],
		"union of two topics": [
			{"a": {"tier": {"high"}, "seats": {business}}, "b": {"seats": {privacy}}},
			[business, privacy],
		],
		"the same functions make one seat with the higher count": [
			{
				"a": {"seats": {{"functions": ["legal", "business"], "count": 1}}},
				"b": {"seats": {{"functions": ["business", "legal"], "count": 3}}},
			},
			[{"functions": ["business", "legal"], "count": 3}],
		],
		"more than the tier asks for": [
			{"a": {"tier": {"medium"}, "seats": {business, privacy}}},
			[business, privacy],
		],
	}
	required(topics, {}) == expected
}

# The registry's own tiers, where they say something usable.
test_registered[name] if {
	two := [{"functions": ["reviewer"], "count": 2}]
	some name, [tiers, topics, expected] in {
		"two reviewers": [{"medium": {"seats": two}}, {}, two],
		"one of two is there": [{"medium": {"seats": two}}, {"a": {"seats": {reviewer}}}, two],
		"says nothing": [{"medium": {"seats": []}}, {}, [reviewer]],
		"nobody": [{"medium": {"seats": [{"functions": ["reviewer"], "count": 0}]}}, {}, [reviewer]],
		"no function": [{"medium": {"seats": [{"functions": [], "count": 1}]}}, {}, [reviewer]],
		"null": [{"medium": null}, {}, [reviewer]],
	}
	required(topics, tiers) == expected
}
