# METADATA
# title: What an agent may see of an answer
# description: |
#   The fields its workflow may read (registry: `scope.fields.read`), or null where the workflow bounds none. Every answer is
#   bounded, a write's too: what was written is often answered with more than was written.
package stagewarden.answers

import data.stagewarden.parties

# METADATA
# title: Names and JSON pointers; null is no bound
default fields := null

fields := sort(parties.workflow.scope.fields.read) if count(parties.workflow.scope.fields.read) > 0
