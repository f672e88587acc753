# METADATA
# title: Human beings
# description: |
#   Which ids belong to one human being, by the registry's aliases. It never joins two ids on anything else, such as a name
#   or an address.
package stagewarden.humans

# METADATA
# title: One id for all ids of a human being
# description: Through any chain of aliases, whichever side wrote it.
one(id) := min(graph.reachable(_same, {id}) | {id})

_same := {id: others |
	some [id, _] in _pairs
	others := {other | some [name, other] in _pairs; name == id}
}

_pairs contains pair if {
	some id, person in data.registry.people
	some alias in person.aliases
	some pair in [[id, alias], [alias, id]]
}
