# METADATA
# title: Parties
# description: |
#   What the registry says about those a question names: the agent, its workflow, the destination, the kind's class.
#   Whatever is not listed is undefined or the strictest value; nothing here is ever guessed.
package stagewarden.parties

agent := data.registry.agents[input.principal.agent]

# The workflow counts only where it is one of the agent's own.
workflow := data.registry.workflows[input.principal.workflow] if input.principal.workflow in agent.workflows

destination := data.registry.destinations[input.action.destination]

# METADATA
# title: allowed, restricted or prohibited
# description: The stricter class wins where a kind is listed twice; a kind that is not listed is prohibited.
default class := "prohibited"

class := "prohibited" if {
	input.action.kind in workflow.actions.prohibited
} else := "restricted" if {
	input.action.kind in workflow.actions.restricted
} else := "allowed" if {
	input.action.kind in workflow.actions.allowed
}

# METADATA
# title: The agent's own stages hold the stage asked for
# description: In a workflow that delegates just in time they hold only what makes a text; anything more is granted for the act.
default stage_held := false

stage_held if {
	input.action.stage in agent.stages
	_standing
}

_standing if not workflow.delegation == "jit"

_standing if input.action.stage == "generate"

# METADATA
# title: The destination is internal
# description: Both the registry and the gate must say so.
default in_house := false

in_house if {
	destination.channel == "internal"
	input.action.external == false
}

# METADATA
# title: Something would leave the house
default leaves := false

leaves if {
	input.action.stage == "export"
	not in_house
}
