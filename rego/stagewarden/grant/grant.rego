# METADATA
# title: What grants cover
# description: |
#   Reads `input.grants`: which of them cover exactly this act, now. A grant takes the place of a missing stage, of a restricted
#   kind's people and of a publication's approval; it never lifts a prohibition, nor anything another topic says.
package stagewarden.grant

import data.stagewarden.parties

# METADATA
# title: Ids of the grants that cover this act
covering contains grant.id if {
	some grant in input.grants
	grant.template == false
	alive(grant)
	in_scope(grant)
	_may_leave(grant)
}

# METADATA
# title: A grant covers this act, and is needed
# description: What the agent may do anyway spends nothing.
default covers := false

covers if {
	count(input.grants) > 0
	needed
	parties.class in ["allowed", "restricted"]
	count(covering) > 0
}

# METADATA
# title: Without a grant or an approval this act does not go on
default needed := false

needed if not parties.stage_held

needed if parties.class == "restricted"

needed if parties.leaves

# METADATA
# title: Ids of the templates whose bounds hold this request
# description: Each such request waits as a hold of its own, approved in advance by the template's votes.
templates contains grant.id if {
	some grant in input.grants
	grant.template == true
	alive(grant)
	in_scope(grant)
	_nothing_elsewhere(grant)
}

# METADATA
# title: It is active, its time is not over, and a use is left
alive(grant) if {
	grant.state == "active"
	is_number(grant.expires_ns)
	input.time_ns < grant.expires_ns
	is_number(grant.uses_left)
	grant.uses_left > 0
}

# METADATA
# title: It names this agent, act, place and purpose, and the request is inside its bounds
in_scope(grant) if {
	grant.agent == input.principal.agent
	grant.workflow == input.principal.workflow
	grant.purpose == parties.workflow.purpose
	grant.stage == input.action.stage
	grant.kind == input.action.kind
	grant.upstream == input.action.upstream
	grant.destination == input.action.destination
	_asset(grant.asset)
	_digest(grant.digest)
	every field in input.action.fields { field in grant.fields }
	every class in input.action.data_classes { class in grant.classes }
	grant.outside == []
}

# `*` is any. A missing or malformed value is none.
_asset("*")

_asset(id) if {
	is_string(id)
	id == input.action.asset.id
}

_digest("*")

_digest(digest) if digest == input.request.digest

# What leaves the house leaves by one use of one digest, and not for an identity that also writes the text.
_may_leave(_) if not parties.leaves

_may_leave(grant) if {
	grant.uses == 1
	grant.digest == input.request.digest
	_content(grant)
	not "generate" in parties.agent.stages
}

# Where the content lies at the upstream, its digest is part of what was permitted; the bytes of the request do not say it.
_content(grant) if {
	is_string(input.action.asset.digest)
	grant.content == input.action.asset.digest
}

_content(grant) if _nothing_elsewhere(grant)

# All that is sent is in the request: nothing was looked up. A template's people saw bounds of a body, no content at an upstream.
_nothing_elsewhere(grant) if {
	grant.content == "none"
	is_null(input.action.asset.digest)
	input.action.asset.state == "untracked"
}
