# METADATA
# title: What people decided
# description: |
#   Reads `input.approval`: is it about these very bytes, is it still in force, and do its votes fill the seats the rules
#   ask for now? Every vote is counted anew here; it never trusts that a vote was allowed because it was cast.
package stagewarden.approval

import data.stagewarden.grant

# METADATA
# title: The approval names exactly the digest asked about
default bound := false

bound if input.approval.digest == input.request.digest

# METADATA
# title: The approval stands and its time is not over
default in_force := false

in_force if {
	input.approval.state in ["approved", "granted"]
	input.time_ns < input.approval.expires_ns
}

# METADATA
# title: People looked at these bytes, or at a template whose bounds hold them
# description: A template's votes count for a request only as long as the template itself permits it.
default backed := false

backed if input.approval.state == "approved"

backed if {
	input.approval.state == "granted"
	input.approval.grant in grant.templates
}

# METADATA
# title: Everything holds; people said yes to this
default complete := false

complete if {
	is_object(input.approval)
	bound
	in_force
	backed
	filled
}
