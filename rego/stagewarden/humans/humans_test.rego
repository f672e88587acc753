# Which ids belong to one human being

package stagewarden.humans_test

import data.stagewarden.humans
import data.stagewarden.testing

test_one[name] if {
	some name, [id, expected] in {
		"no alias": ["rita", "rita"],
		"unknown": ["nobody", "nobody"],
		"has an alias": ["a", "a"],
		"is an alias": ["b", "a"],
		"through a chain": ["d", "a"],
		"unregistered alias": ["c", "a"],
	}
	humans.one(id) == expected with data.registry as testing.registering({"people": {
		"a": {"aliases": ["b"]},
		"b": {"aliases": ["c"]},
		"d": {"aliases": ["c"]},
	}})
}
