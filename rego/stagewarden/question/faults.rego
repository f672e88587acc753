# What is wrong with a question that cannot be judged
#
# Looked for only after `sound` failed, to name the fields. A test holds the two together: a question has a fault exactly
# when it is not sound.

package stagewarden.question

# METADATA
# title: Fields that are missing or malformed
faults contains concat(".", path) if {
	some [path, types] in _shape
	not type_name(object.get(input, path, null)) in types
}

faults contains concat(".", path) if {
	input.approval != null
	some [path, types] in _approval_shape
	not type_name(object.get(input, path, null)) in types
}

faults contains "version" if not input.version == 1

faults contains "action.stage" if not _stage

faults contains "state.environment" if not input.state.environment in {"production", "sandbox"}

faults contains "request.body" if not _body_sound

faults contains "principal.chain" if not _chain

faults contains "approval" if not _approval

# As rules, because `not` of a function says nothing where its argument is missing.
_stage if _stage_sound(input.action.stage)

_chain if _chain_sound(input.principal.chain)

_approval if _approval_sound(input.approval)

_shape := [
	[["time"], {"string"}],
	[["time_ns"], {"number"}],
	[["request", "method"], {"string"}],
	[["request", "upstream"], {"string"}],
	[["request", "digest"], {"string"}],
	[["request", "headers"], {"object"}],
	[["principal", "agent"], {"string"}],
	[["principal", "workflow"], {"string", "null"}],
	[["principal", "credential", "kind"], {"string"}],
	[["principal", "credential", "issuer"], {"string"}],
	[["principal", "trigger"], {"object", "null"}],
	[["action", "route"], {"string"}],
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
	[["state", "registry"], {"string"}],
	[["state", "mode"], {"string"}],
]

_approval_shape := [
	[["approval", "state"], {"string"}],
	[["approval", "digest"], {"string"}],
	[["approval", "votes"], {"array"}],
	[["approval", "expires_ns"], {"number"}],
]
