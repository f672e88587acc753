# What a text promises

package stagewarden.rules.claims_test

import data.stagewarden.rules.claims
import data.stagewarden.testing

asked(question, registry) := [found, tier] if {
	holds := claims.hold with input as question with data.registry as registry
	found := {what | some reason in holds; some what in reason.detail.found}
	tier := claims.tier with input as question with data.registry as registry
}

body(value) := object.union(testing.question, {"request": {"body": value}})

test_found[name] if {
	some name, [changes, found] in {
		"nothing": [{}, set()],
		"an offer": [{"facts": {"offers": ["spring"]}}, {"offers"}],
		"a claim": [{"facts": {"claims": ["fastest"]}}, {"claims"}],
		"an asserted claim": [{"asserted": {"claims": ["fastest"]}}, {"asserted"}],
		"an asserted word": [{"asserted": {"claims": "fastest"}}, {"asserted"}],
		"no asserted claim": [{"asserted": {"claims": []}}, set()],
		"a price": [{"request": {"body": {"title": "€ 19"}}}, {"pattern"}],
		"a promise": [{"request": {"body": {"title": "Guaranteed"}}}, {"pattern"}],
		"deep in a list": [{"request": {"body": {"blocks": [{"text": ["", "only $5"]}]}}}, {"pattern"}],
		"in two strings": [{"request": {"body": {"a": "€", "b": "19"}}}, set()],
		"in the content that goes out": [{"facts": {"content": {"body": {"raw": "€ 19"}}}}, {"pattern"}],
		"harmless content": [{"facts": {"content": {"body": {"raw": "Autumn"}}}}, set()],
		"all": [
			{
				"facts": {"offers": [1], "claims": [1]},
				"asserted": {"claims": true},
				"request": {"body": "€ 19"},
			},
			{"offers", "claims", "asserted", "pattern"},
		],
	}
	asked(testing.asking(changes), testing.registry) == [found, {"high" | count(found) > 0}]
}

test_where[name] if {
	some name, [stage, state, found] in {
		"a draft": ["generate", "none", set()],
		"an edited draft": ["edit", "draft", set()],
		"an edit of what waits": ["edit", "queued", {"pattern"}],
		"an edit of what is approved": ["edit", "approved", {"pattern"}],
		"into the queue": ["queue", "draft", {"pattern"}],
		"an approval": ["approve", "queued", {"pattern"}],
		"an export": ["export", "draft", {"pattern"}],
	}
	question := object.union(testing.asking(testing.priced), {"action": {"stage": stage, "asset": {"state": state}}})
	asked(question, testing.registry) == [found, {"high" | count(found) > 0}]
}

test_registry[name] if {
	some name, [trigger, text, expected] in {
		"its tier": [{"patterns": ["x"], "tier": "medium"}, "x", [{"pattern"}, {"medium"}]],
		"no tier": [{"patterns": ["x"]}, "x", [{"pattern"}, {"high"}]],
		"no patterns": [{"patterns": []}, "x", [set(), set()]],
		"nothing": [{}, "x", [set(), set()]],
		"a pattern nobody can read": [{"patterns": ["("]}, "x", [{"pattern"}, {"high"}]],
		"the second pattern": [{"patterns": ["y", "x"]}, "x", [{"pattern"}, {"high"}]],
		"case": [{"patterns": ["X"]}, "x", [set(), set()]],
	}
	registry := object.union(object.remove(testing.registry, ["triggers"]), {"triggers": {"legal_or_price": trigger}})
	asked(body(text), registry) == expected
}

# A pattern is left out only where a whole table of what it needs is missing, whatever the case of the letters.
test_needles[name] if {
	pattern := `(?i)(usd|kr)\s*[0-9]`
	tables := [{"usd": "", "kr": ""}, {"1": "", "2": ""}, {"nok": ""}]
	some name, [needs, text, found] in {
		"needed and there": [[[[0], [1]]], "Kr 1", {"pattern"}],
		"there, but no match": [[[[0], [1]]], "1 kr", set()],
		"one table missing": [[[[2]]], "kr 1", set()],
		"one of two missing": [[[[0], [2]]], "kr 1", set()],
		"either of two there": [[[[0, 2]]], "kr 1", {"pattern"}],
		"neither of two there": [[[[0, 2]]], "1", set()],
		"of another pattern": [[[], [[2]]], "kr 1", {"pattern"}],
		"no need": [[[]], "kr 1", {"pattern"}],
		"a need of nothing": [[[[]]], "kr 1", {"pattern"}],
		"a table that is not there": [[[[7]]], "kr 1", {"pattern"}],
		"a long s": [[[[0], [1]]], "u\u017fd 1", {"pattern"}],
		"a kelvin sign": [[[[0], [1]]], "x\u212ar 1", {"pattern"}],
		"no text": [[[[0], [1]]], 7, set()],
	}
	needles := {"tables": tables, "needs": needs}
	registry := testing.registering({"triggers": {"legal_or_price": {"patterns": [pattern], "needles": needles}}})
	asked(body(text), registry) == [found, {"high" | count(found) > 0}]
}
