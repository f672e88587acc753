# METADATA
# title: What the topics say
# description: |
#   Gathers, once, the answers of every package below `stagewarden.rules`, ours and the customer's, as [topic, answer]; an
#   empty set says nothing and is left out. Whatever else a topic answers is passed on: it never judges a form.
package stagewarden.topics

allow contains [topic, answer] if {
	nothing := set()
	some topic
	answer := data.stagewarden.rules[topic].allow
	answer != nothing
}

hold contains [topic, answer] if {
	nothing := set()
	some topic
	answer := data.stagewarden.rules[topic].hold
	answer != nothing
}

deny contains [topic, answer] if {
	nothing := set()
	some topic
	answer := data.stagewarden.rules[topic].deny
	answer != nothing
}

tier contains [topic, answer] if {
	nothing := set()
	some topic
	answer := data.stagewarden.rules[topic].tier
	answer != nothing
}

seats contains [topic, answer] if {
	nothing := set()
	some topic
	answer := data.stagewarden.rules[topic].seats
	answer != nothing
}
