# METADATA
# title: The question's shape
# description: |
#   Whether every fact a rule may rely on is there and of its type. A question that is not sound is denied before a rule
#   could mistake what is absent for what is harmless. It never judges what a fact means.
package stagewarden.question

# METADATA
# title: The question can be judged
# description: Asked first and at every question, so it is written as plain tests; `faults` then says what is wrong.
default sound := false

sound if {
	input.version == 1
	is_string(input.time)
	is_number(input.time_ns)
	_request_sound
	_principal_sound
	_action_sound
	is_array(input.facts.claims)
	is_array(input.facts.offers)
	is_object(input.asserted)
	is_array(input.grants)
	_approval_sound
	is_string(input.state.registry)
	input.state.environment in {"production", "sandbox"}
	is_string(input.state.mode)
}

_request_sound if {
	is_string(input.request.method)
	is_string(input.request.upstream)
	is_string(input.request.digest)
	is_object(input.request.headers)
	_body_sound
}

# The gate names the body's members in `action.fields`: a body that went missing on the way is noticed.
default _members := set()

_members := object.keys(input.request.body) if is_object(input.request.body)

_body_sound if _members == {field | some field in input.action.fields}

_principal_sound if {
	is_string(input.principal.agent)
	type_name(input.principal.workflow) in {"string", "null"}
	is_string(input.principal.credential.kind)
	is_string(input.principal.credential.issuer)
	type_name(input.principal.trigger) in {"object", "null"}
	_chain_sound
}

_chain_sound if {
	is_array(input.principal.chain)
	every link in input.principal.chain {
		link.kind in {"human", "service", "agent"}
		is_string(link.id)
		is_boolean(link.verified)
	}
}

_action_sound if {
	is_string(input.action.route)
	_stage_sound
	is_string(input.action.kind)
	is_string(input.action.asset.state)
	is_array(input.action.fields)
	is_array(input.action.data_classes)
	is_string(input.action.destination)
	is_boolean(input.action.external)
	is_string(input.action.reversible)
}

_stage_sound if input.action.stage in {"generate", "edit", "queue", "approve", "export"}

_approval_sound if input.approval == null

_approval_sound if {
	is_string(input.approval.state)
	is_string(input.approval.digest)
	is_number(input.approval.expires_ns)
	_votes_sound
}

_votes_sound if {
	is_array(input.approval.votes)
	every vote in input.approval.votes {
		is_string(vote.person)
		is_string(vote.function)
	}
}
