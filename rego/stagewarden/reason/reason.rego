# METADATA
# title: Reasons
# description: |
#   Builds a reason from the metadata of the rule that gives it, so that code and text are written once, above the rule.
#   It never decides whether a rule holds.
package stagewarden.reason

# METADATA
# title: The reason a rule's metadata describes
# description: Call it as `reason.of(rego.metadata.rule())`.
of(metadata) := {"code": metadata.custom.code, "text": metadata.title}

# METADATA
# title: The same, with machine-readable detail
# description: Call it as `reason.with_detail(rego.metadata.rule(), {…})`; the detail must be an object.
with_detail(metadata, detail) := {"code": metadata.custom.code, "text": metadata.title, "detail": detail}
