# The product's own policy, asked by a peer: the peer's view of a request becomes the question our policy knows.
# Everything a peer does not find out (who asks, which route) is the template's; nobody but the bench loads this.
package bench

import rego.v1

default allow := false

allow if {
	verdict := data.stagewarden.main.verdict with input as question
	verdict.effect == "allow"
}

now := time.now_ns()

question := object.union(data.bench.template, {
	"time": time.format(now),
	"time_ns": now,
	"request": {"method": method, "path": input.parsed_path, "body": object.get(input, "parsed_body", null)},
	"action": data.bench.actions[method],
})

method := input.attributes.request.http.method

# Undefined unless allowed: what can only tell a 200 from a 404 asks this one.
granted if allow
