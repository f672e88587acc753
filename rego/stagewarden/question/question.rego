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
	_request_sound(input.request)
	_body_sound
	_principal_sound(input.principal)
	_chain_sound(input.principal.chain)
	_action_sound(input.action)
	_stage_sound(input.action.stage)
	is_array(input.facts.claims)
	is_array(input.facts.offers)
	is_object(input.asserted)
	is_array(input.grants)
	_approval_sound(input.approval)
	is_string(input.state.registry)
	input.state.environment in ["production", "sandbox"]
	is_string(input.state.mode)
}

_request_sound(request) if {
	is_string(request.method)
	is_string(request.upstream)
	is_string(request.digest)
	is_object(request.headers)
}

# The gate names the body's members in `action.fields`: a body that went missing on the way is noticed.
default _members := set()

_members := object.keys(input.request.body) if is_object(input.request.body)

_body_sound if _members == {field | some field in input.action.fields}

_principal_sound(principal) if {
	is_string(principal.agent)
	type_name(principal.workflow) in ["string", "null"]
	is_string(principal.credential.kind)
	is_string(principal.credential.issuer)
	type_name(principal.trigger) in ["null", "object"]
}

_chain_sound(chain) if {
	is_array(chain)
	every link in chain {
		link.kind in ["agent", "editor", "human", "service"]
		is_string(link.id)
		is_boolean(link.verified)
	}
}

_action_sound(action) if {
	is_string(action.route)
	is_string(action.kind)
	is_string(action.asset.state)
	is_array(action.fields)
	is_array(action.data_classes)
	is_string(action.destination)
	is_boolean(action.external)
	is_string(action.reversible)
}

_stage_sound(stage) if stage in ["generate", "edit", "queue", "approve", "export"]

_approval_sound(null)

_approval_sound(approval) if {
	is_string(approval.state)
	is_string(approval.digest)
	is_number(approval.expires_ns)
	is_array(approval.votes)
	every vote in approval.votes {
		is_string(vote.person)
		is_string(vote.function)
	}
}
