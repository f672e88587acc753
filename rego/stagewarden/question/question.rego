# METADATA
# title: The question's shape
# description: |
#   Says which fields of the question are missing or of the wrong type. A question with any such fault is denied before
#   a rule could mistake what is absent for what is harmless. It never judges what a field means.
package stagewarden.question

# METADATA
# title: Fields that are missing or malformed
# description: Empty for a question that can be judged.
faults contains concat(".", path) if {
	some [path, types] in _shape
	not type_name(object.get(input, path, null)) in types
}

faults contains concat(".", path) if {
	is_object(input.approval)
	some [path, types] in _approval_shape
	not type_name(object.get(input, path, null)) in types
}

faults contains "version" if input.version != 1

faults contains "action.stage" if not input.action.stage in {"generate", "edit", "queue", "approve", "export"}

faults contains "state.environment" if not input.state.environment in {"production", "sandbox"}

faults contains "principal.chain" if {
	some link in input.principal.chain
	not _link(link)
}

faults contains "approval.votes" if {
	some vote in input.approval.votes
	not _vote(vote)
}

# The gate names the body's members in `action.fields`: a body that went missing on the way is noticed.
faults contains "request.body" if _members != {field | some field in input.action.fields}

default _members := set()

_members := object.keys(input.request.body) if is_object(input.request.body)

_link(link) if {
	link.kind in {"human", "service", "agent"}
	is_string(link.id)
	is_boolean(link.verified)
}

_vote(vote) if {
	is_string(vote.person)
	is_string(vote.function)
}

_shape := [
	[["version"], {"number"}],
	[["time"], {"string"}],
	[["time_ns"], {"number"}],
	[["request", "method"], {"string"}],
	[["request", "upstream"], {"string"}],
	[["request", "headers"], {"object"}],
	[["request", "digest"], {"string"}],
	[["principal", "agent"], {"string"}],
	[["principal", "workflow"], {"string", "null"}],
	[["principal", "credential", "kind"], {"string"}],
	[["principal", "credential", "issuer"], {"string"}],
	[["principal", "chain"], {"array"}],
	[["principal", "trigger"], {"object", "null"}],
	[["action", "route"], {"string"}],
	[["action", "stage"], {"string"}],
	[["action", "kind"], {"string"}],
	[["action", "asset", "state"], {"string"}],
	[["action", "fields"], {"array"}],
	[["action", "data_classes"], {"array"}],
	[["action", "destination"], {"string"}],
	[["action", "external"], {"boolean"}],
	[["action", "reversible"], {"string"}],
	[["facts", "claims"], {"array"}],
	[["facts", "offers"], {"array"}],
	[["asserted"], {"object"}],
	[["grants"], {"array"}],
	[["approval"], {"object", "null"}],
	[["state", "registry"], {"string"}],
	[["state", "environment"], {"string"}],
	[["state", "mode"], {"string"}],
]

_approval_shape := [
	[["approval", "state"], {"string"}],
	[["approval", "digest"], {"string"}],
	[["approval", "votes"], {"array"}],
	[["approval", "expires_ns"], {"number"}],
]
