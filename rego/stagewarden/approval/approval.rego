# METADATA
# title: What people decided
# description: |
#   Reads `input.approval`: is it about these very bytes, is it still in force, and do its votes fill the seats the rules
#   ask for now? Every vote is counted anew here; it never trusts that a vote was allowed because it was cast.
package stagewarden.approval

# METADATA
# title: The approval names exactly the digest asked about
default bound := false

bound if input.approval.digest == input.request.digest

# METADATA
# title: The approval stands and its time is not over
default in_force := false

in_force if {
	input.approval.state == "approved"
	input.time_ns < input.approval.expires_ns
}

# METADATA
# title: Everything holds; people said yes to this
default complete := false

complete if {
	is_object(input.approval)
	bound
	in_force
	filled
}
