# METADATA
# scope: subpackages
# title: Stagewarden's policy
# description: |
#   Root of the policy: tells the type checker what `input` and `data.registry` look like, for every package below.
#   It holds no rule and decides nothing.
# schemas:
#   - input: schema.question
#   - data.registry: schema.registry
package stagewarden
